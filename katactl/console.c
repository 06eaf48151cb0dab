// SPDX-License-Identifier: LGPL-2.1-or-later
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

gboolean console_open_pair(int *ret_master, int *ret_slave, char **ret_name, GError **error) {
  autofd int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  char name[64];
  if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, sizeof name) != 0) {
    error_set_errno(error, errno, "cannot open a new terminal on /dev/ptmx");
    return FALSE;
  }
  autofd int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  struct termios mode;
  if (slave < 0 || tcgetattr(slave, &mode) < 0) {
    error_set_errno(error, errno, "cannot open terminal '%s'", name);
    return FALSE;
  }
  cfmakeraw(&mode);
  if (tcsetattr(slave, TCSANOW, &mode) < 0) {
    error_set_errno(error, errno, "cannot make terminal '%s' raw", name);
    return FALSE;
  }
  *ret_master = fd_steal(&master);
  *ret_slave = fd_steal(&slave);
  *ret_name = g_strdup(name);
  return TRUE;
}

gboolean console_send(const char *socket_path, int fd, const char *name, GError **error) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(socket_path) >= sizeof address.sun_path) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot connect to '%s': path is longer than %zu bytes",
                socket_path, sizeof address.sun_path - 1);
    return FALSE;
  }
  strcpy(address.sun_path, socket_path);
  autofd int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (peer < 0 || connect(peer, (struct sockaddr *)&address, sizeof address) < 0) {
    error_set_errno(error, errno, "cannot connect to '%s'", socket_path);
    return FALSE;
  }
  return fd_send(peer, fd, name, error);
}

gboolean console_get_size(int fd, guint *ret_columns, guint *ret_rows) {
  struct winsize size;
  if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0) return FALSE;
  *ret_columns = size.ws_col;
  *ret_rows = size.ws_row;
  return TRUE;
}

void console_mode_enter(ConsoleMode *mode, int fd) {
  *mode = (ConsoleMode){.fd = fd};
  if (fd < 0 || tcgetattr(fd, &mode->before) < 0) return;
  struct termios raw = mode->before;
  cfmakeraw(&raw);
  mode->is_raw = tcsetattr(fd, TCSANOW, &raw) == 0;
}

void console_mode_leave(ConsoleMode *mode) {
  if (!mode->is_raw) return;
  tcsetattr(mode->fd, TCSADRAIN, &mode->before);
  mode->is_raw = FALSE;
}
