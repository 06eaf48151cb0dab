/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/oom.h"
#include "common/error.h"

static void test_kills(void **state) {
  assert_int_equal(oom_count_kills("low 0\nhigh 1\nmax 7\noom 3\noom_kill 2\noom_group_kill 5\n"), 2);
  assert_int_equal(oom_count_kills("oom_kill 4"), 4);
  assert_int_equal(oom_count_kills("oom_killed 4\nxoom_kill 3\n"), 0);
  assert_int_equal(oom_count_kills(""), 0);
  assert_int_equal(oom_count_kills(NULL), 0);
}

typedef struct {
  guint calls;
  kata_error_code code;
} Told;

static void told(const char *container_id, const GError *error, gpointer user_data) {
  Told *waiter = user_data;
  waiter->calls++;
  assert_null(container_id);
  waiter->code = error_get_code(error);
}

static void test_end(void **state) {
  Told first = {0}, second = {0}, third = {0};
  g_autoptr(OomMonitor) monitor = oom_monitor_new();
  /* No such cgroup, as without the controller: no events, no harm. */
  oom_monitor_add(monitor, "c1", "/no-such-cgroup");
  oom_monitor_remove(monitor, "c1");
  oom_monitor_remove(monitor, "c2");
  oom_monitor_wait(monitor, told, &first);
  oom_monitor_wait(monitor, told, &second);
  oom_monitor_cancel(monitor, &first);
  oom_monitor_cancel(monitor, &third);
  assert_int_equal(second.calls, 0);
  oom_monitor_end(monitor);
  assert_int_equal(first.calls, 0);
  assert_int_equal(second.calls, 1);
  assert_int_equal(second.code, KATA_ERR_INTERNAL);
  oom_monitor_wait(monitor, told, &third);
  assert_int_equal(third.calls, 1);
  assert_int_equal(third.code, KATA_ERR_INTERNAL);
}

static void test_waiters_have_a_limit(void **state) {
  Told many = {0}, last = {0};
  OomMonitor *monitor = oom_monitor_new();
  for (guint i = 0; i < OOM_WAITERS_MAX; i++) oom_monitor_wait(monitor, told, &many);
  assert_int_equal(many.calls, 0);
  oom_monitor_wait(monitor, told, &last);
  assert_int_equal(last.code, KATA_ERR_RESOURCE_EXHAUSTED);
  oom_monitor_free(monitor);
  assert_int_equal(many.calls, OOM_WAITERS_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kills),
      cmocka_unit_test(test_end),
      cmocka_unit_test(test_waiters_have_a_limit),
  };
  return cmocka_run_group_tests_name("agent-oom", tests, NULL, NULL);
}
