/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The child's side of a start. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "common/spawn.h"

/* Where a start failed; goes with an errno from child to parent. */
typedef enum {
  SPAWN_STAGE_FORK,
  SPAWN_STAGE_NAMESPACE,
  SPAWN_STAGE_STDIO,
  SPAWN_STAGE_CWD,
  SPAWN_STAGE_EXEC
} SpawnStage;

typedef struct {
  gint32 stage;
  gint32 errnum;
} SpawnReport;

/* All that the child needs, made ready before the fork: between fork and exec only async-signal-safe calls are allowed,
 * and memory allocation is not one of them. */
typedef struct {
  const SpawnOptions *options;
  const char *program; /* options->program, or argv[0], found */
  char *const *argv;
  char *const *envp;
  int report_fd;       /* a socket: the child waits for one byte, then reports failure or is closed by exec; above 2 */
  int parents_fd;      /* the parent's end of it, to be closed at once */
  int status_fd;       /* -1, or where to write the wait status, for which a process stays in between; above 2 */
  const int *kept_fds; /* in rising order, all above 2: options->keep_fds and report_fd */
  gsize n_kept_fds;
  pid_t parent;
} SpawnPlan;

/* Goes on after the fork, in the child. */
G_NORETURN void spawn_child_main(const SpawnPlan *plan);

/* As spawn_start(), but with status_fd other than -1 the pid is of the process in between; it writes the int that
 * waitpid() gave for the program to status_fd and exits. ret_pidfd gets -1 where the kernel has no pidfds. */
pid_t spawn_start_relayed(const SpawnOptions *options, int status_fd, int *ret_pidfd, GError **error);
