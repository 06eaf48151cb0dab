// SPDX-License-Identifier: 0BSD
/*
 * parallel N BUNDLE: runs a bundle N times at once, each in a virtual machine of its own; a thread for each, on one
 * context. Ends with 0 if all containers did.
 *
 *     cc parallel.c $(pkg-config --cflags --libs libkata) -lpthread
 */
#include <kata/kata.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MANY = 256 };

typedef struct {
  kata_context *ctx;
  const char *bundle;
  int number;
  int status;
} Job;

static int run_in(kata_sandbox *sandbox, const Job *job, const char *id, kata_error **err) {
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdout_fd = STDOUT_FILENO;
  io.stderr_fd = STDERR_FILENO;
  kata_container *container = kata_container_create(sandbox, id, job->bundle, &io, 0, err);
  if (container == NULL) return -1;
  int status = -1;
  if (kata_container_start(container, 0, err) == 0) kata_container_wait(container, 0, &status, err);
  kata_container_unref(container);
  return status;
}

static void *run(void *data) {
  Job *job = data;
  kata_error *err = NULL;
  char id[64];
  snprintf(id, sizeof id, "parallel-%d-%d", (int)getpid(), job->number);
  kata_sandbox *sandbox = kata_sandbox_create(job->ctx, id, NULL, KATA_SANDBOX_CREATE_BOUND, &err);
  job->status = sandbox != NULL ? run_in(sandbox, job, id, &err) : -1;
  if (err != NULL) fprintf(stderr, "parallel: %d: %s\n", job->number, kata_error_get_message(err));
  kata_error_free(err);
  /* With all that is in it. After a failed start there is nothing left, and that is no error of ours. */
  if (sandbox != NULL) kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, NULL);
  kata_sandbox_unref(sandbox);
  return NULL;
}

int main(int argc, char **argv) {
  int count = argc == 3 ? atoi(argv[1]) : 0;
  if (count < 1 || count > MANY) {
    fprintf(stderr, "usage: parallel N BUNDLE (N: 1 to %d)\n", MANY);
    return 125;
  }
  kata_error *err = NULL;
  kata_context *ctx = kata_context_new(0, &err);
  if (ctx == NULL) {
    fprintf(stderr, "parallel: %s\n", kata_error_get_message(err));
    return 125;
  }
  pthread_t threads[MANY];
  Job jobs[MANY];
  int started = 0, good = 0;
  for (; started < count; started++) {
    jobs[started] = (Job){ctx, argv[2], started, -1};
    if (pthread_create(&threads[started], NULL, run, &jobs[started]) != 0) break;
  }
  for (int i = 0; i < started; i++) {
    pthread_join(threads[i], NULL);
    good += jobs[i].status == 0;
  }
  fprintf(stderr, "%d of %d ended well\n", good, count);
  kata_context_unref(ctx);
  return good == count ? 0 : 1;
}
