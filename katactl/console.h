/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Terminals: the pair made for a detached container, and the one katactl itself runs on. */
#pragma once

#include <glib.h>
#include <termios.h>

/* A new terminal; the slave is raw, for the guest has the line discipline. */
gboolean console_open_pair(int *ret_master, int *ret_slave, char **ret_name, GError **error);

/* Connects to the unix socket and sends one descriptor beside its name. */
gboolean console_send(const char *socket_path, int fd, const char *name, GError **error);

/* Rows and columns; FALSE if fd is no terminal or has no size yet. */
gboolean console_get_size(int fd, guint *ret_columns, guint *ret_rows);

/* The terminal katactl runs on, raw between the two calls. Both do nothing on what is no terminal. */
typedef struct {
  int fd;
  gboolean is_raw;
  struct termios before;
} ConsoleMode;

void console_mode_enter(ConsoleMode *mode, int fd);
void console_mode_leave(ConsoleMode *mode);
