/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/mount.h"
#include "agent/reap.h"
#include "common/error.h"

typedef struct {
  guint calls;
  int exit_code;
} Told;

static void told(pid_t pid, int wait_status, gpointer user_data) {
  Told *what = user_data;
  what->calls++;
  what->exit_code = reaper_exit_code(wait_status);
}

static pid_t start_child(int exit_code, int signal_number) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid > 0) return pid;
  if (signal_number) kill(getpid(), signal_number);
  _exit(exit_code);
}

/* Until nothing is left of the process. */
static void run_until_reaped(pid_t pid) {
  gint64 limit = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
  while (kill(pid, 0) == 0) {
    assert_true(g_get_monotonic_time() < limit);
    g_main_context_iteration(NULL, FALSE);
    g_usleep(1000);
  }
}

static void test_watch(void **state) {
  Told normal = {0}, killed = {0}, unwatched = {0};
  g_autoptr(Reaper) reaper = reaper_new(NULL);
  assert_non_null(reaper);
  pid_t exits = start_child(42, 0);
  pid_t dies = start_child(0, SIGKILL);
  reaper_watch(reaper, exits, told, &normal);
  reaper_watch(reaper, dies, told, &killed);
  pid_t pid = start_child(1, 0);
  reaper_watch(reaper, pid, told, &unwatched);
  reaper_unwatch(reaper, pid);
  run_until_reaped(exits);
  run_until_reaped(dies);
  /* Reaped all the same. */
  run_until_reaped(pid);
  assert_int_equal(normal.calls, 1);
  assert_int_equal(normal.exit_code, 42);
  assert_int_equal(killed.calls, 1);
  assert_int_equal(killed.exit_code, 137);
  assert_int_equal(unwatched.calls, 0);
}

static void test_unknown(void **state) {
  Told kept = {0}, lost = {0};
  g_autoptr(Reaper) reaper = reaper_new(NULL);
  reaper_keep_unknown(reaper);
  pid_t pid = start_child(5, 0);
  run_until_reaped(pid);
  reaper_watch(reaper, pid, told, &kept);
  assert_int_equal(kept.calls, 1);
  assert_int_equal(kept.exit_code, 5);
  pid = start_child(6, 0);
  run_until_reaped(pid);
  reaper_forget_unknown(reaper);
  reaper_watch(reaper, pid, told, &lost);
  assert_int_equal(lost.calls, 0);
}

static void test_mount_options(void **state) {
  char *words[] = {(char *)"nosuid", (char *)"ro",      (char *)"rw",   (char *)"mode=755",
                   (char *)"",       (char *)"size=1m", (char *)"rbind"};
  unsigned long flags = 0;
  g_autofree char *data = NULL;
  assert_true(mount_parse_options(words, G_N_ELEMENTS(words), &flags, &data, NULL));
  assert_int_equal(flags, MS_NOSUID | MS_BIND | MS_REC);
  assert_string_equal(data, "mode=755,size=1m");
  char *none[] = {(char *)"ro"};
  g_autofree char *no_data = NULL;
  assert_true(mount_parse_options(none, 1, &flags, &no_data, NULL));
  assert_int_equal(flags, MS_RDONLY);
  assert_null(no_data);
  char *loop[] = {(char *)"loop"};
  g_autoptr(GError) error = NULL;
  assert_false(mount_parse_options(loop, 1, &flags, &no_data, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_UNSUPPORTED);
  g_autofree char *text = g_strnfill(5000, 'x');
  char *huge[] = {text};
  g_clear_error(&error);
  assert_false(mount_parse_options(huge, 1, &flags, &no_data, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_watch),
      cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_mount_options),
  };
  return cmocka_run_group_tests_name("agent-reap", tests, NULL, NULL);
}
