/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* Pipes are this long unless the kernel's command line says otherwise: a call of the host costs the same for one byte
 * as for all that fits, and pages are only taken for what is in the pipe. */
#define PIPE_SIZE (1u << 20)
/* /proc/PID/status, with room for the longest lists of groups. */
#define PROC_STATUS_MAX (1u << 20)

typedef struct {
  ProcessWaitFunc func;
  gpointer user_data;
} Waiter;

Process *process_new(Reaper *reaper, const char *id, gboolean has_terminal, ProcessEndedFunc ended_func,
                     gpointer ended_data) {
  Process *process = g_new0(Process, 1);
  process->id = g_strdup(id);
  process->reaper = reaper;
  process->has_terminal = has_terminal;
  process->terminal = -1;
  process->terminal_peer = -1;
  g_queue_init(&process->waiters);
  process->ended_func = ended_func;
  process->ended_data = ended_data;
  return process;
}

static void tell_waiters(Process *process, const GError *error) {
  while (!g_queue_is_empty(&process->waiters)) {
    g_autofree Waiter *waiter = g_queue_pop_head(&process->waiters);
    if (!error) process->waited = TRUE;
    waiter->func(process->exit_code, error, waiter->user_data);
  }
}

void process_free(Process *process) {
  if (!process) return;
  if (process->pid > 0) reaper_unwatch(process->reaper, process->pid);
  g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_NOT_FOUND, "process '%s' is gone", process->id);
  tell_waiters(process, error);
  stream_writer_free(process->in);
  stream_reader_free(process->out);
  stream_reader_free(process->err);
  fd_clear(&process->terminal);
  fd_clear(&process->terminal_peer);
  g_free(process->id);
  g_free(process);
}

static gboolean open_pipe(guint size, int ret_ends[2], GError **error) {
  if (pipe2(ret_ends, O_CLOEXEC) < 0) {
    error_set_errno(error, errno, "cannot make a pipe");
    return FALSE;
  }
  /* A pipe of another size is as good: the limit may be lower here. */
  fcntl(ret_ends[1], F_SETPIPE_SZ, (int)(size > 0 ? size : PIPE_SIZE));
  return TRUE;
}

gboolean process_open_pipes(Process *process, guint pipe_size, int ret_child[3], GError **error) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  if (!open_pipe(pipe_size, in, error) || !open_pipe(pipe_size, out, error) || !open_pipe(pipe_size, err, error)) {
    for (int i = 0; i < 2; i++) {
      fd_clear(&in[i]);
      fd_clear(&out[i]);
      fd_clear(&err[i]);
    }
    return FALSE;
  }
  process->in = stream_writer_new(in[1]);
  process->out = stream_reader_new(out[0]);
  process->err = stream_reader_new(err[0]);
  ret_child[0] = in[0];
  ret_child[1] = out[1];
  ret_child[2] = err[1];
  return TRUE;
}

gboolean process_open_terminal(Process *process, CrunConsole *console, GError **error) {
  autofd int master = crun_console_receive(console, error);
  if (master < 0) return FALSE;
  autofd int input = fcntl(master, F_DUPFD_CLOEXEC, 3);
  autofd int output = fcntl(master, F_DUPFD_CLOEXEC, 3);
  if (input < 0 || output < 0) {
    error_set_errno(error, errno, "cannot duplicate the terminal of process '%s'", process->id);
    return FALSE;
  }
  process->terminal_peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  process->in = stream_writer_new(fd_steal(&input));
  process->out = stream_reader_new(fd_steal(&output));
  process->terminal = fd_steal(&master);
  return TRUE;
}

static void process_ended(pid_t pid, int wait_status, gpointer user_data) {
  Process *process = user_data;
  process->pid = 0;
  process->ended = TRUE;
  process->exit_code = reaper_exit_code(wait_status);
  fd_clear(&process->terminal_peer);
  if (process->in) stream_writer_set_ended(process->in);
  if (process->out) stream_reader_set_ended(process->out);
  if (process->err) stream_reader_set_ended(process->err);
  tell_waiters(process, NULL);
  process->ended_func(process, process->ended_data);
}

