// SPDX-License-Identifier: 0BSD
/*
 * terminal CONTAINER [COMMAND [ARGUMENT...]]: an interactive terminal in a running container (default: sh). This
 * program's terminal becomes raw, since the guest's has the line discipline, and its size is followed.
 *
 *     cc terminal.c $(pkg-config --cflags --libs libkata) -lpthread
 */
#include <kata/kata.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int complain(const char *what, kata_error *err) {
  fprintf(stderr, "terminal: %s: %s\n", what, kata_error_get_message(err));
  kata_error_free(err);
  return 125;
}

static void follow_size(kata_process *process) {
  struct winsize size;
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) kata_process_resize(process, size.ws_col, size.ws_row, NULL);
}

/* SIGWINCH is blocked everywhere and waited for here: a signal handler could not call the library. */
static void *follow(void *process) {
  sigset_t resized;
  sigemptyset(&resized);
  sigaddset(&resized, SIGWINCH);
  for (int signal; sigwait(&resized, &signal) == 0;) follow_size(process);
  return NULL;
}

static void make_raw(struct termios *terminal) {
  terminal->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  terminal->c_oflag &= ~(tcflag_t)OPOST;
  terminal->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
}

static int run(kata_process *process) {
  kata_error *err = NULL;
  if (kata_process_start(process, 0, &err) < 0) return complain("cannot start it", err);
  follow_size(process);
  pthread_t follower;
  if (pthread_create(&follower, NULL, follow, process) != 0) return 125;
  int status = 125;
  if (kata_process_wait(process, 0, &status, &err) < 0) complain("cannot wait for it", err);
  pthread_cancel(follower);
  pthread_join(follower, NULL);
  return status;
}

static int run_raw(kata_process *process) {
  struct termios before, raw;
  if (tcgetattr(STDIN_FILENO, &before) < 0) return run(process);
  raw = before;
  make_raw(&raw);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  int status = run(process);
  tcsetattr(STDIN_FILENO, TCSANOW, &before);
  return status;
}

/* Words without quotes and backslashes, for brevity. */
static void make_process(char *json, size_t size, char **args) {
  static char *const shell[] = {(char *)"sh", NULL};
  size_t at = (size_t)snprintf(json, size,
                               "{\"terminal\": true, \"cwd\": \"/\", \"env\": [\"PATH=/bin:/usr/bin\", "
                               "\"TERM=xterm\"], \"args\": [");
  for (char *const *arg = *args != NULL ? args : shell; *arg != NULL && at < size; arg++)
    at += (size_t)snprintf(json + at, size - at, "\"%s\"%s", *arg, arg[1] != NULL ? ", " : "]}");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: terminal CONTAINER [COMMAND [ARGUMENT...]]\n");
    return 125;
  }
  sigset_t resized;
  sigemptyset(&resized);
  sigaddset(&resized, SIGWINCH);
  sigprocmask(SIG_BLOCK, &resized, NULL);

  kata_error *err = NULL;
  kata_context *ctx = kata_context_new(0, &err);
  if (ctx == NULL) return complain("cannot begin", err);
  kata_container *container = kata_container_open(ctx, argv[1], 0, &err);
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdin_fd = STDIN_FILENO;
  io.stdout_fd = STDOUT_FILENO;
  io.terminal = 1;
  char json[4096];
  make_process(json, sizeof json, argv + 2);
  kata_process *process = container != NULL ? kata_container_exec(container, NULL, json, &io, 0, &err) : NULL;
  int status = process != NULL ? run_raw(process) : complain("cannot run in the container", err);
  if (process != NULL) kata_process_delete(process, 0, NULL, NULL);
  kata_process_unref(process);
  kata_container_unref(container);
  kata_context_unref(ctx);
  return status;
}
