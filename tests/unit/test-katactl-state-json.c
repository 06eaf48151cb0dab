// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "katactl/state-json.h"

static void assert_state(const char *document, const char *owner, const char *expected) {
  g_autoptr(GError) error = NULL;
  json_object *state = state_json_build(document, owner, &error);
  assert_null(error);
  assert_string_equal(state_json_print(state), expected);
  json_object_put(state);
}

/* Order, indent and absent newline as in runc's output for such a container. */
static void test_as_runc_prints_it(void **state) {
  assert_state(
      "{\"id\":\"c1\",\"pid\":42,\"ociVersion\":\"1.0.2\",\"rootfs\":\"/b/rootfs\",\"bundle\":\"/b\",\"status\":"
      "\"running\",\"created\":\"2024-01-02T03:04:05.000000006Z\",\"extra\":1,\"annotations\":{\"k\":\"v/w\"}}",
      NULL,
      "{\n"
      "  \"ociVersion\": \"1.0.2\",\n"
      "  \"id\": \"c1\",\n"
      "  \"pid\": 42,\n"
      "  \"status\": \"running\",\n"
      "  \"bundle\": \"/b\",\n"
      "  \"rootfs\": \"/b/rootfs\",\n"
      "  \"created\": \"2024-01-02T03:04:05.000000006Z\",\n"
      "  \"annotations\": {\n"
      "    \"k\": \"v/w\"\n"
      "  },\n"
      "  \"owner\": \"\"\n"
      "}");
}

static void test_stopped_without_annotations(void **state) {
  assert_state("{\"id\":\"c1\",\"status\":\"stopped\",\"annotations\":{}}", "root",
               "{\n"
               "  \"ociVersion\": \"\",\n"
               "  \"id\": \"c1\",\n"
               "  \"pid\": 0,\n"
               "  \"status\": \"stopped\",\n"
               "  \"bundle\": \"\",\n"
               "  \"rootfs\": \"\",\n"
               "  \"created\": \"\",\n"
               "  \"owner\": \"root\"\n"
               "}");
}

static void test_bad_documents(void **state) {
  static const char *const bad[] = {"", "{", "[]", "null", "7"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_null(state_json_build(bad[i], NULL, &error));
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INTERNAL));
  }
}

static void test_owner(void **state) {
  g_autofree char *root = state_json_find_owner("/");
  g_autofree char *none = state_json_find_owner("/nonexistent/bundle");
  assert_string_equal(root, "root");
  assert_string_equal(none, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_as_runc_prints_it),
      cmocka_unit_test(test_stopped_without_annotations),
      cmocka_unit_test(test_bad_documents),
      cmocka_unit_test(test_owner),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
