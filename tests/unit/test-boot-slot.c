// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/fds.h"
#include "common/safe-path.h"
#include "shim/boot-slot.h"

#define SLOTS 2
#define AT_ONCE_MS 1
#define PATIENCE_MS 60000

static gboolean never(gpointer data) { return FALSE; }

static gboolean at_second_look(gpointer data) { return ++*(int *)data == 2; }

static gboolean free_one(gpointer slot) {
  fd_clear(slot);
  return FALSE;
}

static void test_turns(void **state) {
  g_autofree char *folder = g_dir_make_tmp("boot-slot-XXXXXX", NULL);
  g_autofree char *slots = g_strconcat(folder, "/b", NULL);
  autofd int one = boot_slot_take(slots, SLOTS, AT_ONCE_MS, never, NULL);
  autofd int two = boot_slot_take(slots, SLOTS, AT_ONCE_MS, never, NULL);
  assert_true(one >= 0 && two >= 0);
  assert_int_equal(boot_slot_take(slots, SLOTS, AT_ONCE_MS, never, NULL), -1);
  int looks = 0;
  assert_int_equal(boot_slot_take(slots, SLOTS, PATIENCE_MS, at_second_look, &looks), -1);
  assert_int_equal(looks, 2);
  /* The next gets what becomes free while it waits. */
  autofd int three = boot_slot_take(slots, SLOTS, PATIENCE_MS, free_one, &one);
  assert_true(three >= 0);
  assert_int_equal(one, -1);
  assert_true(safe_remove_tree(folder, NULL));
}

static void test_no_place(void **state) {
  assert_int_equal(boot_slot_take("/proc/none", SLOTS, PATIENCE_MS, never, NULL), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_turns), cmocka_unit_test(test_no_place)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
