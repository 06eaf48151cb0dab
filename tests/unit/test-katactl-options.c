// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "katactl/options.h"

static gboolean detach, tty;
static const char *bundle;
static int preserve;
static GPtrArray *env;

static const Option options[] = {{"detach", 'd', OPTION_FLAG, &detach, NULL, "go on"},
                                 {"tty", 't', OPTION_FLAG, &tty, NULL, "terminal"},
                                 {"bundle", 'b', OPTION_TEXT, &bundle, "DIR", "bundle"},
                                 {"env", 'e', OPTION_TEXTS, &env, "X=Y", "environment"},
                                 {"preserve-fds", 0, OPTION_NUMBER, &preserve, "N", "descriptors"},
                                 {"no-subreaper", 0, OPTION_FLAG, NULL, NULL, "nothing"},
                                 {"criu", 0, OPTION_TEXT, NULL, "PATH", "nothing"},
                                 OPTIONS_END};

typedef struct {
  char **operands;
  gboolean help;
  GError *error;
} Result;

static int reset(void **state) {
  detach = tty = FALSE;
  bundle = NULL;
  preserve = 0;
  g_clear_pointer(&env, g_ptr_array_unref);
  return 0;
}

static gboolean parse(OptionsOrder order, const char *line, Result *result) {
  static char **words; /* what the targets point into */
  g_clear_pointer(&words, g_strfreev);
  if (line == NULL) return TRUE;
  words = g_strsplit(line, " ", -1);
  *result = (Result){0};
  return options_parse(options, order, words, &result->operands, &result->help, &result->error);
}

static void assert_operands(Result *result, const char *expected) {
  g_autofree char *joined = g_strjoinv(" ", result->operands);
  assert_string_equal(joined, expected);
  g_clear_pointer(&result->operands, g_free);
  parse(OPTIONS_ANYWHERE, NULL, NULL);
}

