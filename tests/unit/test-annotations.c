// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "common/error.h"
#include "shim/annotations.h"

static OciSpec *make_spec(const char *annotations) {
  g_autofree char *text = g_strdup_printf(
      "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"}, \"annotations\": {%s}, "
      "\"process\": {\"args\": [\"true\"], \"cwd\": \"/\", \"user\": {\"uid\": 0, \"gid\": 0}}, \"linux\": {}}",
      annotations);
  g_autoptr(GError) error = NULL;
  OciSpec *spec = oci_spec_parse(text, strlen(text), "config.json", &error);
  if (spec == NULL) fail_msg("%s", error->message);
  return spec;
}

static kata_settings *make_settings(void) {
  kata_settings *settings = settings_new();
  assert_true(
      settings_set(settings, "hypervisor.qemu", "enable_annotations", "[\"default_.*\", \"kernel_params\"]", NULL));
  assert_true(settings_set(settings, "hypervisor.qemu", "kernel_params", "\"a=1\"", NULL));
  return settings;
}

static void test_set(void **state) {
  g_autoptr(kata_settings) settings = make_settings();
  g_autoptr(OciSpec) spec = make_spec(
      "\"io.katacontainers.config.hypervisor.default_memory\": \"512\", \"other\": \"x\", "
      "\"io.katacontainers.config.hypervisor.default_max_vcpus\": \"3\", "
      "\"io.katacontainers.config.hypervisor.kernel_params\": \"b=\\\"2\\\"\", "
      "\"io.katacontainers.config.agent.kernel_modules\": \"dummy numdummies=2; loop\"");
  g_autoptr(GError) error = NULL;
  if (!annotations_apply(settings, spec, &error)) fail_msg("%s", error->message);
  assert_int_equal(settings_get_int(settings, "hypervisor.qemu", "default_memory"), 512);
  assert_int_equal(settings_get_int(settings, "hypervisor.qemu", "default_maxvcpus"), 3);
  assert_string_equal(settings_get_string(settings, "hypervisor.qemu", "kernel_params"), "a=1 b=\"2\"");
  const char *const *modules = settings_get_strv(settings, "agent.kata", "kernel_modules");
  assert_string_equal(modules[0], "dummy numdummies=2");
  assert_string_equal(modules[1], "loop");
}

static void assert_refused(const char *annotation, const char *word) {
  g_autoptr(kata_settings) settings = make_settings();
  g_autoptr(OciSpec) spec = make_spec(annotation);
  g_autoptr(GError) error = NULL;
  assert_false(annotations_apply(settings, spec, &error));
  assert_non_null(strstr(error->message, word));
  assert_non_null(strstr(error->message, "'io.katacontainers.config."));
}

static void test_refused(void **state) {
  assert_refused("\"io.katacontainers.config.hypervisor.path\": \"/bin/sh\"", "may not set 'path'");
  assert_refused("\"io.katacontainers.config.hypervisor.enable_annotations\": \".*\"", "may not set");
  assert_refused("\"io.katacontainers.config.hypervisor.nothing\": \"1\"", "no setting 'nothing'");
  assert_refused("\"io.katacontainers.config.hypervisor.default_memory\": \"much\"", "number");
  assert_refused("\"io.katacontainers.config.elsewhere.x\": \"1\"", "hypervisor., runtime. or agent.");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_set), cmocka_unit_test(test_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
