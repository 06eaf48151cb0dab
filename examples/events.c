// SPDX-License-Identifier: 0BSD
/*
 * events SANDBOX: tells what happens to the containers of a sandbox, until a line (or the end) comes on standard input
 * or the sandbox goes: both in one poll(2), as in a program with a loop of its own.
 *
 *     cc events.c $(pkg-config --cflags --libs libkata)
 */
#include <errno.h>
#include <kata/kata.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static int complain(const char *what, kata_error *err) {
  fprintf(stderr, "events: %s: %s\n", what, kata_error_get_message(err));
  kata_error_free(err);
  return 1;
}

/* Prints what there is. -1: no more will come. */
static int drain(kata_events *events) {
  for (;;) {
    kata_error *err = NULL;
    char *event = kata_events_next(events, 0, KATA_EVENTS_NEXT_DONT_WAIT, &err);
    if (event != NULL) {
      puts(event);
      fflush(stdout);
      kata_free(event);
      continue;
    }
    kata_error_code code = kata_error_get_code(err);
    if (code != KATA_ERR_TIMEOUT && code != KATA_ERR_NOT_FOUND) complain("cannot go on", err), err = NULL;
    kata_error_free(err);
    return code == KATA_ERR_TIMEOUT ? 0 : -1;
  }
}

static void loop(kata_events *events) {
  struct pollfd fds[] = {{kata_events_get_fd(events), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  /* What has happened already is there before anything makes the descriptor readable. */
  while (drain(events) == 0 && fds[1].revents == 0) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: events SANDBOX\n");
    return 2;
  }
  kata_error *err = NULL;
  kata_context *ctx = kata_context_new(0, &err);
  if (ctx == NULL) return complain("cannot begin", err);
  int status = 0;
  kata_sandbox *sandbox = kata_sandbox_open(ctx, argv[1], 0, &err);
  kata_events *events = sandbox != NULL ? kata_events_open(sandbox, 0, 0, &err) : NULL;
  if (events != NULL)
    loop(events);
  else
    status = complain("cannot watch the sandbox", err);
  kata_events_unref(events);
  kata_sandbox_unref(sandbox);
  kata_context_unref(ctx);
  return status;
}
