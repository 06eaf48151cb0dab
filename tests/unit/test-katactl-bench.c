// SPDX-License-Identifier: LGPL-2.1-or-later
/* What becomes of measured samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "katactl/bench-samples.h"
#include "katactl/state-json.h"

static json_object *get(json_object *object, const char *one, const char *two) {
  json_object *value = NULL;
  assert_true(json_object_object_get_ex(object, one, &value));
  return json_object_object_get_ex(value, two, &value) ? value : NULL;
}

static void test_medians_and_ratios(void **state) {
  g_autoptr(BenchSamples) samples = bench_samples_new();
  const double cold[] = {8, 2, 4}, from[] = {4, 1, 2, 0.5};
  for (gsize i = 0; i < G_N_ELEMENTS(cold); i++) bench_samples_add(samples, "cold_s", "cold", cold[i]);
  for (gsize i = 0; i < G_N_ELEMENTS(from); i++) bench_samples_add(samples, "template_s", "template", from[i]);
  g_autoptr(json_object) found = bench_samples_to_json(samples);
  /* The middle one of three; of four, between the two in the middle. */
  assert_string_equal(json_object_to_json_string(get(found, "medians", "cold_s")), "4");
  assert_string_equal(json_object_to_json_string(get(found, "medians", "template_s")), "1.5");
  assert_string_equal(json_object_to_json_string(get(found, "ratios", "template_over_cold")), "0.375");
  /* Samples stay as they came; what was not measured has no ratio. */
  assert_string_equal(json_object_to_json_string(get(found, "samples", "cold_s")), "[ 8, 2, 4 ]");
  assert_null(get(found, "ratios", "cold_over_raw"));
  assert_null(get(found, "ratios", "pool_over_cold"));
}

static void test_skipped(void **state) {
  g_autoptr(BenchSamples) samples = bench_samples_new();
  bench_samples_skip(samples, "a part", "first");
  bench_samples_skip(samples, "a part", "second");
  g_autoptr(json_object) found = bench_samples_to_json(samples);
  assert_string_equal(json_object_get_string(get(found, "skipped", "a part")), "first");
  assert_null(get(found, "samples", "a part"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_medians_and_ratios),
      cmocka_unit_test(test_skipped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
