// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "lib/annotations.h"

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
  assert_string_equal(settings_get_source(settings, "hypervisor.qemu", "default_memory"),
                      "annotation io.katacontainers.config.hypervisor.default_memory");
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

static gboolean apply_path(const char *patterns, const char *path) {
  g_autoptr(kata_settings) settings = settings_new();
  assert_true(settings_set(settings, "hypervisor.qemu", "enable_annotations", "[\".*\"]", NULL));
  if (patterns != NULL)
    assert_true(settings_set(settings, "hypervisor.qemu", "valid_hypervisor_paths", patterns, NULL));
  g_autofree char *text = g_strdup_printf("\"io.katacontainers.config.hypervisor.path\": \"%s\"", path);
  g_autoptr(OciSpec) spec = make_spec(text);
  g_autoptr(GError) error = NULL;
  gboolean applied = annotations_apply(settings, spec, &error);
  assert_string_equal(applied ? path : "", applied ? settings_get_string(settings, "hypervisor.qemu", "path") : "");
  assert_true(applied || strstr(error->message, "valid_hypervisor_paths does not have '") != NULL);
  return applied;
}

static void test_programs(void **state) {
  assert_true(apply_path("[\"/none\", \"/bin/ca[t]\"]", "/bin/cat"));
  assert_true(apply_path("[\"/bin/*\"]", "/bin/../bin/cat"));
  assert_false(apply_path(NULL, "/bin/cat"));
  assert_false(apply_path("[]", "/bin/cat"));
  assert_false(apply_path("[\"/bin/cat\"]", "/bin/../bin/ls"));
  assert_false(apply_path("[\"/etc/*\"]", "/etc/../bin/cat"));
  assert_false(apply_path("[\"/*\"]", "/none"));
  /* A link into an allowed directory that leads elsewhere. */
  g_autofree char *folder = g_dir_make_tmp("kata-XXXXXX", NULL);
  g_autofree char *link = g_build_filename(folder, "cat", NULL);
  g_autofree char *pattern = g_strdup_printf("[\"%s/*\"]", folder);
  assert_int_equal(symlink("/bin/cat", link), 0);
  assert_true(apply_path(pattern, link)); /* named by the administrator's pattern */
  assert_false(apply_path("[\"/bin/ls\"]", link));
  assert_int_equal(unlink(link), 0);
  assert_int_equal(rmdir(folder), 0);
}

static void test_refused(void **state) {
  assert_refused("\"io.katacontainers.config.hypervisor.path\": \"/bin/sh\"", "may not set 'path'");
  assert_refused("\"io.katacontainers.config.hypervisor.enable_annotations\": \".*\"", "may not set");
  assert_refused("\"io.katacontainers.config.hypervisor.valid_hypervisor_paths\": \"/*\"", "may not set");
  assert_refused("\"io.katacontainers.config.hypervisor.nothing\": \"1\"", "no setting 'nothing'");
  assert_refused("\"io.katacontainers.config.hypervisor.default_memory\": \"much\"", "number");
  assert_refused("\"io.katacontainers.config.elsewhere.x\": \"1\"", "hypervisor., runtime. or agent.");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_set), cmocka_unit_test(test_programs),
                                     cmocka_unit_test(test_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
