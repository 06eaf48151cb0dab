/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/oom.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "common/error.h"
#include "common/fds.h"

#define EVENTS_FILE "memory.events"
#define KILLS_KEY "oom_kill"

typedef struct {
  char *container_id;
  char *cgroup_path;
  int watch;
  guint64 kills; /* that were told of */
} Watched;

typedef struct {
  OomFunc func;
  gpointer user_data;
} Waiter;

struct OomMonitor {
  int inotify; /* -1: not yet, or it cannot be had */
  guint source;
  GHashTable *by_id;    /* container id -> Watched, owned */
  GHashTable *by_watch; /* inotify watch -> Watched */
  GQueue events;        /* container ids */
  GQueue waiters;
  gboolean ended;
};

static void watched_free(gpointer data) {
  Watched *watched = data;
  g_free(watched->container_id);
  g_free(watched->cgroup_path);
  g_free(watched);
}

OomMonitor *oom_monitor_new(void) {
  OomMonitor *monitor = g_new0(OomMonitor, 1);
  monitor->inotify = -1;
  monitor->by_id = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, watched_free);
  monitor->by_watch = g_hash_table_new(NULL, NULL);
  g_queue_init(&monitor->events);
  g_queue_init(&monitor->waiters);
  return monitor;
}

void oom_monitor_end(OomMonitor *monitor) {
  monitor->ended = TRUE;
  g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "the sandbox has ended: no more events");
  while (!g_queue_is_empty(&monitor->waiters)) {
    g_autofree Waiter *waiter = g_queue_pop_head(&monitor->waiters);
    waiter->func(NULL, error, waiter->user_data);
  }
}

void oom_monitor_free(OomMonitor *monitor) {
  if (!monitor) return;
  oom_monitor_end(monitor);
  if (monitor->source) g_source_remove(monitor->source);
  g_hash_table_unref(monitor->by_watch);
  g_hash_table_unref(monitor->by_id);
  while (!g_queue_is_empty(&monitor->events)) g_free(g_queue_pop_head(&monitor->events));
  fd_clear(&monitor->inotify);
  g_free(monitor);
}

static void tell(OomMonitor *monitor, const char *container_id) {
  g_info("container '%s' is out of memory", container_id);
  g_autofree Waiter *waiter = g_queue_pop_head(&monitor->waiters);
  if (waiter)
    waiter->func(container_id, NULL, waiter->user_data);
  else if (g_queue_get_length(&monitor->events) < OOM_EVENTS_MAX)
    g_queue_push_tail(&monitor->events, g_strdup(container_id));
  else
    g_warning("nobody asks for the memory events: one of container '%s' is dropped", container_id);
}

guint64 oom_count_kills(const char *events) {
  const gsize length = strlen(KILLS_KEY);
  for (const char *line = events; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
    if (strncmp(line, KILLS_KEY, length) == 0 && line[length] == ' ') return g_ascii_strtoull(line + length, NULL, 10);
  return 0;
}

/* One event for what happened since the last look, however many processes it took. */
static void look(OomMonitor *monitor, Watched *watched) {
  g_autofree char *events = cgroup_read(watched->cgroup_path, EVENTS_FILE);
  guint64 kills = oom_count_kills(events);
  if (!events || kills <= watched->kills) return;
  watched->kills = kills;
  tell(monitor, watched->container_id);
}

static gboolean events_changed(int fd, GIOCondition condition, gpointer user_data) {
  OomMonitor *monitor = user_data;
  char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
  for (ssize_t size; (size = read(fd, buffer, sizeof buffer)) > 0;) {
    for (ssize_t at = 0; at < size;) {
      const struct inotify_event *event = (const struct inotify_event *)(const void *)(buffer + at);
      Watched *watched = g_hash_table_lookup(monitor->by_watch, GINT_TO_POINTER(event->wd));
      if (watched) look(monitor, watched);
      at += (ssize_t)(sizeof *event + event->len);
    }
  }
  return G_SOURCE_CONTINUE;
}

static gboolean open_inotify(OomMonitor *monitor) {
  if (monitor->inotify >= 0) return TRUE;
  monitor->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (monitor->inotify < 0) return FALSE;
  monitor->source = g_unix_fd_add(monitor->inotify, G_IO_IN, events_changed, monitor);
  return TRUE;
}

void oom_monitor_add(OomMonitor *monitor, const char *container_id, const char *cgroup_path) {
  g_autofree char *path = g_strconcat(CGROUP_ROOT, cgroup_path, "/" EVENTS_FILE, NULL);
  if (access(path, F_OK) < 0) return;
  int watch = open_inotify(monitor) ? inotify_add_watch(monitor->inotify, path, IN_MODIFY) : -1;
  if (watch < 0) {
    g_warning("cannot watch '%s', so nobody learns when container '%s' is out of memory: %s", path, container_id,
              g_strerror(errno));
    return;
  }
  Watched *watched = g_new0(Watched, 1);
  watched->container_id = g_strdup(container_id);
  watched->cgroup_path = g_strdup(cgroup_path);
  watched->watch = watch;
  g_hash_table_replace(monitor->by_id, watched->container_id, watched);
  g_hash_table_replace(monitor->by_watch, GINT_TO_POINTER(watch), watched);
  look(monitor, watched);
}

void oom_monitor_remove(OomMonitor *monitor, const char *container_id) {
  Watched *watched = g_hash_table_lookup(monitor->by_id, container_id);
  if (!watched) return;
  look(monitor, watched);
  inotify_rm_watch(monitor->inotify, watched->watch);
  g_hash_table_remove(monitor->by_watch, GINT_TO_POINTER(watched->watch));
  g_hash_table_remove(monitor->by_id, container_id);
}

void oom_monitor_wait(OomMonitor *monitor, OomFunc func, gpointer user_data) {
  g_autoptr(GError) error = NULL;
  g_autofree char *container_id = g_queue_pop_head(&monitor->events);
  if (container_id) {
    func(container_id, NULL, user_data);
    return;
  }
  if (monitor->ended)
    error = g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "the sandbox has ended: no more events");
  else if (g_queue_get_length(&monitor->waiters) >= OOM_WAITERS_MAX)
    error = g_error_new(KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d callers wait for memory events",
                        OOM_WAITERS_MAX);
  if (error) {
    func(NULL, error, user_data);
    return;
  }
  Waiter *waiter = g_new(Waiter, 1);
  *waiter = (Waiter){func, user_data};
  g_queue_push_tail(&monitor->waiters, waiter);
}

void oom_monitor_cancel(OomMonitor *monitor, gpointer user_data) {
  for (GList *link = monitor->waiters.head; link; link = link->next) {
    Waiter *waiter = link->data;
    if (waiter->user_data != user_data) continue;
    g_queue_delete_link(&monitor->waiters, link);
    g_free(waiter);
    return;
  }
}
