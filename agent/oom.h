/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Containers out of memory: what their cgroups' "memory.events" say, kept until somebody asks. */
#pragma once

#include <glib.h>

/* Events kept while nobody asks; what comes above that is dropped. */
#define OOM_EVENTS_MAX 100
/* Callers that may wait at once. */
#define OOM_WAITERS_MAX 1024

typedef struct OomMonitor OomMonitor;

/* container_id: NULL with an error, why there will be no event. */
typedef void (*OomFunc)(const char *container_id, const GError *error, gpointer user_data);

OomMonitor *oom_monitor_new(void);
/* Who waits is told that the sandbox has ended. */
void oom_monitor_free(OomMonitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OomMonitor, oom_monitor_free)

/* From now on. A kernel without the memory controller has no events. */
void oom_monitor_add(OomMonitor *monitor, const char *container_id, const char *cgroup_path);
/* The last look at the container's events: its cgroup goes away. */
void oom_monitor_remove(OomMonitor *monitor, const char *container_id);

/* func is called once with one event, now or later; of several who wait the first gets it. */
void oom_monitor_wait(OomMonitor *monitor, OomFunc func, gpointer user_data);
void oom_monitor_cancel(OomMonitor *monitor, gpointer user_data);

/* Tells all who wait, and all who come later, that there will be none. */
void oom_monitor_end(OomMonitor *monitor);

/* How often the kernel killed, going by the text of "memory.events". */
guint64 oom_count_kills(const char *events);
