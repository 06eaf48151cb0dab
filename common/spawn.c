// SPDX-License-Identifier: LGPL-2.1-or-later
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "fds.h"
#include "spawn-child.h"

static char *find_program(const SpawnOptions *options, GError **error) {
  const char *name = options->argv != NULL ? options->argv[0] : NULL;
  if (options->program != NULL) name = options->program;
  if (name == NULL || *name == '\0') {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot start a program without a name");
    return NULL;
  }
  if (strchr(name, '/') != NULL) return g_strdup(name);
  char *found = g_find_program_in_path(name);
  if (found == NULL) {
    g_autofree char *shown = error_clean_text(name);
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "cannot start '%s': no such program in PATH", shown);
  }
  return found;
}

static gboolean check_fd(int fd, const char *use, GError **error) {
  if (fcntl(fd, F_GETFD) >= 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot start a program with descriptor %d as %s: not open",
              fd, use);
  return FALSE;
}

static gboolean check_fds(const SpawnOptions *options, GError **error) {
  const int stdio[] = {options->stdin_fd, options->stdout_fd, options->stderr_fd};
  static const char *const uses[] = {"stdin", "stdout", "stderr"};
  for (gsize i = 0; i < G_N_ELEMENTS(stdio); i++) {
    if (stdio[i] >= 0 && !check_fd(stdio[i], uses[i], error)) return FALSE;
  }
  for (gsize i = 0; i < options->n_keep_fds; i++) {
    if (options->keep_fds[i] <= STDERR_FILENO) {
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                  "cannot keep descriptor %d for a program: the first three are stdin, stdout and stderr",
                  options->keep_fds[i]);
      return FALSE;
    }
    if (!check_fd(options->keep_fds[i], "a kept one", error)) return FALSE;
  }
  for (gsize i = 0; i < options->n_namespaces; i++) {
    if (!check_fd(options->namespaces[i], "a namespace", error)) return FALSE;
  }
  return TRUE;
}

static int compare_fds(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* What stays open in the child until exec, in rising order. */
static int *list_kept_fds(const SpawnOptions *options, int report_fd) {
  int *kept = g_new(int, options->n_keep_fds + 1);
  if (options->n_keep_fds > 0) memcpy(kept, options->keep_fds, options->n_keep_fds * sizeof *kept);
  kept[options->n_keep_fds] = report_fd;
  qsort(kept, options->n_keep_fds + 1, sizeof *kept, compare_fds);
  return kept;
}

/* Two ends for the report; the child's is above 2 also when the caller runs without stdio. */
static gboolean make_report_sockets(int *ours, int *childs, GError **error) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
    error_set_errno(error, errno, "cannot make a socket pair to start a program");
    return FALSE;
  }
  *ours = ends[0];
  autofd int low = ends[1];
  *childs = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (*childs < 0) error_set_errno(error, errno, "cannot make a descriptor to start a program");
  return *childs >= 0;
}

/* No signal may reach the child while it still has our handlers. */
static pid_t fork_child(const SpawnPlan *plan) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pid_t pid = _Fork();
  if (pid == 0) spawn_child_main(plan);
  int reason = errno;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  errno = reason;
  return pid;
}

static void set_report_error(GError **error, const SpawnPlan *plan, const SpawnReport *report) {
  g_autofree char *program = error_clean_text(plan->program);
  if (report->stage == SPAWN_STAGE_CWD) {
    g_autofree char *cwd = error_clean_text(plan->options->cwd);
    error_set_errno(error, report->errnum, "cannot start '%s' in directory '%s'", program, cwd);
  } else if (report->stage == SPAWN_STAGE_NAMESPACE) {
    error_set_errno(error, report->errnum, "cannot join the namespaces '%s' shall run in", program);
  } else if (report->stage == SPAWN_STAGE_STDIO) {
    error_set_errno(error, report->errnum, "cannot set up the descriptors of '%s'", program);
  } else if (report->stage == SPAWN_STAGE_EXEC && report->errnum == ENOENT && access(plan->program, F_OK) == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
                "cannot start '%s': the interpreter or loader it asks for is not there", program);
  } else {
    error_set_errno(error, report->errnum, "cannot start '%s'", program);
  }
}

static void reap(pid_t pid) {
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

/* Lets the child go on and waits until it runs the program or has failed. */
static gboolean see_off(const SpawnPlan *plan, pid_t pid, int report_fd, GError **error) {
  SpawnReport report;
  ssize_t n_read = -1;
  if (send(report_fd, "g", 1, MSG_NOSIGNAL) == 1) {
    do n_read = recv(report_fd, &report, sizeof report, MSG_WAITALL);
    while (n_read < 0 && errno == EINTR);
  }
  if (n_read == 0) return TRUE;
  reap(pid);
  if (n_read == (ssize_t)sizeof report) {
    set_report_error(error, plan, &report);
  } else {
    g_autofree char *program = error_clean_text(plan->program);
    g_set_error(error, KATA_ERROR, KATA_ERR_IO, "cannot start '%s': the new process was killed", program);
  }
  return FALSE;
}

pid_t spawn_start_relayed(const SpawnOptions *options, int status_fd, int *ret_pidfd, GError **error) {
  g_autofree char *program = find_program(options, error);
  if (program == NULL || !check_fds(options, error)) return -1;
  autofd int report_fd = -1;
  autofd int child_report_fd = -1;
  if (!make_report_sockets(&report_fd, &child_report_fd, error)) return -1;
  g_autofree int *kept_fds = list_kept_fds(options, child_report_fd);
  const SpawnPlan plan = {
      .options = options,
      .program = program,
      .argv = (char *const *)options->argv,
      .envp = options->envp != NULL ? (char *const *)options->envp : environ,
      .report_fd = child_report_fd,
      .parents_fd = report_fd,
      .status_fd = status_fd,
      .kept_fds = kept_fds,
      .n_kept_fds = options->n_keep_fds + 1,
      .parent = getpid(),
  };
  pid_t pid = fork_child(&plan);
  if (pid < 0) {
    error_set_errno(error, errno, "cannot fork to start '%s'", program);
    return -1;
  }
  fd_clear(&child_report_fd);
  /* The child waits for us, so that its pid cannot be another's yet even if nobody has to reap it. */
  autofd int pidfd = ret_pidfd != NULL ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
  if (ret_pidfd != NULL && pidfd < 0 && (errno != ENOSYS || status_fd < 0)) {
    error_set_errno(error, errno, "cannot open process %d to start '%s'", (int)pid, program);
    fd_clear(&report_fd);
    reap(pid);
    return -1;
  }
  if (!see_off(&plan, pid, report_fd, error)) return -1;
  if (ret_pidfd != NULL) *ret_pidfd = fd_steal(&pidfd);
  return pid;
}

pid_t spawn_start(const SpawnOptions *options, int *ret_pidfd, GError **error) {
  return spawn_start_relayed(options, -1, ret_pidfd, error);
}
