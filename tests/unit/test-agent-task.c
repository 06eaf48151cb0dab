/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/task.h"
#include "common/error.h"

#define LIMIT_US (60 * G_USEC_PER_SEC)

typedef struct {
  guint calls;
  char *result;
  GError *error;
} Told;

static void told(const char *result, const GError *error, gpointer user_data) {
  Told *what = user_data;
  what->calls++;
  what->result = g_strdup(result);
  what->error = error ? g_error_copy(error) : NULL;
}

static void run(Reaper *reaper, const TaskRequest *request, Told *what) {
  gint64 limit = g_get_monotonic_time() + LIMIT_US;
  *what = (Told){0};
  task_start(reaper, request, told, what);
  assert_int_equal(what->calls, 0);
  while (what->calls == 0) {
    assert_true(g_get_monotonic_time() < limit);
    g_main_context_iteration(NULL, FALSE);
    g_usleep(1000);
  }
  assert_int_equal(what->calls, 1);
}

static void told_clear(Told *what) {
  g_free(what->result);
  g_clear_error(&what->error);
}

static gboolean answer(gpointer data, GString *result, GError **error) {
  g_string_append(result, data);
  return TRUE;
}

static gboolean refuse(gpointer data, GString *result, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "no '%s' here", (const char *)data);
  return FALSE;
}

static gboolean die(gpointer data, GString *result, GError **error) {
  kill(getpid(), SIGKILL);
  return TRUE;
}

static gboolean say_too_much(gpointer data, GString *result, GError **error) {
  g_string_set_size(result, 1 << 20);
  memset(result->str + 1, 'x', result->len - 1);
  return TRUE;
}

static void test_answers(void **state) {
  Told what = {0};
  g_autoptr(Reaper) reaper = reaper_new(NULL);
  TaskRequest request = {.work = answer, .data = (gpointer) "fine"};
  run(reaper, &request, &what);
  assert_string_equal(what.result, "fine");
  assert_null(what.error);
  told_clear(&what);
  request = (TaskRequest){.work = refuse, .data = (gpointer) "device"};
  run(reaper, &request, &what);
  assert_null(what.result);
  assert_true(g_error_matches(what.error, KATA_ERROR, KATA_ERR_NOT_FOUND));
  assert_string_equal(what.error->message, "no 'device' here");
  told_clear(&what);
  request = (TaskRequest){.work = die};
  run(reaper, &request, &what);
  assert_true(g_error_matches(what.error, KATA_ERROR, KATA_ERR_INTERNAL));
  assert_non_null(strstr(what.error->message, "status 137"));
  told_clear(&what);
  request = (TaskRequest){.work = say_too_much};
  run(reaper, &request, &what);
  assert_int_equal(strlen(what.result), TASK_RESULT_MAX - 1);
  told_clear(&what);
}

/* data: two descriptors, of which the first was to be kept. */
static gboolean look_at_fds(gpointer data, GString *result, GError **error) {
  const int *fds = data;
  g_string_printf(result, "k%d%d%d", fcntl(fds[0], F_GETFD) >= 0, fcntl(fds[1], F_GETFD) >= 0,
                  fcntl(STDERR_FILENO, F_GETFD) >= 0);
  return TRUE;
}

static void test_descriptors(void **state) {
  Told what = {0};
  g_autoptr(Reaper) reaper = reaper_new(NULL);
  int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/null", O_RDONLY | O_CLOEXEC)};
  TaskRequest request = {.work = look_at_fds, .data = fds, .fds = {fds[0]}, .n_fds = 1};
  run(reaper, &request, &what);
  assert_string_equal(what.result, "101");
  assert_true(fcntl(fds[0], F_GETFD) >= 0 && fcntl(fds[1], F_GETFD) >= 0);
  told_clear(&what);
  close(fds[0]);
  close(fds[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_descriptors)};
  return cmocka_run_group_tests_name("agent-task", tests, NULL, NULL);
}
