// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <glib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/host-watch.h"

/* What the threads of test_from_two_threads() work on at once. */
#define ROUNDS 200

static gint n_told, n_freed; /* atomic */

static void on_end(gpointer data) { g_atomic_int_inc(&n_told); }
static void on_free(gpointer data) { g_atomic_int_inc(&n_freed); }

static int setup(void **state) {
  n_told = n_freed = 0;
  return 0;
}

static pid_t start_sleeper(void) {
  pid_t pid = fork();
  if (pid == 0) {
    alarm(60);
    pause();
    _exit(0);
  }
  assert_true(pid > 0);
  return pid;
}

static void end(pid_t pid) {
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void iterate_until_freed(gint number) {
  while (g_atomic_int_get(&n_freed) < number) g_main_context_iteration(NULL, TRUE);
}

static void test_the_end(void **state) {
  pid_t pid = start_sleeper();
  guint id = host_watch_add(pid, on_end, NULL, on_free);
  assert_int_not_equal(id, 0);
  assert_false(g_main_context_iteration(NULL, FALSE));
  end(pid);
  iterate_until_freed(1);
  assert_int_equal(n_told, 1);
  host_watch_remove(id); /* it has run: nothing to do */
  host_watch_remove(0);
  /* One that is gone before it is watched. */
  assert_int_not_equal(host_watch_add(pid, on_end, NULL, on_free), 0);
  iterate_until_freed(2);
  assert_int_equal(n_told, 2);
}

static void test_removed(void **state) {
  pid_t pid = start_sleeper();
  host_watch_remove(host_watch_add(pid, on_end, NULL, on_free));
  assert_int_equal(n_freed, 1);
  end(pid);
  assert_false(g_main_context_iteration(NULL, FALSE));
  assert_int_equal(n_told, 0);
}

static gpointer remove_all(gpointer ids) {
  for (guint i = 0; i < ROUNDS; i++) host_watch_remove(g_array_index((GArray *)ids, guint, i));
  return NULL;
}

/* Each is freed exactly once, whoever comes first. */
static void test_from_two_threads(void **state) {
  pid_t pid = start_sleeper();
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(guint));
  for (guint i = 0; i < ROUNDS; i++) {
    guint id = host_watch_add(pid, on_end, NULL, on_free);
    g_array_append_val(ids, id);
  }
  end(pid);
  GThread *thread = g_thread_new("remover", remove_all, ids);
  while (g_main_context_iteration(NULL, FALSE)) continue;
  g_thread_join(thread);
  while (g_main_context_iteration(NULL, FALSE)) continue;
  assert_int_equal(n_freed, ROUNDS);
  assert_true(n_told <= ROUNDS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_the_end, setup),
      cmocka_unit_test_setup(test_removed, setup),
      cmocka_unit_test_setup(test_from_two_threads, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
