/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts programs; no threads, no signal handlers, no shell. */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct {
  const char *const *argv;
  const char *program;     /* what is executed, a path; NULL: argv[0] */
  const char *const *envp; /* NULL: the caller's */
  const char *cwd;         /* NULL: the caller's */
  int stdin_fd;            /* -1: /dev/null; the caller's descriptors stay the caller's */
  int stdout_fd;
  int stderr_fd;
  const int *keep_fds; /* passed on under their own numbers, which must be above 2 */
  gsize n_keep_fds;
  const int *namespaces; /* of setns(2), joined before the directory is changed and the program is looked for */
  gsize n_namespaces;
  gboolean new_session;     /* setsid() */
  gboolean die_with_parent; /* PR_SET_PDEATHSIG SIGKILL: dies with the thread that started it */
} SpawnOptions;

#define SPAWN_OPTIONS_INIT \
  { .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1 }

/* Starts options->program, or argv[0] (absolute, or found in PATH). All other descriptors are closed in the
 * child, its signal mask and dispositions are the default ones. Returns the pid, or -1 with an
 * error that names the program and why it could not be started (exec failures included).
 * ret_pidfd: may be NULL. The child is the caller's to wait for; works also where SIGCHLD is ignored. */
pid_t spawn_start(const SpawnOptions *options, int *ret_pidfd, GError **error);

/* Runs to the end and collects output: the first limit bytes of each, what comes after is read and dropped.
 * ret_stdout or ret_stderr NULL: that one goes where options says, as stdin does without input. input: bytes for its
 * stdin or NULL. timeout_ms: 0 for none; killed when it passes (with new_session: the whole session's process group).
 * A program that leaves others behind with its pipes open has ended all the same.
 * Returns FALSE if it could not be started or timed out; otherwise *ret_status is as from waitpid(), whatever the
 * caller does with SIGCHLD. */
gboolean spawn_run(const SpawnOptions *options, GBytes *input, gsize limit, int timeout_ms, char **ret_stdout,
                   gsize *ret_length, char **ret_stderr, int *ret_status, GError **error);
