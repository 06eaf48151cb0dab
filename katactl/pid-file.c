// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pid-file.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "console.h"

gboolean pid_file_write(const char *path, pid_t pid, GError **error) {
  g_autofree char *text = g_strdup_printf("%d", (int)pid);
  if (safe_write_file(path, text, -1, 0644, FALSE, error)) return TRUE;
  g_prefix_error(error, "cannot write the pid file: ");
  return FALSE;
}

gboolean pid_file_send_pidfd(const char *socket_path, pid_t pid, GError **error) {
  autofd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) {
    error_set_errno(error, errno, "cannot open a pidfd of process %d", (int)pid);
    return FALSE;
  }
  return console_send(socket_path, pidfd, "pidfd", error);
}
