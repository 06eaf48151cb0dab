/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must be there before a container or the sandbox can be made: devices, then storages, one after the other. */
#pragma once

#include <glib.h>

#include "agent/sandbox.h"
#include "proto/agent.pb-c.h"

typedef struct {
  const char *container_id; /* NULL: the sandbox's */
  Grpc__Device **devices;
  gsize n_devices;
  Grpc__Storage **storages;
  gsize n_storages;
  GPtrArray *keys;  /* of the storages that are mounted, also after a failure; char * */
  GPtrArray *found; /* DeviceFound of each device (agent/device-spec.h) */
} PreparationRequest;

typedef void (*PreparationFunc)(const GError *error, gpointer user_data);

/* All that request names must stay until func is called: once, from the main loop, never before this returns. */
Preparation *preparation_start(Sandbox *sandbox, const PreparationRequest *request, PreparationFunc func,
                               gpointer user_data);
/* Waits no longer; func is still called, with an error, as soon as nothing is under way. */
void preparation_cancel(Preparation *preparation);
