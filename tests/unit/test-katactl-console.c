// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "katactl/console.h"
#include "katactl/pid-file.h"

static char *folder;

static int make_folder(void **state) {
  folder = g_dir_make_tmp("katactl-console-XXXXXX", NULL);
  return folder != NULL ? 0 : -1;
}

static int remove_folder(void **state) {
  safe_remove_tree(folder, NULL);
  g_clear_pointer(&folder, g_free);
  return 0;
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_strlcpy(address.sun_path, path, sizeof address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(fd, 1), 0);
  return fd;
}

/* Bytes go through the slave unchanged in both directions, and nothing is echoed. */
static void test_pair_is_raw(void **state) {
  autofd int master = -1;
  autofd int slave = -1;
  g_autofree char *name = NULL;
  char buffer[16] = "";
  assert_true(console_open_pair(&master, &slave, &name, NULL));
  assert_true(g_str_has_prefix(name, "/dev/pts/"));
  assert_int_equal(write(slave, "a\nb", 3), 3);
  assert_int_equal(read(master, buffer, sizeof buffer), 3);
  assert_memory_equal(buffer, "a\nb", 3);
  assert_int_equal(write(master, "\x03\x04\r", 3), 3);
  assert_int_equal(read(slave, buffer, sizeof buffer), 3);
  assert_memory_equal(buffer, "\x03\x04\r", 3);
  assert_true(fd_set_nonblocking(master, TRUE, NULL));
  assert_int_equal(read(master, buffer, sizeof buffer), -1);
  assert_int_equal(errno, EAGAIN);
}

static void test_size(void **state) {
  autofd int master = -1;
  autofd int slave = -1;
  g_autofree char *name = NULL;
  guint columns = 7, rows = 8;
  assert_true(console_open_pair(&master, &slave, &name, NULL));
  assert_false(console_get_size(slave, &columns, &rows));
  assert_int_equal(columns, 7);
  struct winsize size = {.ws_col = 132, .ws_row = 43};
  assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
  assert_true(console_get_size(slave, &columns, &rows));
  assert_int_equal(columns, 132);
  assert_int_equal(rows, 43);
  assert_false(console_get_size(-1, &columns, &rows));
}

static void test_mode_comes_back(void **state) {
  autofd int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  autofd int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  struct termios before, raw, after;
  ConsoleMode mode;
  assert_int_equal(tcgetattr(slave, &before), 0);
  console_mode_enter(&mode, slave);
  assert_int_equal(tcgetattr(slave, &raw), 0);
  assert_true((before.c_lflag & ECHO) != 0);
  assert_true((raw.c_lflag & (ECHO | ICANON | ISIG)) == 0);
  console_mode_leave(&mode);
  assert_int_equal(tcgetattr(slave, &after), 0);
  assert_int_equal(after.c_lflag, before.c_lflag);
  assert_int_equal(after.c_oflag, before.c_oflag);
  console_mode_leave(&mode);
  console_mode_enter(&mode, -1);
  console_mode_leave(&mode);
}

static void test_send(void **state) {
  g_autofree char *path = g_build_filename(folder, "console.sock", NULL);
  autofd int listener = listen_at(path);
  autofd int master = -1;
  autofd int slave = -1;
  g_autofree char *name = NULL;
  assert_true(console_open_pair(&master, &slave, &name, NULL));
  assert_true(console_send(path, master, name, NULL));
  autofd int peer = accept(listener, NULL, NULL);
  autofd int received = fd_receive(peer, NULL);
  char buffer[4] = "";
  assert_true(received >= 0);
  assert_int_equal(write(slave, "x", 1), 1);
  assert_int_equal(read(received, buffer, sizeof buffer), 1);
  assert_int_equal(buffer[0], 'x');
}

static void test_send_errors(void **state) {
  g_autofree char *missing = g_build_filename(folder, "none.sock", NULL);
  g_autofree char *tail = g_strnfill(120, 'x');
  g_autofree char *too_long = g_build_filename(folder, tail, NULL);
  g_autoptr(GError) error = NULL;
  assert_false(console_send(missing, 0, "x", &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_NOT_FOUND));
  assert_non_null(strstr(error->message, missing));
  g_clear_error(&error);
  assert_false(console_send(too_long, 0, "x", &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
}

static void test_pid_file(void **state) {
  g_autofree char *path = g_build_filename(folder, "pid", NULL);
  g_autofree char *text = NULL;
  gsize length = 0;
  struct stat info;
  assert_true(pid_file_write(path, 4194304, NULL));
  assert_true(pid_file_write(path, 17, NULL));
  assert_true(g_file_get_contents(path, &text, &length, NULL));
  assert_int_equal(length, 2);
  assert_string_equal(text, "17");
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 07777, 0644);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  assert_string_equal(g_dir_read_name(dir), "pid");
  assert_null(g_dir_read_name(dir));
}

static void test_pid_file_without_folder(void **state) {
  g_autofree char *path = g_build_filename(folder, "none", "pid", NULL);
  g_autoptr(GError) error = NULL;
  assert_false(pid_file_write(path, 17, &error));
  assert_true(g_str_has_prefix(error->message, "cannot write the pid file: "));
}

static void test_pidfd(void **state) {
  g_autofree char *path = g_build_filename(folder, "pidfd.sock", NULL);
  autofd int listener = listen_at(path);
  g_autoptr(GError) error = NULL;
  if (!pid_file_send_pidfd(path, getpid(), &error)) {
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_UNSUPPORTED));
    return; /* valgrind 3.19 does not know pidfd_open(2) */
  }
  autofd int peer = accept(listener, NULL, NULL);
  autofd int received = fd_receive(peer, NULL);
  g_autofree char *info_path = g_strdup_printf("/proc/self/fdinfo/%d", received);
  g_autofree char *info = NULL;
  g_autofree char *expected = g_strdup_printf("Pid:\t%d\n", (int)getpid());
  assert_true(received >= 0);
  assert_true(g_file_get_contents(info_path, &info, NULL, NULL));
  assert_non_null(strstr(info, expected));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pair_is_raw),
      cmocka_unit_test(test_size),
      cmocka_unit_test(test_mode_comes_back),
      cmocka_unit_test_setup_teardown(test_send, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(test_send_errors, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(test_pid_file, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(test_pid_file_without_folder, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(test_pidfd, make_folder, remove_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
