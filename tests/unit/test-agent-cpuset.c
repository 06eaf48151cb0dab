/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/cpuset.h"
#include "common/error.h"

static void check_list(const char *text, const char *expected) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) numbers = cpuset_parse(text, "list", &error);
  if (!numbers) fail_msg("%s", error->message);
  g_autofree char *written = cpuset_to_text(numbers);
  assert_string_equal(written, expected);
}

static void test_lists(void **state) {
  check_list("0", "0");
  check_list("0-3\n", "0-3");
  check_list("5,0-2,1-3,7", "0-3,5,7");
  check_list("8191", "8191");
  check_list(" 1 , 2 ", "1-2");
  static const char *const bad[] = {"", ",", "1,", "-1", "3-1", "1-", "a", "8192", "0-8192", "1-2-3", "0x1"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_null(cpuset_parse(bad[i], "cpu.cpus", &error));
    assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(error->message, "cpu.cpus"));
  }
}

static void check_translation(const char *host, const char *guest, const char *expected) {
  g_autoptr(GArray) from = cpuset_parse(host, "host", NULL);
  g_autoptr(GArray) to = cpuset_parse(guest, "guest", NULL);
  g_autoptr(GArray) chosen = cpuset_translate(from, to);
  g_autofree char *text = cpuset_to_text(chosen);
  if (strcmp(text, expected) != 0) fail_msg("%s in %s: %s is not %s", host, guest, text, expected);
}

static void test_translation(void **state) {
  /* Numbers that the guest has are taken as they are. */
  check_translation("0", "0-3", "0");
  check_translation("1-2", "0-3", "1-2");
  /* As many as wanted, or all there are. */
  check_translation("12", "0-3", "0");
  check_translation("13-14", "0-3", "1-2");
  check_translation("4,8", "0-3", "0-1");
  check_translation("0-63", "0-1", "0-1");
  check_translation("6-7", "0", "0");
  /* Apart there, apart here. */
  check_translation("4-5", "0-3", "0-1");
  check_translation("6-7", "0-3", "2-3");
  check_translation("1", "0,2", "2");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists), cmocka_unit_test(test_translation)};
  return cmocka_run_group_tests_name("agent-cpuset", tests, NULL, NULL);
}
