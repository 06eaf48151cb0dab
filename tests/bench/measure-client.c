// SPDX-License-Identifier: LGPL-2.1-or-later
/* measure-client SANDBOX: what a call that the owner answers by itself costs its caller, the library, the socket
 * and the owner together: microseconds, as JSON. */
#include <kata/kata.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 2000 };

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
  static double took[CALLS];
  kata_error *err = NULL;
  kata_context *ctx = kata_context_new(0, &err);
  kata_sandbox *sandbox = ctx != NULL && argc == 2 ? kata_sandbox_open(ctx, argv[1], 0, &err) : NULL;
  for (int i = 0; sandbox != NULL && i < CALLS; i++) {
    double begin = now_us();
    if (kata_sandbox_get_status(sandbox, &err) < 0) break;
    took[i] = now_us() - begin;
  }
  if (sandbox == NULL || err != NULL) {
    fprintf(stderr, "measure-client: %s\n",
            err != NULL ? kata_error_get_message(err) : "usage: measure-client SANDBOX");
    return 1;
  }
  qsort(took, CALLS, sizeof *took, compare);
  printf("{\"median_us\": %.1f, \"p99_us\": %.1f}\n", took[CALLS / 2], took[CALLS * 99 / 100]);
  kata_sandbox_unref(sandbox);
  kata_context_unref(ctx);
  return 0;
}
