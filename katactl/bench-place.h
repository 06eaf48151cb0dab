/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A place of its own to measure in: sandboxes, saved guests and a pool that are nobody else's, and bundles to run. */
#pragma once

#include "app.h"

/* How a guest comes to be. */
typedef enum { BENCH_COLD, BENCH_TEMPLATE, BENCH_POOL, N_BENCH_WAYS } BenchWay;

typedef struct {
  char *directory; /* all of it is below */
  char *root;      /* of sandboxes */
  char *short_run; /* bundles: of a program that ends at once, and of one that never does */
  char *long_run;
  char *configs[N_BENCH_WAYS]; /* files with the context's settings, but for how guests come to be */
  kata_settings *settings;     /* of BENCH_COLD */
  kata_context *context;       /* with root */
} BenchPlace;

/* rootfs: with true, sleep and dd; NULL: this host's programs. */
BenchPlace *bench_place_new(App *app, const char *rootfs, GError **error);
/* Ends and removes whatever is in it. */
void bench_place_free(BenchPlace *place);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchPlace, bench_place_free)

/* The environment that katactl and what it starts need to work there. */
char **bench_place_get_environment(const BenchPlace *place, BenchWay way);
/* Runs this program with words (NULL-terminated), such as "pool create", there, to its end. A failure is an error with
 * what it said. ret_output: NULL, or what it printed. ret_s: NULL, or the seconds it took. */
gboolean bench_place_run(const BenchPlace *place, BenchWay way, const char *const *words, char **ret_output,
                         double *ret_s, GError **error);