static void assert_fails(const char *line, const char *text) {
  Result result;
  assert_false(parse(OPTIONS_ANYWHERE, line, &result));
  assert_null(result.operands);
  assert_true(g_error_matches(result.error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  assert_string_equal(result.error->message, text);
  g_clear_error(&result.error);
  parse(OPTIONS_ANYWHERE, NULL, NULL);
}

static void test_spellings(void **state) {
  static const char *const lines[] = {"--bundle /b --detach c1", "--bundle=/b -d c1", "-bundle /b -detach c1",
                                      "-b /b c1 --detach=true", "-b=/b c1 -d=1"};
  for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
    Result result;
    reset(NULL);
    assert_true(parse(OPTIONS_ANYWHERE, lines[i], &result));
    assert_string_equal(bundle, "/b");
    assert_true(detach);
    assert_operands(&result, "c1");
  }
}

static void test_what_callers_send(void **state) {
  Result result;
  assert_true(parse(OPTIONS_ANYWHERE, "--detach -no-subreaper --bundle /b c1", &result));
  assert_operands(&result, "c1");
  assert_true(parse(OPTIONS_BEFORE_OPERANDS, "--criu /usr/sbin/criu run --keep", &result));
  assert_operands(&result, "run --keep");
  assert_true(parse(OPTIONS_ANYWHERE, "--preserve-fds 3 c1", &result));
  assert_int_equal(preserve, 3);
  assert_operands(&result, "c1");
}

static void test_flag_values(void **state) {
  Result result;
  detach = tty = TRUE;
  assert_true(parse(OPTIONS_ANYWHERE, "--detach=false -t=0 c1", &result));
  assert_false(detach);
  assert_false(tty);
  assert_operands(&result, "c1");
  assert_fails("--detach=maybe c1", "invalid boolean value \"maybe\" for -detach: parse error");
  /* A flag takes no word of its own. */
  assert_true(parse(OPTIONS_ANYWHERE, "--detach false", &result));
  assert_true(detach);
  assert_operands(&result, "false");
}

static void test_order(void **state) {
  Result result;
  assert_true(parse(OPTIONS_BEFORE_OPERANDS, "-t c1 ls -d --detach -b x", &result));
  assert_true(tty);
  assert_false(detach);
  assert_null(bundle);
  assert_operands(&result, "c1 ls -d --detach -b x");
  assert_true(parse(OPTIONS_ANYWHERE, "c1 -d -- -t --bundle", &result));
  assert_true(detach);
  assert_operands(&result, "c1 -t --bundle");
  assert_true(parse(OPTIONS_ANYWHERE, "- c1", &result));
  assert_operands(&result, "- c1");
}

static void test_repeated(void **state) {
  Result result;
  assert_true(parse(OPTIONS_ANYWHERE, "-e A=1 --env=B=2 -e=C -b one -b two", &result));
  assert_int_equal(env->len, 3);
  assert_string_equal(g_ptr_array_index(env, 0), "A=1");
  assert_string_equal(g_ptr_array_index(env, 1), "B=2");
  assert_string_equal(g_ptr_array_index(env, 2), "C");
  assert_string_equal(bundle, "two");
  assert_operands(&result, "");
}

static void test_values_that_look_like_options(void **state) {
  Result result;
  assert_true(parse(OPTIONS_ANYWHERE, "--bundle --detach c1", &result));
  assert_string_equal(bundle, "--detach");
  assert_false(detach);
  assert_operands(&result, "c1");
  assert_true(parse(OPTIONS_ANYWHERE, "--bundle= c1", &result));
  assert_string_equal(bundle, "");
  assert_operands(&result, "c1");
}

static void test_errors(void **state) {
  assert_fails("--bogus c1", "flag provided but not defined: -bogus");
  assert_fails("--bogus=1", "flag provided but not defined: -bogus");
  assert_fails("-x", "flag provided but not defined: -x");
  assert_fails("--bundl /b", "flag provided but not defined: -bundl");
  assert_fails("--=x", "flag provided but not defined: -");
  assert_fails("c1 --bundle", "flag needs an argument: -bundle");
  assert_fails("-b", "flag needs an argument: -b");
  assert_fails("--preserve-fds x c1", "invalid value \"x\" for flag -preserve-fds: parse error");
  assert_fails("--preserve-fds -1 c1", "invalid value \"-1\" for flag -preserve-fds: parse error");
  assert_fails("--preserve-fds= c1", "invalid value \"\" for flag -preserve-fds: parse error");
  assert_fails("--preserve-fds 99999999999 c1", "invalid value \"99999999999\" for flag -preserve-fds: parse error");
}

static void test_help(void **state) {
  static const char *const lines[] = {"-h", "--help", "-help", "c1 --help --bogus"};
  for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
    Result result;
    assert_true(parse(OPTIONS_ANYWHERE, lines[i], &result));
    assert_true(result.help);
    assert_operands(&result, i == 3 ? "c1" : "");
  }
}

static void test_print(void **state) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  options_print(options, out);
  fclose(out);
  assert_non_null(strstr(text, "--bundle, -b DIR"));
  assert_non_null(strstr(text, "--preserve-fds N"));
  assert_non_null(strstr(text, "--help, -h"));
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_spellings, reset, reset),
      cmocka_unit_test_setup_teardown(test_what_callers_send, reset, reset),
      cmocka_unit_test_setup_teardown(test_flag_values, reset, reset),
      cmocka_unit_test_setup_teardown(test_order, reset, reset),
      cmocka_unit_test_setup_teardown(test_repeated, reset, reset),
      cmocka_unit_test_setup_teardown(test_values_that_look_like_options, reset, reset),
      cmocka_unit_test_setup_teardown(test_errors, reset, reset),
      cmocka_unit_test_setup_teardown(test_help, reset, reset),
      cmocka_unit_test_setup_teardown(test_print, reset, reset),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
