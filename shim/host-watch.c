// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/host-watch.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fds.h"

typedef struct {
  int pidfd; /* -1: it has ended before it could be watched */
  GSourceOnceFunc func;
  gpointer data;
  GDestroyNotify free_data;
} HostWatch;

static void host_watch_free(gpointer user_data) {
  HostWatch *watch = user_data;
  if (watch->free_data != NULL) watch->free_data(watch->data);
  fd_clear(&watch->pidfd);
  g_free(watch);
}

static gboolean on_ended(gpointer user_data) {
  HostWatch *watch = user_data;
  watch->func(watch->data);
  return G_SOURCE_REMOVE;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer user_data) { return on_ended(user_data); }

guint host_watch_add(pid_t pid, GSourceOnceFunc func, gpointer data, GDestroyNotify free_data) {
  autofd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0 && errno != ESRCH) {
    if (free_data != NULL) free_data(data);
    return 0;
  }
  HostWatch *watch = g_new(HostWatch, 1);
  *watch = (HostWatch){.func = func, .data = data, .free_data = free_data};
  watch->pidfd = fd_steal(&pidfd);
  if (watch->pidfd < 0) return g_idle_add_full(G_PRIORITY_DEFAULT, on_ended, watch, host_watch_free);
  return g_unix_fd_add_full(G_PRIORITY_DEFAULT, watch->pidfd, G_IO_IN, on_readable, watch, host_watch_free);
}

void host_watch_remove(guint id) {
  GSource *source = id != 0 ? g_main_context_find_source_by_id(NULL, id) : NULL;
  if (source != NULL) g_source_destroy(source);
}
