// SPDX-License-Identifier: 0BSD
/*
 * exec-pipes CONTAINER COMMAND [ARGUMENT...]: runs a command in a running container, with this program's input, and
 * tells its output from its errors; ends with its exit status.
 *
 *     cc exec-pipes.c $(pkg-config --cflags --libs libkata)
 */
#include <errno.h>
#include <kata/kata.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_FAILED = 125 };

static int complain(const char *what, kata_error *err) {
  fprintf(stderr, "exec-pipes: %s: %s\n", what, kata_error_get_message(err));
  kata_error_free(err);
  return STATUS_FAILED;
}

/* {"args": [...], "cwd": "/", "env": [...]}; a program with a JSON library would use that. */
static char *make_process(char **args) {
  static char json[8192];
  size_t at = (size_t)snprintf(json, sizeof json, "{\"cwd\": \"/\", \"env\": [\"PATH=/usr/bin:/bin\"], \"args\": [");
  for (char **arg = args; *arg != NULL; arg++) {
    if (arg != args) json[at++] = ',';
    json[at++] = '"';
    for (const char *c = *arg; *c != '\0' && at < sizeof json - 16; c++)
      at += (size_t)snprintf(json + at, sizeof json - at, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    json[at++] = '"';
  }
  strcpy(json + at, "]}");
  return json;
}

/* Copies what there is, with a word before each piece. 0: the end. */
static ssize_t show(int fd, const char *word) {
  char text[4096];
  ssize_t got = read(fd, text, sizeof text);
  if (got > 0) printf("%s: %.*s", word, (int)got, text);
  return got;
}

static void show_both(int out, int err) {
  struct pollfd fds[] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  for (int open = 2; open > 0;) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
    for (int i = 0; i < 2; i++) {
      if (fds[i].revents == 0 || show(fds[i].fd, i == 0 ? "output" : "errors") > 0) continue;
      fds[i].fd = -1; /* poll(2) leaves it out */
      open--;
    }
  }
}

static int run(kata_container *container, char **args) {
  int out[2], errors[2];
  if (pipe(out) < 0 || pipe(errors) < 0) return STATUS_FAILED;
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdin_fd = STDIN_FILENO;
  io.stdout_fd = out[1];
  io.stderr_fd = errors[1];
  kata_error *err = NULL;
  kata_process *process = kata_container_exec(container, NULL, make_process(args), &io, 0, &err);
  /* The owner has its own copies: with ours closed, the pipes end when the process's streams do. */
  close(out[1]);
  close(errors[1]);
  if (process == NULL) return complain("cannot run the command", err);
  int status = STATUS_FAILED;
  if (kata_process_start(process, 0, &err) < 0) {
    complain("cannot start the command", err);
  } else {
    show_both(out[0], errors[0]);
    if (kata_process_wait(process, 0, &status, &err) < 0) complain("cannot wait for the command", err);
  }
  kata_process_delete(process, 0, NULL, NULL);
  kata_process_unref(process);
  return status;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: exec-pipes CONTAINER COMMAND [ARGUMENT...]\n");
    return STATUS_FAILED;
  }
  kata_error *err = NULL;
  kata_context *ctx = kata_context_new(0, &err);
  if (ctx == NULL) return complain("cannot begin", err);
  kata_container *container = kata_container_open(ctx, argv[1], 0, &err);
  int status = container != NULL ? run(container, argv + 2) : complain("cannot open the container", err);
  kata_container_unref(container);
  kata_context_unref(ctx);
  return status;
}
