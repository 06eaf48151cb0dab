/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a runtime really asked of its agents, asked again: tests/data/agent-requests.txt. */
#pragma once

#include "tests/agent/harness.h"

/* That of a container, and that of a pod. */
#define RECORDED_SANDBOXES 2

typedef struct {
  /* Told of each request, and may change what is another's here; NULL: not wanted. */
  void (*before)(const char *method, ProtobufCMessage *request);
  /* Told of each that was answered at once; NULL: not wanted. */
  void (*after)(const char *method, const ProtobufCMessage *request);
  /* In place of the call DestroySandbox; NULL: that is made. */
  void (*destroy)(void);
} RecordedPlay;

/* All requests of one sandbox, in their order, those that wait in threads of their own. What containers and execs said
 * is appended to output. */
void recorded_play(guint sandbox, const RecordedPlay *play, GString *output);