void process_set_started(Process *process, pid_t pid) {
  process->pid = pid;
  reaper_watch(process->reaper, pid, process_ended, process);
}

gboolean process_is_alive(const Process *process) { return process->pid > 0; }

void process_wait(Process *process, ProcessWaitFunc func, gpointer user_data) {
  if (process->ended) {
    process->waited = TRUE;
    func(process->exit_code, NULL, user_data);
    return;
  }
  if (g_queue_get_length(&process->waiters) >= PROCESS_WAITERS_MAX) {
    g_autoptr(GError) error =
        g_error_new(KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d callers wait for process '%s'",
                    PROCESS_WAITERS_MAX, process->id);
    func(0, error, user_data);
    return;
  }
  Waiter *waiter = g_new(Waiter, 1);
  *waiter = (Waiter){func, user_data};
  g_queue_push_tail(&process->waiters, waiter);
}

void process_cancel_wait(Process *process, gpointer user_data) {
  for (GList *link = process->waiters.head; link; link = link->next) {
    Waiter *waiter = link->data;
    if (waiter->user_data != user_data) continue;
    g_queue_delete_link(&process->waiters, link);
    g_free(waiter);
    return;
  }
}

/* Others than the first end by a signal without a handler. The last of the numbers is that in the process's own. */
static gboolean is_first_of_namespace(const char *status) {
  const char *line = strstr(status, "\nNSpid:");
  if (!line) return TRUE;
  g_autofree char *numbers = g_strndup(line + 1, strcspn(line + 1, "\n"));
  const char *last = strrchr(numbers, '\t');
  return last && strcmp(last + 1, "1") == 0;
}

/* Whether the process catches, ignores or blocks the signal, going by "Sig...:\t<hex mask>" in /proc/PID/status. */
static gboolean handles_signal(pid_t pid, int signal_number) {
  g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
  g_autofree char *status = safe_read_file(path, PROC_STATUS_MAX, NULL, NULL);
  if (!status || !is_first_of_namespace(status)) return TRUE;
  static const char *const names[] = {"\nSigBlk:\t", "\nSigIgn:\t", "\nSigCgt:\t"};
  guint64 mask = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    const char *line = strstr(status, names[i]);
    if (line) mask |= g_ascii_strtoull(line + strlen(names[i]), NULL, 16);
  }
  return (mask >> (signal_number - 1)) & 1;
}

gboolean process_signal(Process *process, int signal_number, SignalManner manner, GError **error) {
  if (process->ended && !process->waited) return TRUE;
  if (process->pid <= 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "process '%s' %s", process->id,
                process->ended ? "has already finished" : "has not started yet");
    return FALSE;
  }
  if (signal_number == SIGTERM && manner == SIGNAL_ENDS_INIT && !handles_signal(process->pid, SIGTERM))
    signal_number = SIGKILL;
  if (kill(process->pid, signal_number) == 0 || errno == ESRCH) return TRUE;
  error_set_errno(error, errno, "cannot send signal %d to process '%s'", signal_number, process->id);
  return FALSE;
}

void process_close_output(Process *process, gboolean is_err) {
  if (is_err && process->err) stream_reader_close(process->err);
  if (is_err && !process->has_terminal) return;
  stream_reader_close(process->out);
  if (!process->has_terminal) return;
  /* The last descriptors of the terminal's master are those. */
  stream_writer_close(process->in);
  fd_clear(&process->terminal);
  fd_clear(&process->terminal_peer);
}

gboolean process_resize(Process *process, guint rows, guint columns, GError **error) {
  if (process->terminal < 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "no tty");
    return FALSE;
  }
  if (rows > G_MAXUSHORT || columns > G_MAXUSHORT) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "a window of %u rows and %u columns is too large: no more than %d of each", rows, columns, G_MAXUSHORT);
    return FALSE;
  }
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  if (ioctl(process->terminal, TIOCSWINSZ, &size) == 0) return TRUE;
  error_set_errno(error, errno, "cannot set the window size of process '%s'", process->id);
  return FALSE;
}

gboolean process_is_done(const Process *process) {
  return process->ended && process->waited && (!process->out || stream_reader_is_drained(process->out)) &&
         (!process->err || stream_reader_is_drained(process->err));
}
