// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>

#include "shim/timeline.h"

static void test_steps_in_order(void **state) {
  Timeline *timeline = timeline_new();
  timeline_begin(timeline, "outer");
  timeline_begin(timeline, "inner");
  timeline_end(timeline, "inner");
  g_autoptr(GArray) half = timeline_get(timeline);
  timeline_end(timeline, "outer");
  g_autoptr(GArray) steps = timeline_get(timeline);
  assert_int_equal(half->len, 2);
  assert_int_equal(g_array_index(half, TimelineStep, 0).end_us, 0);
  const TimelineStep *outer = &g_array_index(steps, TimelineStep, 0), *inner = &g_array_index(steps, TimelineStep, 1);
  assert_string_equal(outer->name, "outer");
  assert_string_equal(inner->name, "inner");
  assert_true(outer->begin_us <= inner->begin_us && inner->begin_us <= inner->end_us);
  assert_true(inner->end_us <= outer->end_us);
  timeline_free(timeline);
}

static void test_same_name_twice(void **state) {
  Timeline *timeline = timeline_new();
  timeline_begin(timeline, "container");
  timeline_end(timeline, "container");
  timeline_begin(timeline, "container");
  timeline_end(timeline, "never begun");
  g_autoptr(GArray) steps = timeline_get(timeline);
  assert_int_equal(steps->len, 2);
  assert_int_equal(g_array_index(steps, TimelineStep, 1).end_us, 0);
  timeline_free(timeline);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps_in_order), cmocka_unit_test(test_same_name_twice)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
