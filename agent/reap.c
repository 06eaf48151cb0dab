/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/reap.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "common/error.h"
#include "common/fds.h"

/* Statuses kept for pids nobody watches yet. More orphans than this ending during one run of crun means that somebody
 * floods the guest with processes; then only the newest of them count. */
#define UNKNOWN_MAX 4096

typedef struct {
  ReaperFunc func;
  gpointer user_data;
} Watch;

struct Reaper {
  int signal_fd;
  guint source;
  GHashTable *watches; /* pid -> Watch */
  GHashTable *unknown; /* pid -> wait status */
  guint keepers;
};

static void take_end(Reaper *reaper, pid_t pid, int wait_status) {
  g_autofree Watch *watch = NULL;
  if (g_hash_table_steal_extended(reaper->watches, GINT_TO_POINTER(pid), NULL, (gpointer *)&watch)) {
    watch->func(pid, wait_status, watch->user_data);
    return;
  }
  if (reaper->keepers == 0) return;
  if (g_hash_table_size(reaper->unknown) >= UNKNOWN_MAX) g_hash_table_remove_all(reaper->unknown);
  g_hash_table_insert(reaper->unknown, GINT_TO_POINTER(pid), GINT_TO_POINTER(wait_status));
}

static gboolean reap(int fd, GIOCondition condition, gpointer user_data) {
  Reaper *reaper = user_data;
  struct signalfd_siginfo info;
  while (read(fd, &info, sizeof info) > 0) continue;
  for (;;) {
    int wait_status = 0;
    pid_t pid = waitpid(-1, &wait_status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) break;
    take_end(reaper, pid, wait_status);
  }
  return G_SOURCE_CONTINUE;
}

Reaper *reaper_new(GError **error) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  /* A disposition of "ignore", inherited, would let the kernel throw statuses away. */
  signal(SIGCHLD, SIG_DFL);
  if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) {
    error_set_errno(error, errno, "cannot block SIGCHLD");
    return NULL;
  }
  autofd int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) {
    error_set_errno(error, errno, "cannot make a signalfd for SIGCHLD");
    return NULL;
  }
  Reaper *reaper = g_new0(Reaper, 1);
  reaper->signal_fd = fd_steal(&fd);
  reaper->watches = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  reaper->unknown = g_hash_table_new(NULL, NULL);
  reaper->source = g_unix_fd_add(reaper->signal_fd, G_IO_IN, reap, reaper);
  return reaper;
}

void reaper_free(Reaper *reaper) {
  if (!reaper) return;
  g_source_remove(reaper->source);
  fd_clear(&reaper->signal_fd);
  g_hash_table_unref(reaper->watches);
  g_hash_table_unref(reaper->unknown);
  g_free(reaper);
}

void reaper_watch(Reaper *reaper, pid_t pid, ReaperFunc func, gpointer user_data) {
  gpointer wait_status = NULL;
  if (g_hash_table_steal_extended(reaper->unknown, GINT_TO_POINTER(pid), NULL, &wait_status)) {
    func(pid, GPOINTER_TO_INT(wait_status), user_data);
    return;
  }
  Watch *watch = g_new(Watch, 1);
  *watch = (Watch){func, user_data};
  g_hash_table_insert(reaper->watches, GINT_TO_POINTER(pid), watch);
}

void reaper_unwatch(Reaper *reaper, pid_t pid) { g_hash_table_remove(reaper->watches, GINT_TO_POINTER(pid)); }

void reaper_keep_unknown(Reaper *reaper) { reaper->keepers++; }

void reaper_forget_unknown(Reaper *reaper) {
  g_return_if_fail(reaper->keepers > 0);
  if (--reaper->keepers == 0) g_hash_table_remove_all(reaper->unknown);
}

int reaper_exit_code(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
