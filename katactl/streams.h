/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the streams of a process lead: katactl's own, or a new terminal whose other side goes to the caller. */
#pragma once

#include <glib.h>

#include "console.h"
#include "kata/process.h"

typedef struct {
  kata_process_io io; /* host_pid is the user's to set */
  int terminal_fd;    /* the terminal whose size the process follows; -1: none */
  int slave;          /* of a new terminal, or -1 */
  int relay_read;     /* pipe that carries katactl's own terminal input, or -1 */
  int relay_write;
  ConsoleMode mode;
} Streams;

#define STREAMS_INIT                                                                                           \
  {                                                                                                            \
    .io = KATA_PROCESS_IO_INIT, .terminal_fd = -1, .slave = -1, .relay_read = -1, .relay_write = -1, .mode = { \
      .fd = -1                                                                                                 \
    }                                                                                                          \
  }

/* For a process that outlives katactl. console_socket must be given if and only if terminal is set. */
gboolean streams_open_detached(Streams *streams, gboolean terminal, const char *console_socket, GError **error);

/* For one that katactl stays with: its own 0, 1 and 2; a terminal among them is made raw if the process has one too. */
gboolean streams_open_foreground(Streams *streams, gboolean terminal, GError **error);

/* Closes what was opened and gives the terminal its mode back. */
void streams_close(Streams *streams);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Streams, streams_close)

/* runc's rule and texts for --console-socket. */
gboolean streams_check_console(gboolean detached, gboolean terminal, const char *console_socket, GError **error);
