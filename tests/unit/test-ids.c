// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/ids.h"

static void test_good_ids(void **state) {
  const char *const good[] = {
      "a", "k1", "_", "A-b.c+d_E9", "c8c9f57a9ee52b59c18ebdcce4863fba3251866b2042a866b8b4", "...", ".hidden", "-x"};
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    assert_true(id_check(good[i], "container", &error));
    assert_null(error);
  }
  g_autofree char *longest = g_strnfill(ID_MAX, 'x');
  assert_true(id_check(longest, "container", NULL));
}

static void test_bad_ids(void **state) {
  g_autofree char *huge = g_strnfill(4096, 'x');
  g_autofree char *one_more = g_strnfill(ID_MAX + 1, 'x');
  const char *const bad[] = {NULL, "",      ".",   "..",          "a/b",      "/",   "../x", "a b", "a\nb",
                             "\t", "a\x01", "a%n", "caf\xc3\xa9", "\xff\xfe", "a:b", "a,b",  huge,  one_more};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_false(id_check(bad[i], "container", &error));
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
    assert_true(g_str_has_prefix(error->message, "invalid container ID format: '"));
    assert_null(strchr(error->message, '\n'));
    assert_true(g_utf8_validate(error->message, -1, NULL));
    assert_true(strlen(error->message) < 600);
  }
}

static void test_what_is_named(void **state) {
  g_autoptr(GError) error = NULL;
  assert_false(id_check("a/b", "exec", &error));
  assert_string_equal(error->message,
                      "invalid exec ID format: 'a/b': only letters, digits and '_', '+', '.', '-' may be used");
}

static void test_key(void **state) {
  /* echo -n abc | sha256sum: FIPS 180-2's first example. */
  g_autofree char *key = id_key("abc");
  assert_string_equal(key, "ba7816bf8f01cfea");
  assert_int_equal(strlen(key), ID_KEY_LENGTH);
  g_autofree char *other = id_key("abd");
  assert_string_not_equal(key, other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good_ids),
      cmocka_unit_test(test_bad_ids),
      cmocka_unit_test(test_what_is_named),
      cmocka_unit_test(test_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
