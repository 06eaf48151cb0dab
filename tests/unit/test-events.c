// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>

#include "shim/events.h"

/* Frees the event it has looked at. */
static guint64 take(Events *events, const char *id, guint64 after, const char *type, const char *container_id) {
  Kata__V1__Event *event = events_wait(events, id, after, 0);
  assert_non_null(event);
  assert_string_equal(event->type, type);
  assert_string_equal(event->container_id, container_id);
  assert_true(event->time->seconds > 0);
  guint64 number = event->number;
  protobuf_c_message_free_unpacked(&event->base, NULL);
  return number;
}

static void test_in_order(void **state) {
  g_autoptr(Events) events = events_new();
  assert_null(events_wait(events, "", 0, 0));
  events_add(events, "start", "a", 0);
  events_add(events, "start", "b", 0);
  events_add(events, "exit", "a", 3);
  guint64 at = take(events, "a", 0, "start", "a");
  assert_int_equal(take(events, "a", at, "exit", "a"), at + 2);
  assert_null(events_wait(events, "a", at + 2, 20));
  assert_int_equal(take(events, "", at, "start", "b"), at + 1);
  Kata__V1__Event *event = events_wait(events, "", at + 1, 0);
  assert_int_equal(event->exit_status, 3);
  protobuf_c_message_free_unpacked(&event->base, NULL);
}

static void test_only_the_last_are_kept(void **state) {
  g_autoptr(Events) events = events_new();
  events_add(events, "oom", "a", 0);
  guint64 first = take(events, "a", 0, "oom", "a");
  for (int i = 1; i < EVENTS_MAX + 10; i++) events_add(events, "oom", "a", 0);
  assert_int_equal(take(events, "a", 0, "oom", "a"), first + 10);
}

/* Who has seen what one owner told goes on with the next one. */
static void test_another_owner(void **state) {
  g_autoptr(Events) events = events_new();
  for (int i = 0; i < 3; i++) events_add(events, "oom", "a", 0);
  guint64 last = take(events, "a", take(events, "a", take(events, "a", 0, "oom", "a"), "oom", "a"), "oom", "a");
  g_usleep(1000);
  g_autoptr(Events) next = events_new();
  events_add(next, "exit", "a", 0);
  take(next, "a", last, "exit", "a");
}

static gpointer add_later(gpointer data) {
  g_usleep(50000);
  events_add(data, "pause", "b", 0);
  events_add(data, "oom", "a", 0);
  return NULL;
}

static void test_waiting(void **state) {
  g_autoptr(Events) events = events_new();
  GThread *thread = g_thread_new("adder", add_later, events);
  Kata__V1__Event *event = events_wait(events, "a", 0, 60000);
  assert_non_null(event);
  assert_string_equal(event->type, "oom");
  protobuf_c_message_free_unpacked(&event->base, NULL);
  g_thread_join(thread);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_in_order),
      cmocka_unit_test(test_only_the_last_are_kept),
      cmocka_unit_test(test_another_owner),
      cmocka_unit_test(test_waiting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
