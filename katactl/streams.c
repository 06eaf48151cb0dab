// SPDX-License-Identifier: LGPL-2.1-or-later
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

gboolean streams_check_console(gboolean detached, gboolean terminal, const char *console_socket, GError **error) {
  if (detached && terminal && console_socket == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot allocate tty if runc will detach without setting console socket");
    return FALSE;
  }
  if ((!detached || !terminal) && console_socket != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot use console socket if runc will not detach or allocate tty");
    return FALSE;
  }
  return TRUE;
}

static void use_own(Streams *streams) {
  streams->io.stdin_fd = STDIN_FILENO;
  streams->io.stdout_fd = STDOUT_FILENO;
  streams->io.stderr_fd = STDERR_FILENO;
}

gboolean streams_open_detached(Streams *streams, gboolean terminal, const char *console_socket, GError **error) {
  if (!terminal) {
    use_own(streams);
    return TRUE;
  }
  autofd int master = -1;
  g_autofree char *name = NULL;
  if (!console_open_pair(&master, &streams->slave, &name, error)) return FALSE;
  if (!console_send(console_socket, master, name, error)) {
    g_prefix_error(error, "cannot send the terminal: ");
    return FALSE;
  }
  streams->terminal_fd = streams->slave;
  streams->io.stdin_fd = streams->slave;
  streams->io.stdout_fd = streams->slave;
  streams->io.terminal = 1;
  return TRUE;
}

gboolean streams_open_foreground(Streams *streams, gboolean terminal, GError **error) {
  use_own(streams);
  if (isatty(STDIN_FILENO)) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
      error_set_errno(error, errno, "cannot make a pipe for the terminal's input");
      return FALSE;
    }
    streams->relay_read = ends[0];
    streams->relay_write = ends[1];
    streams->io.stdin_fd = streams->relay_read;
  }
  if (!terminal) return TRUE;
  streams->io.terminal = 1;
  streams->io.stderr_fd = -1;
  streams->terminal_fd = isatty(STDIN_FILENO) ? STDIN_FILENO : isatty(STDOUT_FILENO) ? STDOUT_FILENO : -1;
  console_mode_enter(&streams->mode, isatty(STDIN_FILENO) ? STDIN_FILENO : -1);
  return TRUE;
}

void streams_close(Streams *streams) {
  console_mode_leave(&streams->mode);
  fd_clear(&streams->slave);
  fd_clear(&streams->relay_read);
  fd_clear(&streams->relay_write);
}
