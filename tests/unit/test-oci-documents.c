// SPDX-License-Identifier: LGPL-2.1-or-later
/* The OCI documents that the library writes, read by its own reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "common/oci.h"
#include "kata/kata.h"

static void the_first_config_is_one(void **state) {
  for (int rootless = 0; rootless < 2; rootless++) {
    char *text = kata_oci_spec(rootless ? KATA_OCI_SPEC_ROOTLESS : 0, NULL);
    assert_true(g_str_has_prefix(text, "{\n\t\"ociVersion\": \"1."));
    assert_true(g_str_has_suffix(text, "\n}\n"));
    g_autoptr(GError) error = NULL;
    g_autoptr(OciSpec) spec = oci_spec_parse(text, strlen(text), "config.json", &error);
    if (spec == NULL) fail_msg("%s", error->message);
    assert_string_equal(spec->process->args[0], "sh");
    assert_true(spec->process->terminal);
    assert_int_equal(spec->n_mounts, 7);
    assert_int_equal(spec->linux->n_namespaces, 6);
    assert_int_equal(spec->linux->n_uidmappings, rootless ? 1 : 0);
    assert_int_equal(strstr(text, "gid=5") == NULL, rootless);
    kata_free(text);
    if (!rootless) continue;
    assert_int_equal(spec->linux->uidmappings[0]->hostid, geteuid());
    assert_int_equal(spec->linux->gidmappings[0]->hostid, getegid());
    assert_null(spec->linux->resources);
  }
}

static void features_are_of_the_versions_that_are_read(void **state) {
  char *text = kata_oci_features(0, NULL);
  json_object *document = json_tokener_parse(text), *version = NULL;
  assert_true(json_object_object_get_ex(document, "ociVersionMax", &version));
  char *spec = kata_oci_spec(0, NULL);
  g_autofree char *wanted = g_strdup_printf("\"ociVersion\": \"%s\"", json_object_get_string(version));
  assert_non_null(strstr(spec, wanted));
  kata_free(spec);
  kata_free(text);
  json_object_put(document);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_config_is_one),
      cmocka_unit_test(features_are_of_the_versions_that_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
