// SPDX-License-Identifier: LGPL-2.1-or-later
/* What an error tells of a guest's console. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "common/error.h"
#include "common/safe-path.h"
#include "lib/paths.h"
#include "shim/console.h"

#define PREFIX "it failed\nlast lines of the guest's console:\n"

/* The message of an error after the console's end was added to it. */
static char *explain(const char *console, gssize size) {
  g_autofree char *dir = g_dir_make_tmp("kata-console-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(dir, PATHS_CONSOLE_LOG, NULL);
  assert_true(g_file_set_contents(path, console, size, NULL));
  g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_GUEST, "it failed");
  console_explain(dir, error);
  safe_remove_tree(dir, NULL);
  return g_strdup(error->message);
}

static void test_little(void **state) {
  g_autofree char *text = explain("one\r\ntwo\x1b[2J\n\n", -1);
  assert_string_equal(text, PREFIX "one \ntwo [2J");
}

static void test_nothing(void **state) {
  g_autofree char *text = explain("", 0);
  assert_string_equal(text, "it failed");
  g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_GUEST, "it failed");
  console_explain("/nonexistent", error);
  assert_string_equal(error->message, "it failed");
  console_explain("/nonexistent", NULL);
}

static GString *many_lines(guint count) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < count; i++) g_string_append_printf(text, "line %u\n", i);
  return text;
}

/* The end, in whole lines. */
static void test_much(void **state) {
  GString *lines = many_lines(5000);
  g_autofree char *text = explain(lines->str, (gssize)lines->len);
  g_string_free(lines, TRUE);
  assert_true(g_str_has_prefix(text, PREFIX "line "));
  assert_true(g_str_has_suffix(text, "\nline 4999"));
  assert_true(strlen(text) < 2200);
}

/* Its first line says what happened; what follows is long. */
static void test_panic(void **state) {
  GString *lines = many_lines(5000);
  g_string_append(lines, "[    1.0] Kernel panic - not syncing: no reason\n");
  for (int i = 0; i < 100; i++) g_string_append(lines, "[    1.1]  somewhere_in_the_kernel+0x12/0x345\n");
  g_autofree char *text = explain(lines->str, (gssize)lines->len);
  g_string_free(lines, TRUE);
  assert_true(g_str_has_prefix(text, PREFIX "[    1.0] Kernel panic - not syncing: no reason\n"));
  assert_true(strlen(text) < 2200);
}

/* Wherever in that line what is shown would begin. */
static void test_panic_at_the_edge(void **state) {
  static const char panic[] = "[    1.0] Kernel panic - not syncing: no reason\n";
  for (gsize after = 1900; after < 2100; after++) {
    GString *lines = many_lines(100);
    g_string_append(lines, panic);
    for (gsize i = 1; i < after; i++) g_string_append_c(lines, i % 50 == 0 ? '\n' : 'x');
    g_autofree char *text = explain(lines->str, (gssize)lines->len);
    g_string_free(lines, TRUE);
    assert_non_null(strstr(text, panic));
  }
}

static void test_bytes_that_are_no_text(void **state) {
  char bytes[4096];
  memset(bytes, 0xff, sizeof bytes);
  bytes[17] = '\0';
  g_autofree char *text = explain(bytes, sizeof bytes);
  assert_true(g_utf8_validate(text, -1, NULL));
}

static goffset size_of(const char *path) {
  GStatBuf st = {0};
  assert_int_equal(g_stat(path, &st), 0);
  return st.st_size;
}

/* What a guest writes without end does not fill the host's memory. */
static void test_endless(void **state) {
  g_autofree char *dir = g_dir_make_tmp("kata-console-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(dir, PATHS_CONSOLE_LOG, NULL);
  assert_true(g_file_set_contents(path, "much", -1, NULL));
  assert_int_equal(truncate(path, 5 << 20), 0);
  guint id = console_watch(dir);
  gint64 end = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
  while (size_of(path) > 0 && g_get_monotonic_time() < end) g_main_context_iteration(NULL, TRUE);
  assert_int_equal(size_of(path), 0);
  g_source_remove(id);
  safe_remove_tree(dir, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_little),
      cmocka_unit_test(test_nothing),
      cmocka_unit_test(test_much),
      cmocka_unit_test(test_panic),
      cmocka_unit_test(test_panic_at_the_edge),
      cmocka_unit_test(test_bytes_that_are_no_text),
      cmocka_unit_test(test_endless),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
