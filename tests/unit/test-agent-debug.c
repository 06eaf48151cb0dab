/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The debug console and the log port, on sockets that stand for vsock's. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/debug-console.h"
#include "agent/log-port.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/ttrpc.h"

#define PATIENCE_US (60 * G_USEC_PER_SEC)

static char *folder;

static int listen_at(const char *name, char **ret_address) {
  g_autoptr(GError) error = NULL;
  *ret_address = g_strdup_printf("unix://%s/%s", folder, name);
  int listener = ttrpc_listen(*ret_address, &error);
  if (listener < 0) fail_msg("%s", error->message);
  return listener;
}

static int dial(const char *address) {
  g_autoptr(GError) error = NULL;
  int fd = ttrpc_dial(address, 0, &error);
  if (fd < 0) fail_msg("%s", error->message);
  return fd;
}

/* Until text has come, or, where it is NULL, the end. */
static gboolean read_until(int fd, GString *got, const char *text) {
  const gint64 deadline = g_get_monotonic_time() + PATIENCE_US;
  while (g_get_monotonic_time() < deadline) {
    g_main_context_iteration(NULL, FALSE);
    char block[512];
    ssize_t size = read(fd, block, sizeof block);
    if (size > 0) g_string_append_len(got, block, size);
    if (text && strstr(got->str, text)) return TRUE;
    if (size == 0 || (size < 0 && errno != EAGAIN)) return !text;
    if (size < 0) g_usleep(1000);
  }
  return FALSE;
}

static void test_shell(void **state) {
  if (!debug_console_find_shell()) skip();
  g_autofree char *address = NULL;
  g_autoptr(Reaper) reaper = reaper_new(NULL);
  debug_console_serve(reaper, listen_at("console", &address));
  autofd int one = dial(address);
  autofd int other = dial(address);
  g_autoptr(GString) got = g_string_new(NULL);
  static const char command[] = "tty; echo answer $((6 * 7)); exit\n";
  assert_true(fd_write_all(one, command, strlen(command)));
  assert_true(read_until(one, got, "answer 42"));
  assert_non_null(strstr(got->str, "/dev/pts/"));
  /* The shell's end is the connection's. */
  assert_true(read_until(one, got, NULL));

  /* The connection's end is the shell's. */
  g_string_truncate(got, 0);
  static const char pid_command[] = "echo pid=$$=\n";
  assert_true(fd_write_all(other, pid_command, strlen(pid_command)));
  g_autoptr(GMatchInfo) match = NULL;
  g_autoptr(GRegex) regex = g_regex_new("pid=([0-9]+)=", 0, 0, NULL);
  while (!g_regex_match(regex, got->str, 0, &match)) {
    g_clear_pointer(&match, g_match_info_unref);
    gsize before = got->len;
    read_until(other, got, "=\r\n");
    if (got->len == before) g_usleep(1000);
  }
  g_autofree char *pid = g_match_info_fetch(match, 1);
  g_autofree char *proc = g_strconcat("/proc/", pid, NULL);
  fd_clear(&other);
  const gint64 deadline = g_get_monotonic_time() + PATIENCE_US;
  while (access(proc, F_OK) == 0 && g_get_monotonic_time() < deadline) {
    g_main_context_iteration(NULL, FALSE);
    g_usleep(1000);
  }
  assert_int_equal(access(proc, F_OK), -1);
}

/* A debugger who does not read holds nobody up, not even at the end. */
static void test_reader_asleep(void **state) {
  if (!debug_console_find_shell()) skip();
  g_autofree char *address = NULL;
  g_autoptr(Reaper) reaper = reaper_new(NULL);
  debug_console_serve(reaper, listen_at("asleep", &address));
  autofd int fd = dial(address);
  static const char command[] = "head -c 4000000 /dev/zero | tr '\\0' x; exit\n";
  assert_true(fd_write_all(fd, command, strlen(command)));
  struct pollfd end = {.fd = fd};
  const gint64 deadline = g_get_monotonic_time() + PATIENCE_US;
  while (poll(&end, 1, 0) == 0 && g_get_monotonic_time() < deadline) {
    if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);
  }
  assert_int_equal(end.revents, POLLHUP);
}

static void test_log(void **state) {
  g_autofree char *address = NULL;
  log_port_serve(listen_at("log", &address), G_LOG_LEVEL_INFO);
  autofd int reader = dial(address);
  g_autoptr(GString) got = g_string_new(NULL);
  g_main_context_iteration(NULL, TRUE);
  g_info("for the reader");
  assert_true(read_until(reader, got, "for the reader"));
  assert_true(g_str_has_prefix(got->str, "{"));
  /* He goes, and the next one gets what comes then. */
  fd_clear(&reader);
  g_main_context_iteration(NULL, TRUE);
  autofd int next = dial(address);
  g_main_context_iteration(NULL, TRUE);
  g_string_truncate(got, 0);
  g_info("for the next");
  assert_true(read_until(next, got, "for the next"));
  assert_null(strstr(got->str, "for the reader"));
}

/* Nor does a reader of the log, from the second line on that does not fit. */
static void test_log_reader_asleep(void **state) {
  g_autofree char *address = NULL;
  g_autofree char *long_text = g_strnfill(4096, 'x');
  log_port_serve(listen_at("sleeper", &address), G_LOG_LEVEL_INFO);
  autofd int reader = dial(address);
  g_main_context_iteration(NULL, TRUE);
  const gint64 deadline = g_get_monotonic_time() + PATIENCE_US;
  for (int i = 0; i < 1000; i++) g_info("%s", long_text);
  assert_true(g_get_monotonic_time() < deadline);
}

static int set_up(void **state) {
  folder = g_dir_make_tmp("kata-debug-XXXXXX", NULL);
  return folder ? 0 : -1;
}

static int tear_down(void **state) {
  static const char *const names[] = {"console", "asleep", "log", "sleeper"};
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = g_build_filename(folder, names[i], NULL);
    unlink(path);
  }
  int removed = rmdir(folder);
  g_clear_pointer(&folder, g_free);
  return removed;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_shell), cmocka_unit_test(test_reader_asleep),
                                     cmocka_unit_test(test_log), cmocka_unit_test(test_log_reader_asleep)};
  return cmocka_run_group_tests_name("agent-debug", tests, set_up, tear_down);
}
