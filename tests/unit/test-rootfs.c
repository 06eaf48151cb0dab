// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <glib.h>
#include <string.h>

#include "shim/rootfs.h"

static void assert_shorter(const char *data, const char *wanted, const char *wanted_directory) {
  g_autofree char *directory = NULL;
  g_autofree char *shorter = rootfs_shorten_overlay(data, &directory);
  assert_string_equal(shorter, wanted);
  if (wanted_directory == NULL)
    assert_null(directory);
  else
    assert_string_equal(directory, wanted_directory);
}

static void test_common_directory(void **state) {
  assert_shorter("index=off,lowerdir=/a/s/12/fs:/a/s/1/fs:/a/s/123/fs,upperdir=/a/s/9/fs,workdir=/a/s/9/work",
                 "index=off,lowerdir=12/fs:1/fs:123/fs,upperdir=/a/s/9/fs,workdir=/a/s/9/work", "/a/s/");
  assert_shorter("lowerdir=/a/one:/a/", "lowerdir=one:.", "/a/");
}

static void test_nothing_in_common(void **state) {
  assert_shorter("lowerdir=/a/1:/b/2", "lowerdir=/a/1:/b/2", NULL);
  assert_shorter("lowerdir=/a/1\\:x:/a/2", "lowerdir=/a/1\\:x:/a/2", NULL);
  assert_shorter("upperdir=/a,workdir=/b", "upperdir=/a,workdir=/b", NULL);
  assert_shorter("", "", NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_common_directory), cmocka_unit_test(test_nothing_in_common)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
