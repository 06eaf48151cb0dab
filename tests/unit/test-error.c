// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/ttrpc.h"

static void test_errno_to_code(void **state) {
  const struct {
    int errnum;
    kata_error_code code;
  } known[] = {
      {ENOENT, KATA_ERR_NOT_FOUND},
      {ESRCH, KATA_ERR_NOT_FOUND},
      {EEXIST, KATA_ERR_ALREADY_EXISTS},
      {EACCES, KATA_ERR_PERMISSION_DENIED},
      {EPERM, KATA_ERR_PERMISSION_DENIED},
      {EROFS, KATA_ERR_PERMISSION_DENIED},
      {EINVAL, KATA_ERR_INVALID_ARGUMENT},
      {ELOOP, KATA_ERR_INVALID_ARGUMENT},
      {ENAMETOOLONG, KATA_ERR_INVALID_ARGUMENT},
      {ETIMEDOUT, KATA_ERR_TIMEOUT},
      {ENOSPC, KATA_ERR_RESOURCE_EXHAUSTED},
      {EMFILE, KATA_ERR_RESOURCE_EXHAUSTED},
      {ECONNREFUSED, KATA_ERR_UNAVAILABLE},
      {EPIPE, KATA_ERR_UNAVAILABLE},
      {ENOSYS, KATA_ERR_UNSUPPORTED},
      {EIO, KATA_ERR_IO},
      {EXDEV, KATA_ERR_IO},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
    assert_int_equal(error_code_from_errno(known[i].errnum), known[i].code);
  }
}

static void test_set_errno(void **state) {
  g_autoptr(GError) error = NULL;
  error_set_errno(&error, ENOENT, "cannot open '%s'", "/x");
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_NOT_FOUND));
  assert_string_equal(error->message, "cannot open '/x': No such file or directory");
  error_set_errno(NULL, EIO, "nobody listens");
}

static void test_append_detail(void **state) {
  g_autoptr(GError) error = g_error_new_literal(KATA_ERROR, KATA_ERR_GUEST, "guest died");
  error_append_detail(error, NULL);
  error_append_detail(error, "");
  assert_string_equal(error->message, "guest died");
  error_append_detail(error, "last words");
  error_append_detail(error, "more\nlines");
  assert_string_equal(error->message, "guest died\nlast words\nmore\nlines");
  error_append_detail(NULL, "nothing to add to");
}

static void check_clean(const char *text, const char *expected) {
  g_autofree char *clean = error_clean_text(text);
  assert_string_equal(clean, expected);
}

static void test_clean_text(void **state) {
  check_clean(NULL, "");
  check_clean("", "");
  check_clean("plain 'text' 100%s", "plain 'text' 100%s");
  check_clean("caf\xc3\xa9", "caf\xc3\xa9");
  check_clean("a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f");
  check_clean("\xff\xc3", "\\xff\\xc3");
  check_clean("\xe2\x82", "\\xe2\\x82");

  g_autofree char *exact = g_strnfill(ERROR_TEXT_MAX, 'x');
  check_clean(exact, exact);
  g_autofree char *more = g_strnfill(100000, 'x');
  g_autofree char *cut = g_strconcat(exact, "...", NULL);
  check_clean(more, cut);

  /* A character astride the cut goes as a whole. */
  exact[ERROR_TEXT_MAX - 1] = '\0';
  g_autofree char *astride = g_strconcat(exact, "\xc3\xa9\xc3\xa9", NULL);
  g_autofree char *cut_before = g_strconcat(exact, "...", NULL);
  check_clean(astride, cut_before);
}

static void test_get_code(void **state) {
  assert_int_equal(error_get_code(NULL), KATA_ERR_NONE);
  g_autoptr(GError) ours = g_error_new_literal(KATA_ERROR, KATA_ERR_TIMEOUT, "late");
  assert_int_equal(error_get_code(ours), KATA_ERR_TIMEOUT);
  g_autoptr(GError) none = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOENT, "gone");
  assert_int_equal(error_get_code(none), KATA_ERR_NOT_FOUND);
  g_autoptr(GError) full = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOSPC, "full");
  assert_int_equal(error_get_code(full), KATA_ERR_RESOURCE_EXHAUSTED);
  g_autoptr(GError) other = g_error_new_literal(G_CONVERT_ERROR, G_CONVERT_ERROR_FAILED, "odd");
  assert_int_equal(error_get_code(other), KATA_ERR_INTERNAL);
}

/* Every code survives the wire, but for those gRPC has one word for. */
static void test_rpc_round_trip(void **state) {
  for (int code = KATA_ERR_NONE + 1; code <= KATA_ERR_CANCELLED; code++) {
    g_autoptr(GError) error = g_error_new_literal(KATA_ERROR, code, "x");
    int rpc_code = error_to_rpc_code(error);
    assert_int_not_equal(rpc_code, TTRPC_OK);
    kata_error_code expected = (kata_error_code)code;
    if (code == KATA_ERR_CONFIG) expected = KATA_ERR_INVALID_ARGUMENT;
    if (code == KATA_ERR_HOST) expected = KATA_ERR_INVALID_STATE;
    assert_int_equal(error_code_from_rpc(rpc_code), expected);
  }
  assert_int_equal(error_to_rpc_code(NULL), TTRPC_OK);
  assert_int_equal(error_code_from_rpc(TTRPC_OK), KATA_ERR_NONE);
  assert_int_equal(error_code_from_rpc(4711), KATA_ERR_INTERNAL);
  assert_int_equal(error_code_from_rpc(-1), KATA_ERR_INTERNAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_errno_to_code), cmocka_unit_test(test_set_errno), cmocka_unit_test(test_append_detail),
      cmocka_unit_test(test_clean_text),    cmocka_unit_test(test_get_code),  cmocka_unit_test(test_rpc_round_trip),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
