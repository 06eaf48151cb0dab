// SPDX-License-Identifier: LGPL-2.1-or-later
/* Everything here runs between fork and exec: only async-signal-safe calls, no allocation, no GLib but for macros. */
#include "spawn-child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FD 3

G_NORETURN static void give_up(const SpawnPlan *plan, SpawnStage stage) {
  SpawnReport report = {.stage = stage, .errnum = errno};
  /* If the parent is gone, nobody wants to know. */
  if (write(plan->report_fd, &report, sizeof report) < 0) _exit(126);
  _exit(127);
}

static void close_between(int first, int last) {
  if (first > last || syscall(SYS_close_range, (guint)first, (guint)last, 0) == 0) return;
  /* Linux before 5.9, and valgrind. */
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  for (int fd = first; fd <= last && (rlim_t)fd < limit.rlim_cur; fd++) close(fd);
}

static void close_all_but(const int *kept_fds, gsize n_kept_fds) {
  int first = FIRST_FD;
  for (gsize i = 0; i < n_kept_fds; i++) {
    close_between(first, kept_fds[i] - 1);
    first = kept_fds[i] + 1;
  }
  close_between(first, INT_MAX);
}

static void reset_signals(void) {
  struct sigaction by_default = {.sa_handler = SIG_DFL};
  /* Those that cannot be changed refuse, which is fine. */
  for (int number = 1; number < NSIG; number++) sigaction(number, &by_default, NULL);
}

static void unblock_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static void die_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
}

/* The sources may be 0 to 2 in any order: first all out of the way, then each to its place. */
static gboolean place_stdio(const SpawnOptions *options) {
  int sources[FIRST_FD] = {options->stdin_fd, options->stdout_fd, options->stderr_fd};
  for (int i = 0; i < FIRST_FD; i++) {
    int fd = sources[i] >= 0 ? sources[i] : open("/dev/null", (i == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
    sources[i] = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD) : -1;
    if (sources[i] < 0) return FALSE;
  }
  for (int i = 0; i < FIRST_FD; i++) {
    if (dup2(sources[i], i) < 0) return FALSE;
  }
  return TRUE;
}

/* Waits for the program and tells how it ended. */
G_NORETURN static void relay_status(const SpawnPlan *plan, pid_t pid) {
  for (int fd = 0; fd < FIRST_FD; fd++) close(fd);
  close_all_but(&plan->status_fd, 1);
  unblock_signals();
  int status;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) _exit(126);
  }
  if (write(plan->status_fd, &status, sizeof status) < 0) _exit(126);
  _exit(0);
}

G_NORETURN void spawn_child_main(const SpawnPlan *plan) {
  const SpawnOptions *options = plan->options;
  /* Or the end of the parent would not be seen. */
  close(plan->parents_fd);
  reset_signals();
  if (options->die_with_parent) die_with(plan->parent);
  char go;
  if (read(plan->report_fd, &go, 1) != 1) _exit(126);
  if (options->new_session) setsid();
  if (plan->status_fd >= 0) {
    pid_t relay = getpid();
    pid_t pid = _Fork();
    if (pid < 0) give_up(plan, SPAWN_STAGE_FORK);
    if (pid > 0) relay_status(plan, pid);
    die_with(relay);
  }
  for (gsize i = 0; i < options->n_namespaces; i++) {
    if (setns(options->namespaces[i], 0) < 0) give_up(plan, SPAWN_STAGE_NAMESPACE);
  }
  if (!place_stdio(options)) give_up(plan, SPAWN_STAGE_STDIO);
  for (gsize i = 0; i < options->n_keep_fds; i++) {
    if (fcntl(options->keep_fds[i], F_SETFD, 0) < 0) give_up(plan, SPAWN_STAGE_STDIO);
  }
  close_all_but(plan->kept_fds, plan->n_kept_fds);
  if (options->cwd != NULL && chdir(options->cwd) < 0) give_up(plan, SPAWN_STAGE_CWD);
  unblock_signals();
  execve(plan->program, plan->argv, plan->envp);
  give_up(plan, SPAWN_STAGE_EXEC);
}
