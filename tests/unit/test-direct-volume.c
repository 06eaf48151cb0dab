// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a CSI driver says of a direct-assigned volume. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/direct-volume.h"
#include "common/error.h"

static DirectVolume *parse(const char *json, GError **error) {
  return direct_volume_parse(json, strlen(json), "mount info", error);
}

static void test_all_members(void **state) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DirectVolume) volume = parse(
      "{\"volume-type\": \"block\", \"device\": \"/dev/sdf\", \"fstype\": \"ext4\","
      " \"metadata\": {\"fsGroup\": \"3000\", \"fsGroupChangePolicy\": \"OnRootMismatch\", \"other\": \"x\"},"
      " \"options\": [\"noatime\", \"ro\", \"discard\"]}",
      &error);
  assert_null(error);
  assert_string_equal(volume->device, "/dev/sdf");
  assert_string_equal(volume->fstype, "ext4");
  assert_true(volume->read_only);
  assert_int_equal(g_strv_length(volume->options), 2);
  assert_string_equal(volume->options[0], "noatime");
  assert_string_equal(volume->options[1], "discard");
  assert_true(volume->has_group);
  assert_int_equal(volume->group, 3000);
  assert_true(volume->only_if_root_differs);
}

static void test_few_members(void **state) {
  g_autoptr(DirectVolume) volume = parse("{\"device\": \"/dev/sdf\", \"metadata\": null, \"options\": null}", NULL);
  assert_non_null(volume);
  assert_string_equal(volume->fstype, "");
  assert_false(volume->read_only);
  assert_false(volume->has_group);
  assert_int_equal(g_strv_length(volume->options), 0);
}

static void test_words_of_the_newer_runtime(void **state) {
  g_autoptr(DirectVolume) volume = parse(
      "{\"device\": \"/tmp/disk\", \"volume_type\": \"directvol\", \"fs_type\": \"xfs\", \"metadata\": {}, "
      "\"options\": []}",
      NULL);
  assert_non_null(volume);
  assert_string_equal(volume->fstype, "xfs");
}

static void test_refused(void **state) {
  static const struct {
    const char *json, *words;
    int code;
  } cases[] = {
      {"", "not valid JSON", KATA_ERR_INVALID_ARGUMENT},
      {"[]", "expected an object", KATA_ERR_INVALID_ARGUMENT},
      {"{}", "'device'", KATA_ERR_INVALID_ARGUMENT},
      {"{\"device\": 7}", "'device': expected a string", KATA_ERR_INVALID_ARGUMENT},
      {"{\"device\": \"sdf\"}", "absolute path", KATA_ERR_INVALID_ARGUMENT},
      {"{\"device\": \"/dev/a\", \"volume-type\": \"vfiovol\"}", "not 'vfiovol'", KATA_ERR_UNSUPPORTED},
      {"{\"device\": \"/dev/a\", \"volume_type\": \"spdkvol\"}", "not 'spdkvol'", KATA_ERR_UNSUPPORTED},
      {"{\"device\": \"/dev/a\", \"options\": \"ro\"}", "'options'", KATA_ERR_INVALID_ARGUMENT},
      {"{\"device\": \"/dev/a\", \"options\": [1]}", "'options'", KATA_ERR_INVALID_ARGUMENT},
      {"{\"device\": \"/dev/a\", \"metadata\": []}", "'metadata'", KATA_ERR_INVALID_ARGUMENT},
      {"{\"device\": \"/dev/a\", \"metadata\": {\"fsGroup\": \"-1\"}}", "'fsGroup'", KATA_ERR_INVALID_ARGUMENT},
      {"{\"device\": \"/dev/a\", \"metadata\": {\"fsGroupChangePolicy\": \"Never\"}}", "'fsGroupChangePolicy'",
       KATA_ERR_INVALID_ARGUMENT},
      {"{\"device\": \"/dev/a\", \"metadata\": {\"encryptionKey\": \"x\"}}", "'encryptionKey'", KATA_ERR_UNSUPPORTED},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    assert_null(parse(cases[i].json, &error));
    assert_non_null(strstr(error->message, cases[i].words));
    assert_int_equal(error->code, cases[i].code);
  }
}

/* The directory's name is upstream's: a driver may write the file itself. */
static void test_paths(void **state) {
  g_autofree char *guest = direct_volume_guest_path("/a?b>c/ÿ");
  assert_string_equal(strrchr(guest, '/') + 1, "L2E_Yj5jL8O_");
  g_autofree char *name = g_strnfill(300, 'x');
  g_autofree char *long_path = g_strconcat("/", name, NULL);
  DirectVolume *volume = NULL;
  assert_true(direct_volume_find(long_path, &volume, NULL));
  assert_null(volume);
  g_autoptr(GError) error = NULL;
  assert_false(direct_volume_add(long_path, "{\"device\": \"/dev/a\"}", &error));
  assert_non_null(strstr(error->message, "too long"));
}

/* A sandbox's note is a file beside the document, and not in its place. */
static void test_users(void **state) {
  if (geteuid() != 0) skip();
  g_autofree char *folder = g_dir_make_tmp("direct-volume-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(folder, "volume", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(DirectVolume) volume = NULL;
  const char *json = "{\"volume-type\": \"block\", \"device\": \"/dev/sdf\", \"fstype\": \"ext4\"}";
  if (!direct_volume_add(path, json, &error)) fail_msg("%s", error->message);
  assert_true(direct_volume_add_user(path, "box", "/run/kata", NULL));
  assert_false(direct_volume_add_user(path, "mountInfo.json", "/run/kata", &error));
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
  direct_volume_drop_user(path, "mountInfo.json");
  g_auto(GStrv) users = direct_volume_list_users(path);
  assert_int_equal(g_strv_length(users), 2);
  assert_string_equal(users[0], "box");
  assert_true(direct_volume_find(path, &volume, NULL));
  assert_non_null(volume);
  assert_true(direct_volume_remove(path, NULL));
  rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_members),
                                     cmocka_unit_test(test_few_members),
                                     cmocka_unit_test(test_words_of_the_newer_runtime),
                                     cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_paths),
                                     cmocka_unit_test(test_users)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
