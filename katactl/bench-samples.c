// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bench-samples.h"

#include <stdio.h>
#include <string.h>

#define TEXT_WIDTH 46

typedef struct {
  const char *name;
  const char *text;
  GArray *values;
} Figure;

struct BenchSamples {
  GPtrArray *figures; /* in the order they came in */
  json_object *skipped;
};

static const struct {
  const char *name, *over, *under, *text;
} ratios[] = {
    {"cold_over_raw", "cold_s", "raw_s", "a cold start over QEMU alone"},
    {"template_over_cold", "template_s", "cold_s", "from a template over cold"},
    {"pool_over_cold", "pool_s", "cold_s", "with a guest that stood by over cold"},
};

static void figure_free(gpointer data) {
  Figure *figure = data;
  g_array_unref(figure->values);
  g_free(figure);
}

BenchSamples *bench_samples_new(void) {
  BenchSamples *samples = g_new0(BenchSamples, 1);
  samples->figures = g_ptr_array_new_with_free_func(figure_free);
  samples->skipped = json_object_new_object();
  return samples;
}

void bench_samples_free(BenchSamples *samples) {
  if (samples == NULL) return;
  g_ptr_array_unref(samples->figures);
  json_object_put(samples->skipped);
  g_free(samples);
}

static Figure *find(const BenchSamples *samples, const char *name) {
  for (guint i = 0; i < samples->figures->len; i++) {
    Figure *figure = samples->figures->pdata[i];
    if (strcmp(figure->name, name) == 0) return figure;
  }
  return NULL;
}

void bench_samples_add(BenchSamples *samples, const char *name, const char *text, double value) {
  Figure *figure = find(samples, name);
  if (figure == NULL) {
    figure = g_new0(Figure, 1);
    figure->name = name;
    figure->text = text;
    figure->values = g_array_new(FALSE, FALSE, sizeof(double));
    g_ptr_array_add(samples->figures, figure);
  }
  g_array_append_val(figure->values, value);
}

void bench_samples_skip(BenchSamples *samples, const char *text, const char *why) {
  if (!json_object_object_get_ex(samples->skipped, text, NULL))
    json_object_object_add(samples->skipped, text, json_object_new_string(why));
}

/* ---- medians ---- */

static int compare(gconstpointer a, gconstpointer b) {
  double one = *(const double *)a, two = *(const double *)b;
  return (one > two) - (one < two);
}

/* Of an ordered copy; the caller frees it. */
static GArray *sort(const Figure *figure) {
  GArray *ordered = g_array_copy(figure->values);
  g_array_sort(ordered, compare);
  return ordered;
}

static double find_median(const Figure *figure) {
  g_autoptr(GArray) ordered = sort(figure);
  guint middle = ordered->len / 2;
  double upper = g_array_index(ordered, double, middle);
  return ordered->len % 2 == 1 ? upper : (g_array_index(ordered, double, middle - 1) + upper) / 2;
}

/* FALSE: one of the two was not measured. */
static gboolean get_ratio(const BenchSamples *samples, gsize which, double *ret_ratio) {
  const Figure *over = find(samples, ratios[which].over), *under = find(samples, ratios[which].under);
  if (over == NULL || under == NULL || find_median(under) <= 0) return FALSE;
  *ret_ratio = find_median(over) / find_median(under);
  return TRUE;
}

/* ---- output ---- */

static const char *get_unit(const char *name) {
  if (g_str_has_suffix(name, "_mb_s")) return "MB/s";
  return g_str_has_suffix(name, "_mib") ? "MiB" : "s";
}

void bench_samples_print(const BenchSamples *samples) {
  for (guint i = 0; i < samples->figures->len; i++) {
    const Figure *figure = samples->figures->pdata[i];
    g_autoptr(GArray) ordered = sort(figure);
    printf("%-*s %9.3f %-4s  (%.3f to %.3f)\n", TEXT_WIDTH, figure->text, find_median(figure), get_unit(figure->name),
           g_array_index(ordered, double, 0), g_array_index(ordered, double, ordered->len - 1));
  }
  for (gsize i = 0; i < G_N_ELEMENTS(ratios); i++) {
    double ratio;
    if (get_ratio(samples, i, &ratio)) printf("%-*s %9.2f\n", TEXT_WIDTH, ratios[i].text, ratio);
  }
  json_object_object_foreach(samples->skipped, text, why) {
    printf("%-*s not measured: %s\n", TEXT_WIDTH, text, json_object_get_string(why));
  }
}

/* Six digits are more than any of it is worth. */
static json_object *make_number(double value) {
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  return json_object_new_double_s(value, g_ascii_formatd(text, sizeof text, "%.6g", value));
}

json_object *bench_samples_to_json(const BenchSamples *samples) {
  json_object *result = json_object_new_object(), *all = json_object_new_object(), *medians = json_object_new_object();
  json_object *found = json_object_new_object();
  for (gsize i = 0; i < G_N_ELEMENTS(ratios); i++) {
    double ratio;
    if (get_ratio(samples, i, &ratio)) json_object_object_add(found, ratios[i].name, make_number(ratio));
  }
  for (guint i = 0; i < samples->figures->len; i++) {
    const Figure *figure = samples->figures->pdata[i];
    json_object *values = json_object_new_array();
    for (guint j = 0; j < figure->values->len; j++)
      json_object_array_add(values, make_number(g_array_index(figure->values, double, j)));
    json_object_object_add(all, figure->name, values);
    json_object_object_add(medians, figure->name, make_number(find_median(figure)));
  }
  json_object_object_add(result, "ratios", found);
  json_object_object_add(result, "medians", medians);
  json_object_object_add(result, "samples", all);
  json_object_object_add(result, "skipped", json_object_get(samples->skipped));
  return result;
}
