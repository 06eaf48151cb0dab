/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of a measurement, one function each. */
#pragma once

#include "bench-place.h"
#include "bench-samples.h"

typedef struct {
  const BenchPlace *place;
  BenchSamples *samples;
} Bench;

typedef struct {
  const char *name;
  const char *text;
  /* Once, before all rounds; NULL: nothing. An error of its: the part is left out, and said to be. */
  gboolean (*prepare)(const Bench *bench, GError **error);
  gboolean (*measure)(const Bench *bench, GError **error);
  gboolean once; /* not in each round */
} BenchPart;

extern const BenchPart bench_parts[];
extern const gsize n_bench_parts;
