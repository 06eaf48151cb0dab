// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/host-watch.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fds.h"

typedef struct {
  guint id;
  int pidfd; /* -1: it has ended before it could be watched */
  GSourceOnceFunc func;
  gpointer data;
  GDestroyNotify free_data;
} HostWatch;

/* The sources by their ids, with a reference each: one found in the context could be freed, having run, by the time
 * another thread destroys it. */
static GMutex lock;
static GHashTable *sources;

/* The reference is the caller's from now on; NULL: it is not there any more. id: looked at when it is known. */
static GSource *take(const guint *id) {
  gpointer source = NULL;
  g_mutex_lock(&lock);
  if (sources != NULL) g_hash_table_steal_extended(sources, GUINT_TO_POINTER(*id), NULL, &source);
  g_mutex_unlock(&lock);
  return source;
}

static void host_watch_free(gpointer user_data) {
  HostWatch *watch = user_data;
  g_autoptr(GSource) source = take(&watch->id);
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

/* Takes both over. */
static guint attach(GSource *source, HostWatch *watch, GSourceFunc func) {
  g_source_set_priority(source, G_PRIORITY_DEFAULT);
  g_source_set_callback(source, func, watch, host_watch_free);
  g_mutex_lock(&lock);
  if (sources == NULL) sources = g_hash_table_new(NULL, NULL);
  guint id = watch->id = g_source_attach(source, NULL);
  g_hash_table_insert(sources, GUINT_TO_POINTER(id), source);
  g_mutex_unlock(&lock);
  return id;
}

guint host_watch_add(pid_t pid, GSourceOnceFunc func, gpointer data, GDestroyNotify free_data) {
  autofd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0 && errno != ESRCH) {
    if (free_data != NULL) free_data(data);
    return 0;
  }
  HostWatch *watch = g_new(HostWatch, 1);
  *watch = (HostWatch){.func = func, .data = data, .free_data = free_data};
  watch->pidfd = fd_steal(&pidfd);
  if (watch->pidfd < 0) return attach(g_idle_source_new(), watch, on_ended);
  return attach(g_unix_fd_source_new(watch->pidfd, G_IO_IN), watch, G_SOURCE_FUNC(on_readable));
}

void host_watch_remove(guint id) {
  g_autoptr(GSource) source = take(&id);
  if (source != NULL) g_source_destroy(source);
}
