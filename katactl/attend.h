/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a piece of work that blocks in a thread, and meanwhile attends to signals and to the terminal's input. */
#pragma once

#include <glib.h>

typedef struct {
  void (*work)(gpointer data);                  /* in a thread of its own */
  void (*on_signal)(int number, gpointer data); /* in the calling thread */
  gpointer data;
  /* Input is copied from one descriptor to the other, only while katactl is in the terminal's foreground. A container
   * gets a terminal's input this way and not the terminal itself, or it would go on reading what is typed for the
   * shell when katactl is stopped. -1: none. relay_to is closed at the end of file. */
  int relay_from;
  int relay_to;
} Attended;

/* Blocks what is forwarded and ignores SIGPIPE; before any thread or monitor is made. */
void attend_prepare_signals(void);

/* Returns when the work is done. */
gboolean attend_run(const Attended *attended, GError **error);
