/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many containers and many execs leave memory, descriptors, cgroups and all else of the agent where they were.
 * KATA_TEST_CONTAINERS and KATA_TEST_EXECS say how many; "make check-soak" takes more than "make check".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "tests/agent/harness.h"

#define CONTAINERS 40
#define EXECS 200
#define THREADS 4
/* What malloc() may keep for itself, whatever the number. */
#define GROWTH_MAX_KIB 1024

static guint get_count(const char *name, guint otherwise) {
  const char *text = g_getenv(name);
  return text ? (guint)g_ascii_strtoull(text, NULL, 10) : otherwise;
}

typedef struct {
  guint64 resident_kib;
  guint fds;
  char *leftovers;
} Usage;

static Usage measure(void) {
  Usage usage = {0};
  g_autofree char *status_path = g_strdup_printf("/proc/%d/status", (int)harness_agent_pid());
  g_autofree char *fd_path = g_strdup_printf("/proc/%d/fd", (int)harness_agent_pid());
  g_autofree char *status = NULL;
  assert_true(g_file_get_contents(status_path, &status, NULL, NULL));
  const char *line = strstr(status, "VmRSS:");
  assert_non_null(line);
  usage.resident_kib = g_ascii_strtoull(line + strlen("VmRSS:"), NULL, 10);
  g_autoptr(GDir) fds = g_dir_open(fd_path, 0, NULL);
  while (fds && g_dir_read_name(fds)) usage.fds++;
  usage.leftovers = harness_leftovers();
  return usage;
}

static void check_growth(const char *what, guint count, Usage *before) {
  Usage after = measure();
  print_message("%u %s: resident from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " KiB\n", count, what,
                before->resident_kib, after.resident_kib);
  assert_int_equal(after.fds, before->fds);
  assert_string_equal(after.leftovers, before->leftovers);
  assert_true(after.resident_kib <= before->resident_kib + GROWTH_MAX_KIB);
  g_free(before->leftovers);
  g_free(after.leftovers);
}

static void in_threads(GThreadFunc func, guint count) {
  GThread *threads[THREADS];
  for (gsize i = 0; i < THREADS; i++) threads[i] = g_thread_new("soak", func, GUINT_TO_POINTER(i * count + 1));
  for (gsize i = 0; i < THREADS; i++) g_thread_join(threads[i]);
}

/* ---- containers ---- */

static guint containers_each, execs_each;

static gpointer make_containers(gpointer first) {
  for (guint i = 0; i < containers_each; i++) {
    g_autofree char *id = g_strdup_printf("soak%u", GPOINTER_TO_UINT(first) + i);
    harness_create(id, "exit 3");
    harness_start_container(id);
    assert_int_equal(harness_wait(id, ""), 3);
    harness_remove(id);
  }
  return NULL;
}

static void test_containers(void **state) {
  const guint count = get_count("KATA_TEST_CONTAINERS", CONTAINERS);
  containers_each = 5;
  in_threads(make_containers, containers_each);
  Usage before = measure();
  containers_each = count / THREADS;
  in_threads(make_containers, containers_each);
  check_growth("containers", count, &before);
}

/* ---- execs ---- */

static gpointer make_execs(gpointer first) {
  for (guint i = 0; i < execs_each; i++) {
    g_autofree char *id = g_strdup_printf("e%u", GPOINTER_TO_UINT(first) + i);
    g_autoptr(Grpc__Process) process = harness_process("");
    const char *const args[] = {"/bin/true", NULL};
    harness_set_args(process, args);
    Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
    request.container_id = (char *)"box";
    request.exec_id = id;
    request.process = process;
    harness_must("ExecProcess", &request.base);
    g_autoptr(GString) out = harness_read_all("box", id, FALSE);
    g_autoptr(GString) err = harness_read_all("box", id, TRUE);
    assert_int_equal(harness_wait("box", id), 0);
  }
  return NULL;
}

static void test_execs(void **state) {
  const guint count = get_count("KATA_TEST_EXECS", EXECS);
  harness_create("box", "exec sleep 100000");
  harness_start_container("box");
  /* As many as the agent remembers, so that the number of them is the same before and after. */
  execs_each = 16;
  in_threads(make_execs, execs_each);
  Usage before = measure();
  execs_each = count / THREADS;
  in_threads(make_execs, execs_each);
  check_growth("execs", count, &before);
  harness_remove("box");
}

static int start(void **state) {
  harness_start();
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_containers), cmocka_unit_test(test_execs)};
  return cmocka_run_group_tests_name("agent-soak", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
