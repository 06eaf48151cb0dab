// SPDX-License-Identifier: LGPL-2.1-or-later
/* Paths of cgroups, which need no cgroup; what is done with real ones tests/cli/test-host-process.py shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "common/safe-path.h"
#include "shim/cgroup.h"

static void test_paths(void **state) {
  static const struct {
    const char *given, *expected;
  } paths[] = {{"/a/b", "/a/b"},
               {"a/b", "a/b"},
               {"/a:b:c", "/a:b:c"},
               {"machine.slice:libpod:abc", "/machine.slice/libpod-abc.scope"},
               {"user-1000-x.slice:p:n", "/user.slice/user-1000.slice/user-1000-x.slice/p-n.scope"},
               {":p:n", "/system.slice/p-n.scope"},
               {"-.slice:p:n", "/p-n.scope"},
               {"a.slice::n", "/a.slice/n.scope"},
               {"a.slice:p:a-n.slice", "/a.slice/a-n.slice"},
               {"a:b", "a:b"},
               {"a:b:c:d", "a:b:c:d"}};
  for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *path = cgroup_expand_path(paths[i].given, &error);
    if (path == NULL) fail_msg("%s", error->message);
    assert_string_equal(path, paths[i].expected);
  }
}

static void test_bad_paths(void **state) {
  static const char *const bad[] = {"..",    "/a/../../b",     "a/..",         "../x", "a.slice:p:../../x",
                                    "a:b:c", "a--b.slice:p:n", "a/b.slice:p:n"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    if (cgroup_expand_path(bad[i], &error) != NULL) fail_msg("'%s' was taken", bad[i]);
    assert_non_null(strstr(error->message, "cgroupsPath"));
  }
}

static void test_notes(void **state) {
  g_autofree char *directory = g_dir_make_tmp("kata-cgroup-XXXXXX", NULL);
  g_autofree char *one = g_build_filename(directory, "one", NULL), *two = g_build_filename(directory, "two", NULL);
  char *first[] = {one, NULL}, *second[] = {two, NULL};
  assert_int_equal(g_mkdir_with_parents(one, 0755), 0);
  assert_int_equal(g_mkdir_with_parents(two, 0755), 0);
  assert_true(cgroup_note(directory, first, NULL));
  assert_true(cgroup_note(directory, second, NULL));
  cgroup_remove_noted(directory);
  assert_int_not_equal(access(one, F_OK), 0);
  assert_int_not_equal(access(two, F_OK), 0);
  cgroup_remove_noted(directory); /* what is gone is gone */
  assert_true(safe_remove_tree(directory, NULL));
  cgroup_remove_noted(directory);
}

static void test_nowhere_to_go(void **state) {
  char *none[] = {(char *)"/nonexistent/cgroup", NULL};
  g_autoptr(GError) error = NULL;
  assert_false(cgroup_add(none, getpid(), &error));
  assert_non_null(strstr(error->message, "/nonexistent/cgroup"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paths),
      cmocka_unit_test(test_bad_paths),
      cmocka_unit_test(test_notes),
      cmocka_unit_test(test_nowhere_to_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
