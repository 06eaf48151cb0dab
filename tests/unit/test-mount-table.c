// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mount-table.h"

static const MountEntry *at(const GPtrArray *table, guint number) {
  assert_true(number < table->len);
  return table->pdata[number];
}

static void test_fields(void **state) {
  /* With one tag, with several, with none. */
  g_autoptr(GPtrArray) table = mount_table_parse(
      "22 1 8:17 / / rw,relatime shared:1 - ext4 /dev/sdb1 rw,errors=remount-ro\n"
      "36 35 98:0 /mnt1 /mnt2 ro,noatime master:1 propagate_from:2 - xfs /dev/root rw\n"
      "40 22 0:27 / /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n");
  assert_int_equal(table->len, 3);
  const MountEntry *root = at(table, 0), *part = at(table, 1), *cgroup = at(table, 2);
  assert_int_equal(root->id, 22);
  assert_true(root->device == makedev(8, 17));
  assert_string_equal(root->root, "/");
  assert_string_equal(root->point, "/");
  assert_string_equal(root->type, "ext4");
  assert_true(mount_entry_has_option(root, "rw"));
  assert_true(mount_entry_has_option(root, "errors=remount-ro"));
  assert_true(part->device == makedev(98, 0));
  assert_string_equal(part->root, "/mnt1");
  assert_string_equal(part->point, "/mnt2");
  /* The mount is read-only, its file system is not. */
  assert_false(mount_entry_has_option(part, "ro"));
  assert_true(mount_entry_has_option(part, "rw"));
  assert_string_equal(cgroup->type, "cgroup");
  assert_true(mount_entry_has_option(cgroup, "cpuacct"));
  assert_false(mount_entry_has_option(cgroup, "cpu,cpuacct"));
  assert_false(mount_entry_has_option(cgroup, "cpuset"));
}

static void test_names(void **state) {
  g_autoptr(GPtrArray) table = mount_table_parse(
      "1 2 0:5 /a\\040b /with\\040-\\040dash\\011\\012\\134x rw - tmpfs tm\\040pfs rw,size=4k\n"
      "1 2 0:5 / /no/source rw - fuse  rw,user_id=0");
  assert_int_equal(table->len, 2);
  assert_string_equal(at(table, 0)->root, "/a b");
  assert_string_equal(at(table, 0)->point, "/with - dash\t\n\\x");
  assert_true(mount_entry_has_option(at(table, 0), "size=4k"));
  assert_string_equal(at(table, 1)->type, "fuse");
  assert_true(mount_entry_has_option(at(table, 1), "user_id=0"));
}

static void test_other_lines(void **state) {
  g_autoptr(GPtrArray) table = mount_table_parse(
      "\n"
      "no mount\n"
      "1 2 0:5 / /no/dash rw tmpfs tmpfs rw\n"
      "1 2 0:5 / /short - tmpfs tmpfs rw\n"
      "1 2 0:5 / /short/after rw - tmpfs rw\n"
      "1 2 five / /no/device rw - tmpfs tmpfs rw\n"
      "1 2 0:5 / /good rw - tmpfs tmpfs rw\n"
      "1 2 0:5 / /cut rw - tm");
  assert_int_equal(table->len, 1);
  assert_string_equal(at(table, 0)->point, "/good");
  g_autoptr(GPtrArray) empty = mount_table_parse("");
  assert_int_equal(empty->len, 0);
}

static const MountEntry *find(const GPtrArray *table, const char *point) {
  const MountEntry *found = NULL;
  for (guint i = 0; i < table->len; i++)
    if (strcmp(at(table, i)->point, point) == 0) found = at(table, i);
  return found;
}

static void test_of_a_process(void **state) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) own = mount_table_read(0, &error), again = mount_table_read(getpid(), &error);
  if (own == NULL || again == NULL) fail_msg("%s", error->message);
  assert_int_equal(own->len, again->len);
  const MountEntry *proc = find(own, "/proc");
  assert_non_null(proc);
  assert_string_equal(proc->type, "proc");
  struct stat status;
  assert_int_equal(stat("/proc", &status), 0);
  assert_true(proc->device == status.st_dev);
  /* Above the kernel's greatest pid (4194304). */
  assert_null(mount_table_read(4194305, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_NOT_FOUND);
  assert_non_null(strstr(error->message, "/proc/4194305/mountinfo"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fields),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_other_lines),
      cmocka_unit_test(test_of_a_process),
  };
  return cmocka_run_group_tests_name("mount-table", tests, NULL, NULL);
}
