/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One process of a container as callers know it: its streams, its end, and who waits for it. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "agent/crun.h"
#include "agent/reap.h"
#include "agent/stream.h"

/* Callers that may wait for one process. */
#define PROCESS_WAITERS_MAX 1024

typedef struct Process Process;

typedef void (*ProcessWaitFunc)(int exit_code, const GError *error, gpointer user_data);
typedef void (*ProcessEndedFunc)(Process *process, gpointer user_data);

struct Process {
  char *id;
  Reaper *reaper;
  gboolean has_terminal;
  pid_t pid; /* 0 before it is known and after the end */
  gboolean ended;
  gboolean waited; /* somebody was told the exit code */
  int exit_code;
  StreamWriter *in;
  StreamReader *out;
  StreamReader *err; /* NULL with a terminal */
  int terminal;      /* the master, for the window size; -1 without one */
  int terminal_peer; /* held while the process lives, so that it may let go of its terminal and take it again */
  GQueue waiters;
  ProcessEndedFunc ended_func;
  gpointer ended_data;
};

/* ended_func is told of the end after all waiters. */
Process *process_new(Reaper *reaper, const char *id, gboolean has_terminal, ProcessEndedFunc ended_func,
                     gpointer ended_data);
/* Waiters and waiting reads and writes are answered. */
void process_free(Process *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Process, process_free)

/* Makes the pipes; ret_child gets the ends for the new process, to be closed by the caller. pipe_size: 0
 * for our own choice. */
gboolean process_open_pipes(Process *process, guint pipe_size, int ret_child[3], GError **error);

/* Takes the terminal crun sent. */
gboolean process_open_terminal(Process *process, CrunConsole *console, GError **error);

/* It runs as pid, a child to be reaped. */
void process_set_started(Process *process, pid_t pid);

/* Started and not yet ended. */
gboolean process_is_alive(const Process *process);

/* func is called once, now or at the end. */
void process_wait(Process *process, ProcessWaitFunc func, gpointer user_data);
void process_cancel_wait(Process *process, gpointer user_data);

/* What becomes of a SIGTERM that the first process of a pid namespace does not handle, and would not feel. */
typedef enum {
  SIGNAL_AS_IT_IS,
  SIGNAL_ENDS_INIT, /* it gets SIGKILL instead */
} SignalManner;

/* Sends a signal. A process that has ended but was not waited for takes every signal, as a zombie does. */
gboolean process_signal(Process *process, int signal_number, SignalManner manner, GError **error);

/* Nobody reads it any more. A terminal hangs up, whichever is asked for. */
void process_close_output(Process *process, gboolean is_err);

gboolean process_resize(Process *process, guint rows, guint columns, GError **error);

/* Ended, its code told and its output read to the end: nobody needs it any more. */
gboolean process_is_done(const Process *process);
