/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking CPUs and memory that were plugged in into use. */
#pragma once

#include <glib.h>

#include "agent/reap.h"

/* Where the kernel has them. */
#define ONLINE_SYSTEM "/sys/devices/system"
/* How often, and how long apart, is looked for CPUs that are still to come. */
#define ONLINE_TRIES 100
#define ONLINE_RETRY_MS 50
/* Addresses one call may probe. */
#define ONLINE_PROBES_MAX 4096

/* error: NULL, or why it failed. */
typedef void (*OnlineFunc)(const GError *error, gpointer user_data);

/* Until as many CPUs as n_cpus are online, in all; 0: no CPU. with_memory: every block of memory too. system: as
 * ONLINE_SYSTEM. Helper processes do the work; func is called once, now or later. */
void online_start(Reaper *reaper, const char *system, guint n_cpus, gboolean with_memory, OnlineFunc func,
                  gpointer user_data);

/* Tells the kernel of memory at these addresses, where it cannot find it by itself. They stay until func is called:
 * once, now or later. */
void online_probe(Reaper *reaper, const char *system, const guint64 *addresses, gsize n_addresses, OnlineFunc func,
                  gpointer user_data);
