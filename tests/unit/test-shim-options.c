// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "common/error.h"
#include "shim/options.h"

static gboolean parse(ShimOptions *options, const char *line, GError **error) {
  g_auto(GStrv) argv = g_strsplit(line, " ", -1);
  return shim_options_parse(options, (int)g_strv_length(argv), argv, error);
}

static void test_containerd_line(void **state) {
  g_auto(ShimOptions) options = {0};
  g_autoptr(GError) error = NULL;
  assert_true(parse(&options,
                    "containerd-shim-kata-v2 -namespace k8s.io -address /run/containerd/containerd.sock "
                    "-publish-binary /usr/bin/containerd -id abc -debug start",
                    &error));
  assert_string_equal(options.namespace_, "k8s.io");
  assert_string_equal(options.address, "/run/containerd/containerd.sock");
  assert_string_equal(options.id, "abc");
  assert_string_equal(options.action, "start");
  assert_true(options.debug);
  assert_false(options.adopt);
}

static void test_two_dashes_and_equals(void **state) {
  g_auto(ShimOptions) options = {0};
  assert_true(parse(&options, "shim --id=x --debug=false --root=/r -adopt=true delete", NULL));
  assert_string_equal(options.id, "x");
  assert_string_equal(options.root, "/r");
  assert_false(options.debug);
  assert_true(options.adopt);
  assert_string_equal(options.action, "delete");
}

static void test_last_value_wins(void **state) {
  g_auto(ShimOptions) options = {0};
  assert_true(parse(&options, "shim -id a -id b", NULL));
  assert_string_equal(options.id, "b");
  assert_null(options.action);
}

static void assert_refused(const char *line, const char *part) {
  g_auto(ShimOptions) options = {0};
  g_autoptr(GError) error = NULL;
  assert_false(parse(&options, line, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error->message, part));
}

static void test_refused(void **state) {
  assert_refused("shim -nonsense", "'-nonsense'");
  assert_refused("shim -i", "'-i'");
  assert_refused("shim -id", "needs a value");
  assert_refused("shim -debug=maybe start", "'maybe'");
  assert_refused("shim start now", "'now'");
}

static void test_help_names_every_flag(void **state) {
  const char *text = shim_options_help();
  static const char *const names[] = {"-namespace", "-id",    "-address",   "-publish-binary",
                                      "-root",      "-adopt", "-warm-cache"};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) assert_non_null(strstr(text, names[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_containerd_line),       cmocka_unit_test(test_two_dashes_and_equals),
      cmocka_unit_test(test_last_value_wins),       cmocka_unit_test(test_refused),
      cmocka_unit_test(test_help_names_every_flag),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
