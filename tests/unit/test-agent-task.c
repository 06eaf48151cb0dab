/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
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

static gboolean say_much(gpointer data, GString *result, GError **error) {
  g_string_set_size(result, GPOINTER_TO_UINT(data) + 1);
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
  request = (TaskRequest){.work = say_much, .data = GUINT_TO_POINTER(TASK_RESULT_MAX - 1)};
  run(reaper, &request, &what);
  assert_int_equal(strlen(what.result), TASK_RESULT_MAX - 1);
  told_clear(&what);
  request = (TaskRequest){.work = say_much, .data = GUINT_TO_POINTER(TASK_RESULT_MAX)};
  run(reaper, &request, &what);
  assert_true(g_error_matches(what.error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED));
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

static G_GNUC_NORETURN gboolean hang(gpointer data, GString *result, GError **error) {
  for (;;) pause();
}

/* A helper that does not move is given up, and what it was is gone. */
static void test_timeout(void **state) {
  Told what = {0};
  g_autoptr(Reaper) reaper = reaper_new(NULL);
  TaskRequest request = {.work = hang, .timeout_ms = 100};
  run(reaper, &request, &what);
  assert_true(g_error_matches(what.error, KATA_ERROR, KATA_ERR_TIMEOUT));
  told_clear(&what);
  request = (TaskRequest){.work = answer, .data = (gpointer) "next", .timeout_ms = 60000};
  run(reaper, &request, &what);
  assert_string_equal(what.result, "next");
  told_clear(&what);
  while (waitpid(-1, NULL, WNOHANG) == 0) g_main_context_iteration(NULL, FALSE);
}

#define MANY (TASKS_AT_ONCE + 20)

/* data: an end of a pipe; who waits there ends when the other end is closed. */
static gboolean wait_in_line(gpointer data, GString *result, GError **error) {
  char byte = 0;
  return read(*(const int *)data, &byte, 1) == 0;
}

static void count_end(const char *result, const GError *error, gpointer user_data) {
  if (error) fail_msg("%s", error->message);
  ++*(guint *)user_data;
}

static guint count_children(void) {
  g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", (int)getpid());
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(path, &text, NULL, NULL));
  guint count = 0;
  for (const char *at = text; (at = strchr(at, ' ')); at++) count++;
  return count;
}

/* There are never more than so many of them; the others come when there is room. */
static void test_turns(void **state) {
  g_autoptr(Reaper) reaper = reaper_new(NULL);
  int ends[2];
  guint ended = 0;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  TaskRequest request = {.work = wait_in_line, .data = &ends[0], .fds = {ends[0]}, .n_fds = 1};
  for (guint i = 0; i < MANY; i++) task_start(reaper, &request, count_end, &ended);
  assert_int_equal(count_children(), TASKS_AT_ONCE);
  assert_int_equal(ended, 0);
  close(ends[1]);
  while (ended < MANY) g_main_context_iteration(NULL, TRUE);
  assert_int_equal(count_children(), 0);
  close(ends[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_descriptors),
                                     cmocka_unit_test(test_timeout), cmocka_unit_test(test_turns)};
  return cmocka_run_group_tests_name("agent-task", tests, NULL, NULL);
}
