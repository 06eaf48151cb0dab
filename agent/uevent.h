/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices that come while the guest runs. The kernel says so on a netlink
 * socket; a wait looks into /sys at its beginning and after each message, so
 * that it finds devices that were there before, and no message that got lost
 * matters.
 */
#pragma once

#include <glib.h>

#include "agent/modules.h"

typedef struct UeventMonitor UeventMonitor;
typedef struct UeventWait UeventWait;

/* Looks for a device: what stands for it (a node, a directory of /sys, a name), the caller's; NULL: not there yet.
 * agent/device.h has some. */
typedef char *(*UeventFindFunc)(const char *key);

/* found: what find gave, or NULL with error: code TIMEOUT, its text says which device was missed. */
typedef void (*UeventFunc)(const char *found, const GError *error, gpointer user_data);

/* Listens in the default main context. modules: those that new devices ask for are loaded; NULL: that is somebody
 * else's task. It must outlive the monitor. Without the socket only what is there already is found. */
UeventMonitor *uevent_monitor_new(ModuleList *modules);
/* Nobody may wait any more. */
void uevent_monitor_free(UeventMonitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UeventMonitor, uevent_monitor_free)

/* Calls func once, from the main loop, never before this returns: as soon as find(key) finds, or after timeout_ms. what
 * names the device in the error: "block device". */
UeventWait *uevent_wait(UeventMonitor *monitor, const char *what, UeventFindFunc find, const char *key,
                        guint timeout_ms, UeventFunc func, gpointer user_data);
/* func will not be called. */
void uevent_cancel(UeventWait *wait);
