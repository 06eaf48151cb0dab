/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was measured: samples by name, their medians and ratios, as a table or as JSON. */
#pragma once

#include <glib.h>
#include <json-c/json.h>

typedef struct BenchSamples BenchSamples;

BenchSamples *bench_samples_new(void);
void bench_samples_free(BenchSamples *samples);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchSamples, bench_samples_free)

/* name: ends in the unit: "_s", "_mb_s" or "_mib". It and text, what is measured in words, are static. */
void bench_samples_add(BenchSamples *samples, const char *name, const char *text, double value);
/* Why something could not be measured; the first reason stays. */
void bench_samples_skip(BenchSamples *samples, const char *text, const char *why);

void bench_samples_print(const BenchSamples *samples);
/* {"ratios": {NAME: number}, "medians": {NAME: number}, "samples": {NAME: [number]}, "skipped": {TEXT: why}} */
json_object *bench_samples_to_json(const BenchSamples *samples);
