// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "signals.h"
#include "subject.h"

#define WAITER_STACK (256u << 10)
#define FIRST_FREE_FD 3

static void close_between(int first, int last) {
  if (first <= last) close_range((unsigned)first, (unsigned)last, 0);
}

/* Of those above the standard streams; other: may be -1. */
static void close_all_but(int one, int other) {
  int low = MIN(one, other), high = MAX(one, other);
  close_between(FIRST_FREE_FD, low - 1);
  close_between(MAX(FIRST_FREE_FD, low + 1), high - 1);
  close_range((unsigned)high + 1, ~0U, 0);
}

/* What the container's streams are stays open under its own number: a new owner, which takes over from one that was
 * killed, finds it here; and it goes with the monitor, when the container has ended. All else would only keep the
 * caller's readers from their end of file. */
static gboolean keep_descriptors(int go_fd, int terminal_fd) {
  close_all_but(go_fd, terminal_fd);
  if (terminal_fd < 0) return TRUE;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  gboolean is_done = null >= 0;
  for (int fd = 0; fd < FIRST_FREE_FD && is_done; fd++) is_done = dup2(null, fd) >= 0;
  fd_clear(&null);
  return is_done;
}

/* What the caller says at the end of its work; it says nothing when it is killed. */
#define WORD_GO 'g'
#define WORD_ABORT 'a'
#define WORD_NONE '\0'

static char wait_for_word(int fd) {
  char word = WORD_NONE;
  return fd_read_all(fd, &word, 1) == 1 ? word : WORD_NONE;
}

typedef struct {
  Subject subject;
  pthread_t main_thread;
  int status;
} Watch;

/* SIGCHLD is free for this: the monitor has no children, and nobody sends it on. */
static void *wait_for_end(void *data) {
  Watch *watch = data;
  watch->status = subject_wait(&watch->subject, NULL);
  pthread_kill(watch->main_thread, SIGCHLD);
  return NULL;
}

/* Takes one signal after the other until the waiting thread sends the last. */
static void pass_on_signals(Subject *subject, const sigset_t *taken, int terminal_fd) {
  for (;;) {
    siginfo_t info;
    int number = sigwaitinfo(taken, &info);
    if (number == SIGCHLD) return;
    if (number == SIGWINCH && terminal_fd >= 0) {
      subject_resize(subject, terminal_fd);
    } else if (number > 0) {
      subject_kill(subject, number);
    }
  }
}

static int watch_subject(Watch *watch, const sigset_t *taken, int terminal_fd) {
  pthread_attr_t attributes;
  pthread_t waiter;
  watch->main_thread = pthread_self();
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, WAITER_STACK);
  int failure = pthread_create(&waiter, &attributes, wait_for_end, watch);
  pthread_attr_destroy(&attributes);
  if (failure != 0) return SUBJECT_STATUS_UNKNOWN;
  subject_resize(&watch->subject, terminal_fd);
  pass_on_signals(&watch->subject, taken, terminal_fd);
  pthread_join(waiter, NULL);
  return watch->status;
}

static int run_monitor(kata_context *context, const char *container_id, const char *exec_id, int go_fd, int terminal_fd,
                       const View *view) {
  sigset_t taken;
  signals_get_forwarded(TRUE, &taken);
  sigaddset(&taken, SIGCHLD);
  sigprocmask(SIG_SETMASK, &taken, NULL);
  setsid();
  prctl(PR_SET_PDEATHSIG, 0);
  prctl(PR_SET_NAME, MONITOR_NAME);
  g_autoptr(GError) error = NULL;
  if (view != NULL && !view_enter(view, &error)) {
    g_warning("the process that stands for container '%s': %s", container_id, error->message);
    return SUBJECT_STATUS_UNKNOWN;
  }
  if (!keep_descriptors(go_fd, terminal_fd) || chdir("/") < 0) return SUBJECT_STATUS_UNKNOWN;
  if (terminal_fd >= 0) ioctl(terminal_fd, TIOCSCTTY, 0);
  char word = wait_for_word(go_fd);
  close(go_fd);
  /* Nobody has been told of a container whose maker was killed. An exec goes with this process. */
  if (word == WORD_NONE && exec_id == NULL) subject_remove(context, container_id, getpid());
  if (word != WORD_GO) return SUBJECT_STATUS_UNKNOWN;

  /* One heap for both threads, and back to the kernel what the command's own start has used of it. */
  mallopt(M_ARENA_MAX, 1);
  malloc_trim(0);
  Watch watch = {.status = SUBJECT_STATUS_UNKNOWN};
  if (!subject_open(&watch.subject, context, container_id, exec_id, NULL)) return SUBJECT_STATUS_UNKNOWN;
  int status = watch_subject(&watch, &taken, terminal_fd);
  subject_clear(&watch.subject);
  return status;
}

gboolean monitor_start(Monitor *monitor, kata_context *context, const char *container_id, const char *exec_id,
                       int terminal_fd, const View *view, GError **error) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    error_set_errno(error, errno, "cannot make a pipe to the monitor process");
    return FALSE;
  }
  autofd int read_end = ends[0];
  autofd int write_end = ends[1];
  pid_t pid = fork();
  if (pid < 0) {
    error_set_errno(error, errno, "cannot start the monitor process");
    return FALSE;
  }
  if (pid == 0) _exit(run_monitor(context, container_id, exec_id, read_end, terminal_fd, view));
  monitor->pid = pid;
  monitor->go_fd = fd_steal(&write_end);
  return TRUE;
}

gboolean monitor_release(Monitor *monitor, GError **error) {
  const char word = WORD_GO;
  if (!fd_write_all(monitor->go_fd, &word, 1)) {
    error_set_errno(error, errno, "cannot let monitor process %d go on", (int)monitor->pid);
    return FALSE;
  }
  fd_clear(&monitor->go_fd);
  monitor->pid = 0;
  return TRUE;
}

void monitor_abort(Monitor *monitor) {
  if (monitor->pid <= 0) return;
  const char word = WORD_ABORT;
  fd_write_all(monitor->go_fd, &word, 1);
  fd_clear(&monitor->go_fd);
  while (waitpid(monitor->pid, NULL, 0) < 0 && errno == EINTR) continue;
  monitor->pid = 0;
}
