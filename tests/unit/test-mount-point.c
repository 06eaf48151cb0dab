// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fds.h"
#include "common/mount-point.h"
#include "common/safe-path.h"

static const char DOCUMENT[] =
    "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"},"
    " \"process\": {\"args\": [\"a\"], \"cwd\": \"/\", \"user\": {\"uid\": 0, \"gid\": 0}}, \"mounts\": ["
    " {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"},"
    " {\"destination\": \"/dev/x\", \"type\": \"none\", \"source\": \"/s\", \"options\": [\"rbind\", \"ro\"]},"
    " {\"destination\": \"/v\", \"type\": \"bind\", \"source\": \"/s\"},"
    " {\"destination\": \"/v//./w\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"},"
    " {\"destination\": \"/device\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"}]}";

static void test_kinds_and_places(void **state) {
  g_autoptr(OciSpec) spec = oci_spec_parse(DOCUMENT, strlen(DOCUMENT), "config.json", NULL);
  assert_non_null(spec);
  assert_false(mount_is_bind(spec->mounts[0]));
  assert_true(mount_is_bind(spec->mounts[1]));
  assert_true(mount_is_bind(spec->mounts[2]));
  assert_true(mount_has_option(spec->mounts[1], "ro"));
  assert_false(mount_has_option(spec->mounts[2], "ro"));
  assert_false(mount_is_beneath(spec, 0, FALSE));
  assert_true(mount_is_beneath(spec, 1, FALSE));
  assert_false(mount_is_beneath(spec, 1, TRUE));
  assert_true(mount_is_beneath(spec, 3, TRUE));
  assert_false(mount_is_beneath(spec, 3, FALSE));
  /* A name that only begins alike. */
  assert_false(mount_is_beneath(spec, 4, FALSE));
}

static mode_t type_at(int root, const char *path) {
  struct stat status;
  return fstatat(root, path, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_mode & S_IFMT : 0;
}

static void test_missing_places_are_made_inside(void **state) {
  g_autofree char *folder = g_dir_make_tmp("mount-point-XXXXXX", NULL);
  g_autofree char *outside = g_strconcat(folder, "/outside", NULL);
  g_autofree char *path = g_strconcat(folder, "/root", NULL);
  assert_int_equal(mkdir(path, 0755), 0);
  autofd int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal(symlinkat(outside, root, "link"), 0);

  autofd int directory = mount_point_open(root, "/a/b", TRUE, NULL);
  assert_true(directory >= 0);
  assert_int_equal(type_at(root, "a/b"), S_IFDIR);
  autofd int file = mount_point_open(root, "/c/d", FALSE, NULL);
  assert_true(file >= 0);
  assert_int_equal(type_at(root, "c/d"), S_IFREG);
  autofd int again = mount_point_open(root, "/c/d", FALSE, NULL);
  assert_true(again >= 0);

  /* A link that leads out is followed as if the root were "/". */
  autofd int linked = mount_point_open(root, "/link/e", TRUE, NULL);
  assert_true(linked >= 0);
  assert_int_equal(access(outside, F_OK), -1);

  g_autoptr(GError) error = NULL;
  assert_int_equal(mount_point_open(root, "/c/d/e", FALSE, &error), -1);
  assert_non_null(error);
  assert_true(safe_remove_tree(folder, NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kinds_and_places),
      cmocka_unit_test(test_missing_places_are_made_inside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
