/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log-port.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/log.h"

typedef struct {
  GLogLevelFlags level;
  int reader; /* -1: nobody */
} LogPort;

/* All that can come is his end. */
static gboolean reader_said(int fd, GIOCondition condition, gpointer user_data) {
  LogPort *port = user_data;
  char byte = 0;
  ssize_t size = read(fd, &byte, 1);
  if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR))) return G_SOURCE_CONTINUE;
  log_open(STDERR_FILENO, LOG_FORMAT_JSON, port->level);
  fd_clear(&port->reader);
  return G_SOURCE_REMOVE;
}

static gboolean accept_reader(int listener, GIOCondition condition, gpointer user_data) {
  LogPort *port = user_data;
  autofd int reader = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (reader < 0 || port->reader >= 0) return G_SOURCE_CONTINUE;
  port->reader = fd_steal(&reader);
  log_open(port->reader, LOG_FORMAT_JSON, port->level);
  g_unix_fd_add(port->reader, G_IO_IN, reader_said, port);
  return G_SOURCE_CONTINUE;
}

void log_port_serve(int listener, GLogLevelFlags level) {
  LogPort *port = g_new0(LogPort, 1);
  *port = (LogPort){.level = level, .reader = -1};
  fd_set_nonblocking(listener, TRUE, NULL);
  g_unix_fd_add(listener, G_IO_IN, accept_reader, port);
}
