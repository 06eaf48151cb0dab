/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/online.h"
#include "common/error.h"
#include "common/safe-path.h"

static char *folder;

static int set_up(void **state) {
  folder = g_dir_make_tmp("kata-online-XXXXXX", NULL);
  return folder ? 0 : -1;
}

static int tear_down(void **state) {
  gboolean removed = safe_remove_tree(folder, NULL);
  g_clear_pointer(&folder, g_free);
  return removed ? 0 : -1;
}

/* online: NULL, there is no such file. */
static void add(const char *name, const char *online) {
  g_autofree char *directory = g_build_filename(folder, name, NULL);
  assert_int_equal(g_mkdir_with_parents(directory, 0755), 0);
  g_autofree char *path = g_build_filename(directory, "online", NULL);
  if (online) assert_true(g_file_set_contents(path, online, -1, NULL));
}

static void check(const char *name, const char *expected) {
  g_autofree char *path = g_build_filename(folder, name, "online", NULL);
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(path, &text, NULL, NULL));
  assert_int_equal(text[0], expected[0]);
}

static Reaper *reaper;

static int make_reaper(void **state) {
  reaper = reaper_new(NULL);
  return reaper ? 0 : -1;
}

static int free_reaper(void **state) {
  reaper_free(reaper);
  return 0;
}

typedef struct {
  guint calls;
  GError *error;
} Told;

static void told(const GError *error, gpointer user_data) {
  Told *end = user_data;
  end->calls++;
  end->error = error ? g_error_copy(error) : NULL;
}

static void wait_for_end(Told *end) {
  while (end->calls == 0) g_main_context_iteration(NULL, TRUE);
  assert_int_equal(end->calls, 1);
}

static void bring_online(guint n_cpus, gboolean with_memory) {
  Told end = {0};
  online_start(reaper, folder, n_cpus, with_memory, told, &end);
  wait_for_end(&end);
  if (end.error) fail_msg("%s", end.error->message);
}

static void test_at_once(void **state) {
  add("cpu/cpu0", NULL);
  add("cpu/cpu1", "1\n");
  add("cpu/cpu2", "0\n");
  add("cpu/cpu3", "0\n");
  add("cpu/cpufreq", "0\n");
  add("memory/memory0", "1\n");
  add("memory/memory7", "0\n");
  bring_online(3, FALSE);
  g_autofree char *two = g_build_filename(folder, "cpu/cpu2/online", NULL);
  g_autofree char *three = g_build_filename(folder, "cpu/cpu3/online", NULL);
  g_autofree char *text_of_two = NULL;
  g_autofree char *text_of_three = NULL;
  assert_true(g_file_get_contents(two, &text_of_two, NULL, NULL));
  assert_true(g_file_get_contents(three, &text_of_three, NULL, NULL));
  /* One of them, in whatever order the directory has them, and no more. */
  assert_int_equal((text_of_two[0] == '1') + (text_of_three[0] == '1'), 1);
  check("cpu/cpufreq", "0");
  check("memory/memory7", "0");

  bring_online(0, TRUE);
  check("memory/memory7", "1");
}

static gboolean plug(gpointer data) {
  add("cpu/cpu1", "0\n");
  return G_SOURCE_REMOVE;
}

static void test_late(void **state) {
  add("cpu/cpu0", NULL);
  g_timeout_add(2 * ONLINE_RETRY_MS, plug, NULL);
  bring_online(2, TRUE);
  check("cpu/cpu1", "1");
}

static void test_never(void **state) {
  add("cpu/cpu0", NULL);
  Told end = {0};
  online_start(reaper, folder, 2, FALSE, told, &end);
  wait_for_end(&end);
  assert_string_equal(end.error->message, "only 1 of 2 CPUs are online after 5000 ms");
  g_error_free(end.error);
}

static void test_probe(void **state) {
  static const guint64 addresses[] = {0x1abcd0000000};
  Told refused = {0};
  add("memory/memory0", "1");
  online_probe(reaper, folder, addresses, 1, told, &refused);
  wait_for_end(&refused);
  assert_int_equal(error_get_code(refused.error), KATA_ERR_UNSUPPORTED);
  g_error_free(refused.error);
  g_autofree char *path = g_build_filename(folder, "memory/probe", NULL);
  assert_true(g_file_set_contents(path, "", 0, NULL));
  Told done = {0};
  online_probe(reaper, folder, addresses, 1, told, &done);
  wait_for_end(&done);
  assert_null(done.error);
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(path, &text, NULL, NULL));
  assert_string_equal(text, "0x1ABCD0000000");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_never, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_probe, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("agent-online", tests, make_reaper, free_reaper);
}
