/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

#define PAUSE_NAME "kata-pause"
#define STAT_MAX 4096
/* The field of /proc/PID/stat, counted from the blank after the name, and PF_EXITING of the kernel in it. */
#define STAT_FLAGS 7
#define FLAG_EXITING 0x4u

struct Namespaces {
  Reaper *reaper;
  int ipc; /* -1: not made yet */
  int uts;
  char *ipc_path; /* ours to everybody: a bind mount would have to be undone */
  char *uts_path;
  pid_t pause; /* 0: there is none */
  char *pid_path;
};

Namespaces *namespaces_new(Reaper *reaper) {
  Namespaces *namespaces = g_new0(Namespaces, 1);
  namespaces->reaper = reaper;
  namespaces->ipc = namespaces->uts = -1;
  return namespaces;
}

void namespaces_free(Namespaces *namespaces) {
  if (!namespaces) return;
  if (namespaces->pause > 0) {
    reaper_unwatch(namespaces->reaper, namespaces->pause);
    kill(namespaces->pause, SIGKILL);
  }
  fd_clear(&namespaces->ipc);
  fd_clear(&namespaces->uts);
  g_free(namespaces->ipc_path);
  g_free(namespaces->uts_path);
  g_free(namespaces->pid_path);
  g_free(namespaces);
}

static int open_own(const char *kind) {
  g_autofree char *path = g_strconcat("/proc/self/ns/", kind, NULL);
  return open(path, O_RDONLY | O_CLOEXEC);
}

static char *path_of(int fd) { return g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), fd); }

gboolean namespaces_make(Namespaces *namespaces, GError **error) {
  if (namespaces->ipc >= 0) return TRUE;
  autofd int own_ipc = open_own("ipc");
  autofd int own_uts = open_own("uts");
  if (own_ipc < 0 || own_uts < 0 || unshare(CLONE_NEWIPC | CLONE_NEWUTS) < 0) {
    error_set_errno(error, errno, "cannot make the sandbox's namespaces");
    return FALSE;
  }
  autofd int ipc = open_own("ipc");
  autofd int uts = open_own("uts");
  /* We have no thread but this one, so that we can always go back. */
  if (ipc < 0 || uts < 0 || setns(own_ipc, CLONE_NEWIPC) < 0 || setns(own_uts, CLONE_NEWUTS) < 0) {
    error_set_errno(error, errno, "cannot keep the sandbox's namespaces");
    return FALSE;
  }
  namespaces->ipc = fd_steal(&ipc);
  namespaces->uts = fd_steal(&uts);
  namespaces->ipc_path = path_of(namespaces->ipc);
  namespaces->uts_path = path_of(namespaces->uts);
  return TRUE;
}

const char *namespaces_get_ipc(const Namespaces *namespaces) { return namespaces->ipc_path; }
const char *namespaces_get_uts(const Namespaces *namespaces) { return namespaces->uts_path; }

static gboolean set_name(int (*set)(const char *name, size_t length), const char *name, const char *what,
                         GError **error) {
  if (!*name || set(name, MIN(strlen(name), NAMESPACES_NAME_MAX)) == 0) return TRUE;
  error_set_errno(error, errno, "cannot set the %s '%s'", what, name);
  return FALSE;
}

gboolean namespaces_set_names(Namespaces *namespaces, const char *hostname, const char *domainname, GError **error) {
  if (!*hostname && !*domainname) return TRUE;
  if (!namespaces_make(namespaces, error)) return FALSE;
  autofd int own = open_own("uts");
  if (own < 0 || setns(namespaces->uts, CLONE_NEWUTS) < 0) {
    error_set_errno(error, errno, "cannot enter the sandbox's UTS namespace");
    return FALSE;
  }
  gboolean done =
      set_name(sethostname, hostname, "host name", error) && set_name(setdomainname, domainname, "domain name", error);
  if (setns(own, CLONE_NEWUTS) < 0) g_warning("cannot leave the sandbox's UTS namespace: %s", g_strerror(errno));
  return done;
}

/* ---- processes ---- */

/* The first process of a pid namespace: the kernel reaps for it what is left to it. A copy of this one, so that it has
 * next to no memory of its own; it may only call what is safe after fork(2). */
static G_GNUC_NORETURN void wait_for_ever(void) {
  sigset_t none;
  sigemptyset(&none);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, PAUSE_NAME);
  signal(SIGCHLD, SIG_IGN);
  syscall(SYS_close_range, 0, ~0U, 0);
  setsid();
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (;;) pause();
}

static void pause_ended(pid_t pid, int wait_status, gpointer user_data) {
  Namespaces *namespaces = user_data;
  namespaces->pause = 0;
  g_warning("the first process of the sandbox's pid namespace has ended, and all in it");
}

/* Its namespace takes nobody in any more, though its file in /proc is still there. */
static gboolean is_ending(pid_t pid) {
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
  g_autofree char *stat = safe_read_file(path, STAT_MAX, NULL, NULL);
  const char *after = stat ? strrchr(stat, ')') : NULL;
  g_auto(GStrv) fields = after ? g_strsplit(after + 1, " ", -1) : NULL;
  return !fields || g_strv_length(fields) <= STAT_FLAGS ||
         (g_ascii_strtoull(fields[STAT_FLAGS], NULL, 10) & FLAG_EXITING) != 0;
}

gboolean namespaces_has_pid(const Namespaces *namespaces) {
  return namespaces->pause > 0 && !is_ending(namespaces->pause);
}

const char *namespaces_get_pid(Namespaces *namespaces, GError **error) {
  if (namespaces_has_pid(namespaces)) return namespaces->pid_path;
  if (namespaces->pause > 0) reaper_unwatch(namespaces->reaper, namespaces->pause);
  namespaces->pause = 0;
  pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid == 0) wait_for_ever();
  if (pid < 0) {
    error_set_errno(error, errno, "cannot make the sandbox's pid namespace");
    return NULL;
  }
  namespaces->pause = pid;
  reaper_watch(namespaces->reaper, pid, pause_ended, namespaces);
  g_free(namespaces->pid_path);
  namespaces->pid_path = g_strdup_printf("/proc/%d/ns/pid", (int)pid);
  return namespaces->pid_path;
}
