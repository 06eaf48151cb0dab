/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happened to the sandbox's containers: the last some hundred events, each with a number, which rises also from
 * one owner of the sandbox to the next. Thread-safe. */
#pragma once

#include <glib.h>

#include "proto/kata-v1.pb-c.h"

/* How many are remembered. */
#define EVENTS_MAX 256

typedef struct Events Events;

Events *events_new(void);
void events_free(Events *events);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Events, events_free)

/* type: static, one of kata.v1.Event's words. */
void events_add(Events *events, const char *type, const char *container_id, guint32 exit_status);

/* The first event after number "after", of one container or (id "") of any; waits up to timeout_ms for one. Free with
 * protobuf_c_message_free_unpacked(). NULL: none came. */
Kata__V1__Event *events_wait(Events *events, const char *id, guint64 after, guint32 timeout_ms);
