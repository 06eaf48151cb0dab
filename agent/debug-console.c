/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/debug-console.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

/* Between a shell's end and the next one on the same device. */
#define RESTART_MS 1000
#define BLOCK_SIZE 4096
/* More than a terminal holds: whom the shell leaves behind may write for ever. */
#define LAST_BLOCKS_MAX 64

static const char *const shells[] = {"/run/kata-extensions/devkit/bin/devkit-sh", "/bin/bash", "/bin/sh"};
static const char no_shell[] =
    "kata-agent: a debug console was asked for, but this guest image has no shell "
    "(neither devkit-sh, nor /bin/bash, nor /bin/sh)\r\n";

const char *debug_console_find_shell(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(shells); i++)
    if (access(shells[i], X_OK) == 0) return shells[i];
  return NULL;
}

/* In the child; only what is safe after fork(2). */
static G_GNUC_NORETURN void become_shell(const char *shell, int terminal) {
  static char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"HOME=/root",
                                      (char *)"TERM=linux", NULL};
  char *const arguments[] = {(char *)shell, (char *)"-i", NULL};
  sigset_t none;
  sigemptyset(&none);
  setsid();
  ioctl(terminal, TIOCSCTTY, 1);
  for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) dup2(terminal, i);
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
  signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(shell, arguments, environment);
  _exit(127);
}

static pid_t start_shell(const char *shell, int terminal) {
  pid_t pid = fork();
  if (pid == 0) become_shell(shell, terminal);
  if (pid < 0) g_warning("cannot start the shell '%s': %s", shell, g_strerror(errno));
  return pid;
}

/* ---- on a device ---- */

typedef struct {
  Reaper *reaper;
  char *device;
} Console;

static gboolean run_shell(gpointer user_data);

static void shell_ended(pid_t pid, int wait_status, gpointer user_data) {
  g_timeout_add(RESTART_MS, run_shell, user_data);
}

static gboolean run_shell(gpointer user_data) {
  Console *console = user_data;
  const char *shell = debug_console_find_shell();
  autofd int terminal = open(console->device, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0)
    g_warning("cannot open '%s' for the debug console: %s", console->device, g_strerror(errno));
  else if (!shell)
    fd_write_all(terminal, no_shell, strlen(no_shell));
  pid_t pid = terminal >= 0 && shell ? start_shell(shell, terminal) : -1;
  if (pid > 0) reaper_watch(console->reaper, pid, shell_ended, console);
  return G_SOURCE_REMOVE;
}

void debug_console_run(Reaper *reaper, const char *device) {
  Console *console = g_new0(Console, 1);
  console->reaper = reaper;
  console->device = g_strdup(device);
  run_shell(console);
}

/* ---- for connections ---- */

typedef struct {
  Reaper *reaper;
  guint shells;
} Server;

typedef struct {
  Server *server;
  pid_t pid; /* 0: it has ended */
  int connection;
  int master;
  guint sources[2];
} Session;

static void session_free(Session *session) {
  for (gsize i = 0; i < G_N_ELEMENTS(session->sources); i++)
    if (session->sources[i]) g_source_remove(session->sources[i]);
  if (session->pid > 0) {
    reaper_unwatch(session->server->reaper, session->pid);
    kill(-session->pid, SIGHUP);
    kill(session->pid, SIGKILL);
  }
  fd_clear(&session->connection);
  fd_clear(&session->master);
  session->server->shells--;
  g_free(session);
}

static void session_shell_ended(pid_t pid, int wait_status, gpointer user_data) {
  Session *session = user_data;
  session->pid = 0;
  /* What it said last is still in the terminal. */
  char block[BLOCK_SIZE];
  fd_set_nonblocking(session->master, TRUE, NULL);
  for (guint i = 0; i < LAST_BLOCKS_MAX; i++) {
    ssize_t size = read(session->master, block, sizeof block);
    /* He is not waited for: this is the main loop. */
    if (size <= 0 || write(session->connection, block, (gsize)size) < size) break;
  }
  session_free(session);
}

/* A debugger that does not read holds up nobody but himself: what he leaves is dropped. */
static gboolean move(int from, GIOCondition condition, gpointer user_data) {
  Session *session = user_data;
  gboolean is_input = from == session->connection;
  char block[BLOCK_SIZE];
  ssize_t size = read(from, block, sizeof block);
  if (size > 0) {
    ssize_t written = write(is_input ? session->master : session->connection, block, (gsize)size);
    if (written >= 0 || errno == EAGAIN) return G_SOURCE_CONTINUE;
  }
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return G_SOURCE_CONTINUE;
  session->sources[is_input ? 0 : 1] = 0;
  /* The shell's end comes by itself; that of the connection ends the shell. */
  if (is_input || session->pid == 0) session_free(session);
  return G_SOURCE_REMOVE;
}

static void say_no_shell(int connection) {
  if (!fd_write_all(connection, no_shell, strlen(no_shell))) g_debug("the debugger is gone");
}

static gboolean open_terminal(int *ret_master, int *ret_slave) {
  *ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (*ret_master < 0 || grantpt(*ret_master) < 0 || unlockpt(*ret_master) < 0) return FALSE;
  *ret_slave = ioctl(*ret_master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return *ret_slave >= 0;
}

static gboolean accept_debugger(int listener, GIOCondition condition, gpointer user_data) {
  Server *server = user_data;
  autofd int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  const char *shell = debug_console_find_shell();
  if (connection < 0 || server->shells >= DEBUG_CONSOLE_SHELLS_MAX) return G_SOURCE_CONTINUE;
  if (!shell) {
    say_no_shell(connection);
    return G_SOURCE_CONTINUE;
  }
  autofd int master = -1;
  autofd int slave = -1;
  pid_t pid = open_terminal(&master, &slave) ? start_shell(shell, slave) : -1;
  if (pid < 0) {
    g_warning("cannot start a shell for the debug console: %s", g_strerror(errno));
    return G_SOURCE_CONTINUE;
  }
  fd_set_nonblocking(master, TRUE, NULL);
  Session *session = g_new0(Session, 1);
  *session = (Session){.server = server, .pid = pid, .connection = fd_steal(&connection), .master = fd_steal(&master)};
  server->shells++;
  session->sources[0] = g_unix_fd_add(session->connection, G_IO_IN, move, session);
  session->sources[1] = g_unix_fd_add(session->master, G_IO_IN, move, session);
  reaper_watch(server->reaper, pid, session_shell_ended, session);
  return G_SOURCE_CONTINUE;
}

void debug_console_serve(Reaper *reaper, int listener) {
  Server *server = g_new0(Server, 1);
  server->reaper = reaper;
  fd_set_nonblocking(listener, TRUE, NULL);
  g_unix_fd_add(listener, G_IO_IN, accept_debugger, server);
}
