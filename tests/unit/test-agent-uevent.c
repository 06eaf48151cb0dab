/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/uevent.h"
#include "common/error.h"
#include "common/fds.h"

#define LIMIT_MS 60000
/* A device every kernel has; whoever writes here makes the kernel speak of it. */
#define SOME_UEVENT "/sys/class/mem/null/uevent"

static gboolean is_there;
static guint looks;

static char *find(const char *key) {
  looks++;
  return is_there ? g_strconcat("found ", key, NULL) : NULL;
}

typedef struct {
  guint calls;
  char *found;
  GError *error;
} Told;

static void told(const char *found, const GError *error, gpointer user_data) {
  Told *what = user_data;
  what->calls++;
  what->found = g_strdup(found);
  what->error = error ? g_error_copy(error) : NULL;
}

static void told_clear(Told *what) {
  g_free(what->found);
  g_clear_error(&what->error);
  *what = (Told){0};
}

static int reset(void **state) {
  is_there = FALSE;
  looks = 0;
  return 0;
}

static void run_until_told(const Told *what) {
  gint64 limit = g_get_monotonic_time() + LIMIT_MS * 1000;
  while (what->calls == 0) {
    assert_true(g_get_monotonic_time() < limit);
    g_main_context_iteration(NULL, TRUE);
  }
}

static void test_there_already(void **state) {
  g_autoptr(UeventMonitor) monitor = uevent_monitor_new(NULL);
  Told what = {0};
  is_there = TRUE;
  uevent_wait(monitor, "device", find, "x", LIMIT_MS, told, &what);
  assert_int_equal(what.calls, 0);
  run_until_told(&what);
  assert_string_equal(what.found, "found x");
  assert_null(what.error);
  told_clear(&what);
}

static void test_timeout(void **state) {
  g_autoptr(UeventMonitor) monitor = uevent_monitor_new(NULL);
  Told what = {0};
  uevent_wait(monitor, "test device", find, "07/\n01", 20, told, &what);
  run_until_told(&what);
  assert_null(what.found);
  assert_true(g_error_matches(what.error, KATA_ERROR, KATA_ERR_TIMEOUT));
  assert_non_null(strstr(what.error->message, "test device '07/\\x0a01'"));
  /* At the beginning, and once more before giving up. */
  assert_true(looks >= 2);
  told_clear(&what);
}

static void test_cancel(void **state) {
  g_autoptr(UeventMonitor) monitor = uevent_monitor_new(NULL);
  Told what = {0};
  Told other = {0};
  is_there = TRUE;
  uevent_cancel(uevent_wait(monitor, "device", find, "x", 1, told, &what));
  uevent_wait(monitor, "device", find, "y", LIMIT_MS, told, &other);
  run_until_told(&other);
  assert_int_equal(what.calls, 0);
  told_clear(&other);
  /* One that is still waited for when the monitor goes is forgotten. */
  is_there = FALSE;
  uevent_wait(monitor, "device", find, "z", LIMIT_MS, told, &what);
}

/* Of two waits, one ends by the kernel's word, and the other goes on. */
static gboolean announce(gpointer user_data) {
  is_there = TRUE;
  autofd int fd = open(SOME_UEVENT, O_WRONLY | O_CLOEXEC);
  assert_true(fd >= 0 && fd_write_all(fd, "change", 6));
  return G_SOURCE_REMOVE;
}

static char *find_never(const char *key) { return NULL; }

static void test_message(void **state) {
  if (access(SOME_UEVENT, W_OK) < 0) {
    print_message("skipped: cannot write '%s': %s\n", SOME_UEVENT, g_strerror(errno));
    skip();
  }
  g_autoptr(UeventMonitor) monitor = uevent_monitor_new(NULL);
  Told what = {0};
  Told never = {0};
  UeventWait *goes_on = uevent_wait(monitor, "device", find_never, "n", LIMIT_MS * 10, told, &never);
  uevent_wait(monitor, "device", find, "x", LIMIT_MS * 10, told, &what);
  while (looks == 0) g_main_context_iteration(NULL, TRUE);
  g_idle_add(announce, NULL);
  run_until_told(&what);
  assert_string_equal(what.found, "found x");
  assert_int_equal(never.calls, 0);
  told_clear(&what);
  uevent_cancel(goes_on);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_there_already, reset),
      cmocka_unit_test_setup(test_timeout, reset),
      cmocka_unit_test_setup(test_cancel, reset),
      cmocka_unit_test_setup(test_message, reset),
  };
  return cmocka_run_group_tests_name("agent-uevent", tests, NULL, NULL);
}
