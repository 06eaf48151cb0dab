/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kinds of disks the host names in storages and devices, and how each is waited for. */
#pragma once

#include <glib.h>

#include "agent/reap.h"
#include "agent/uevent.h"

typedef struct {
  const char *name; /* as in the protocol: "blk" */
  const char *what; /* for messages: "disk at guest PCI path" */
  gboolean (*check)(const char *address, GError **error);
  UeventFindFunc find;
  gboolean needs_scan; /* nobody tells the guest that it has come */
} DeviceKind;

/* NULL: there is none. */
const DeviceKind *device_kind_find(const char *name);

/* uevent_wait() for the device's node. */
UeventWait *device_kind_wait(const DeviceKind *kind, const char *address, UeventMonitor *uevents, Reaper *reaper,
                             guint timeout_ms, UeventFunc func, gpointer user_data);
