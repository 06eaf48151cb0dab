// SPDX-License-Identifier: LGPL-2.1-or-later
/* Runs a bundle once through the public API and prints, as JSON, when each part of it was over. */
#include <kata/kata.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void fail(kata_error *err) {
  fprintf(stderr, "measure-run: %s\n%s\n", kata_error_get_message(err), kata_error_get_detail(err));
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: measure-run BUNDLE\n");
    return 1;
  }
  kata_error *err = NULL;
  char id[32];
  snprintf(id, sizeof id, "bench-%d", (int)getpid());
  double begin = now_ms();
  kata_context *context = kata_context_new(0, &err);
  if (context == NULL) fail(err);
  kata_sandbox *sandbox = kata_sandbox_create(context, id, NULL, 0, &err);
  if (sandbox == NULL) fail(err);
  double owner = now_ms();
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdout_fd = io.stderr_fd = STDERR_FILENO;
  kata_container *container = kata_container_create(sandbox, id, argv[1], &io, 0, &err);
  if (container == NULL) fail(err);
  double created = now_ms();
  int status = -1;
  if (kata_container_start(container, 0, &err) < 0) fail(err);
  double started = now_ms();
  if (kata_container_wait(container, 0, &status, &err) < 0) fail(err);
  double ended = now_ms();
  char *timeline = kata_sandbox_get_boot_timeline(sandbox, 0, &err);
  if (timeline == NULL) fail(err);
  double asked = now_ms();
  if (kata_container_delete(container, KATA_CONTAINER_DELETE_SANDBOX, NULL, &err) < 0) fail(err);
  double deleted = now_ms();
  printf("{\"status\": %d, \"owner_ms\": %.3f, \"create_ms\": %.3f, \"start_ms\": %.3f, \"wait_ms\": %.3f, "
         "\"delete_ms\": %.3f, \"timeline\": %s}\n",
         status, owner - begin, created - owner, started - created, ended - started, deleted - asked, timeline);
  kata_free(timeline);
  kata_container_unref(container);
  kata_sandbox_unref(sandbox);
  kata_context_unref(context);
  return 0;
}
