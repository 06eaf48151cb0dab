// SPDX-License-Identifier: LGPL-2.1-or-later
/* Paths of cgroups and their limits in files of both versions, which need no cgroup; what is done with real ones
 * tests/cli/test-host-process.py shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "common/safe-path.h"
#include "shim/cgroup-limits.h"
#include "shim/cgroup-systemd.h"
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

/* ---- limits ---- */

static void test_sum(void **state) {
  static const VmDemand none = {0}, half = {.vcpus = 0.5, .memory_mib = 100, .shares = 512}, two = {.vcpus = 2};
  const struct {
    VmDemand demands[2];
    gsize n_demands;
    guint64 shares;
    gint64 quota, memory;
  } cases[] = {
      {{none}, 0, 1024, -1, -1},
      {{none}, 1, 1024, -1, -1},
      {{half}, 1, 512, 150000, (gint64)(400 + 50) << 20},
      /* One that has no limit leaves all without. */
      {{half, none}, 2, 1536, -1, -1},
      {{half, two}, 2, 1536, 350000, -1},
      {{{.shares = 1}}, 1, 2, -1, -1},
      {{{.shares = G_MAXUINT64}, {.shares = G_MAXUINT64}}, 2, 262144, -1, -1},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    CgroupLimits limits = cgroup_limits_sum(cases[i].demands, cases[i].n_demands, 1, 400, 50);
    assert_int_equal(limits.cpu_shares, cases[i].shares);
    assert_int_equal(limits.cpu_quota_us, cases[i].quota);
    assert_int_equal(limits.memory_bytes, cases[i].memory);
  }
}

static void make_files(const char *directory, const char *const *names) {
  for (; *names != NULL; names++) {
    g_autofree char *path = g_build_filename(directory, *names, NULL);
    assert_true(safe_write_file(path, "", -1, 0600, FALSE, NULL));
  }
}

static void check_file(const char *directory, const char *name, const char *expected) {
  g_autofree char *path = g_build_filename(directory, name, NULL);
  g_autofree char *text = safe_read_file(path, 4096, NULL, NULL);
  if (g_strcmp0(text, expected) != 0) fail_msg("%s: '%s', not '%s'", name, text, expected);
}

/* Each version has files of its own; what is not there is left out. */
static void test_files_of_both_versions(void **state) {
  static const char *const old[] = {"cpu.shares",
                                    "cpu.cfs_period_us",
                                    "cpu.cfs_quota_us",
                                    "memory.limit_in_bytes",
                                    "blkio.bfq.weight",
                                    "blkio.throttle.read_bps_device",
                                    NULL};
  static const char *const new[] = {"cpu.weight", "cpu.max", "memory.max", "io.weight", "io.max", NULL};
  g_autofree char *one = g_dir_make_tmp("kata-cgroup-XXXXXX", NULL), *two = g_dir_make_tmp("kata-cgroup-XXXXXX", NULL);
  make_files(one, old);
  make_files(two, new);
  char *directories[] = {one, two, NULL};
  const CgroupLimits limits = {.cpu_shares = 2048, .cpu_quota_us = 150000, .memory_bytes = 1 << 20};
  cgroup_limits_apply(directories, &limits);
  check_file(one, "cpu.shares", "2048");
  check_file(one, "cpu.cfs_period_us", "100000");
  check_file(one, "cpu.cfs_quota_us", "150000");
  check_file(one, "memory.limit_in_bytes", "1048576");
  check_file(two, "cpu.weight", "79");
  check_file(two, "cpu.max", "150000 100000");
  check_file(two, "memory.max", "1048576");
  static const char json[] =
      "{\"blockIO\":{\"weight\":500,\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":4096}]}}";
  g_autoptr(OciResources) resources = oci_resources_parse(json, strlen(json), "resources", NULL);
  cgroup_limits_apply_block_io(directories, resources);
  check_file(one, "blkio.bfq.weight", "500");
  check_file(one, "blkio.throttle.read_bps_device", "8:0 4096");
  check_file(two, "io.weight", "4950");
  check_file(two, "io.max", "8:0 rbps=4096");
  assert_true(cgroup_limits_set_cpuset(directories, "0", "0", NULL)); /* no such controller */
  assert_true(safe_remove_tree(one, NULL) && safe_remove_tree(two, NULL));
}

static void test_no_limits(void **state) {
  static const char *const names[] = {"cpu.max", "memory.max", "cpu.cfs_quota_us", "memory.limit_in_bytes", NULL};
  g_autofree char *one = g_dir_make_tmp("kata-cgroup-XXXXXX", NULL);
  make_files(one, names);
  char *directories[] = {one, NULL};
  const CgroupLimits limits = {.cpu_shares = 1024, .cpu_quota_us = -1, .memory_bytes = -1};
  cgroup_limits_apply(directories, &limits);
  check_file(one, "cpu.max", "max 100000");
  check_file(one, "memory.max", "max");
  check_file(one, "cpu.cfs_quota_us", "-1");
  check_file(one, "memory.limit_in_bytes", "-1");
  assert_true(safe_remove_tree(one, NULL));
}

static void test_scopes(void **state) {
  static const struct {
    const char *path, *unit, *slice;
  } scopes[] = {{"machine.slice:libpod:abc", "libpod-abc.scope", "machine.slice"},
                {":p:n", "p-n.scope", "system.slice"},
                {"a-b.slice::n", "n.scope", "a-b.slice"},
                {"/a:b:c", NULL, NULL},
                {"a:b", NULL, NULL},
                {"a.slice:p:a-n.slice", NULL, NULL}};
  for (gsize i = 0; i < G_N_ELEMENTS(scopes); i++) {
    g_autofree char *unit = NULL, *slice = NULL;
    assert_int_equal(cgroup_systemd_parse(scopes[i].path, &unit, &slice), scopes[i].unit != NULL);
    if (scopes[i].unit == NULL) continue;
    assert_string_equal(unit, scopes[i].unit);
    assert_string_equal(slice, scopes[i].slice);
  }
}

static void test_nowhere_to_go(void **state) {
  char *none[] = {(char *)"/nonexistent/cgroup", NULL};
  g_autoptr(GError) error = NULL;
  assert_false(cgroup_add(none, getpid(), &error));
  assert_non_null(strstr(error->message, "/nonexistent/cgroup"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paths),     cmocka_unit_test(test_bad_paths),
      cmocka_unit_test(test_notes),     cmocka_unit_test(test_nowhere_to_go),
      cmocka_unit_test(test_sum),       cmocka_unit_test(test_files_of_both_versions),
      cmocka_unit_test(test_no_limits), cmocka_unit_test(test_scopes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
