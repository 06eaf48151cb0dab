// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/stream.h"

static Stream *open_fd(int fd, gboolean input) {
  g_autofree char *uri = g_strdup_printf("pidfd://%d/%d", (int)getpid(), fd);
  g_autoptr(GError) error = NULL;
  Stream *stream = NULL;
  if (!stream_open(uri, input, &stream, &error)) {
    if (g_strrstr(error->message, g_strerror(EPERM))) skip();
    fail_msg("%s", error->message);
  }
  return stream;
}

static void test_empty_is_none(void **state) {
  Stream *stream = (Stream *)1;
  assert_true(stream_open("", TRUE, &stream, NULL));
  assert_null(stream);
  assert_true(stream_open(NULL, FALSE, &stream, NULL));
}

static void test_pipe_stays_blocking_for_its_owner(void **state) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  autofd int cancel = eventfd(0, EFD_CLOEXEC);
  g_autoptr(Stream) out = open_fd(ends[1], FALSE);
  g_autoptr(Stream) in = open_fd(ends[0], TRUE);
  assert_true(stream_write(out, cancel, "hello", 5));
  char buffer[16];
  assert_int_equal(stream_read(in, cancel, buffer, sizeof buffer), 5);
  assert_memory_equal(buffer, "hello", 5);
  assert_int_equal(stream_read_ready(in, buffer, sizeof buffer), 0);
  assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
  assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
  assert_string_equal(stream_get_identity(in), stream_get_identity(out));
  close(ends[0]);
  close(ends[1]);
}

static void test_cancel(void **state) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  autofd int cancel = eventfd(1, EFD_CLOEXEC);
  g_autoptr(Stream) out = open_fd(ends[1], FALSE);
  g_autoptr(Stream) in = open_fd(ends[0], TRUE);
  char buffer[16];
  assert_int_equal(stream_read(in, cancel, buffer, sizeof buffer), 0);
  gsize more_than_fits = 1 << 20;
  g_autofree char *data = g_malloc0(more_than_fits);
  assert_false(stream_write(out, cancel, data, more_than_fits));
  close(ends[0]);
  close(ends[1]);
}

static void test_reader_gone(void **state) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  autofd int cancel = eventfd(0, EFD_CLOEXEC);
  g_autoptr(Stream) out = open_fd(ends[1], FALSE);
  close(ends[0]);
  close(ends[1]);
  assert_false(stream_write(out, cancel, "x", 1));
}

static void test_socket(void **state) {
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  autofd int cancel = eventfd(0, EFD_CLOEXEC);
  g_autoptr(Stream) stream = open_fd(ends[0], TRUE);
  assert_int_equal(write(ends[1], "abc", 3), 3);
  char buffer[16];
  assert_int_equal(stream_read(stream, cancel, buffer, sizeof buffer), 3);
  close(ends[1]);
  assert_int_equal(stream_read(stream, cancel, buffer, sizeof buffer), 0);
  close(ends[0]);
}

static void test_append_keeps_the_callers_offset(void **state) {
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp("kata-stream-XXXXXX", &path, NULL);
  assert_int_equal(write(fd, "before ", 7), 7);
  autofd int cancel = eventfd(0, EFD_CLOEXEC);
  Stream *stream = open_fd(fd, FALSE);
  assert_true(stream_write(stream, cancel, "during ", 7));
  stream_free(stream);
  assert_int_equal(write(fd, "after", 5), 5);
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(path, &text, NULL, NULL));
  assert_string_equal(text, "before during after");
  close(fd);
  g_unlink(path);
}

static void test_fifo_and_file(void **state) {
  g_autofree char *dir = g_dir_make_tmp("kata-stream-XXXXXX", NULL);
  g_autofree char *fifo = g_build_filename(dir, "fifo", NULL);
  g_autofree char *log = g_build_filename(dir, "log", NULL);
  g_autofree char *log_uri = g_strconcat("file://", log, NULL);
  autofd int cancel = eventfd(0, EFD_CLOEXEC);
  assert_int_equal(mkfifo(fifo, 0600), 0);
  Stream *out = NULL, *in = NULL, *file = NULL;
  assert_true(stream_open(fifo, FALSE, &out, NULL)); /* waits for no reader */
  assert_true(stream_open(fifo, TRUE, &in, NULL));
  assert_true(stream_write(out, cancel, "x", 1));
  char byte = 0;
  assert_int_equal(stream_read(in, cancel, &byte, 1), 1);
  assert_int_equal(byte, 'x');
  assert_true(stream_open(log_uri, FALSE, &file, NULL));
  assert_true(stream_write(file, cancel, "line\n", 5));
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(log, &text, NULL, NULL));
  assert_string_equal(text, "line\n");
  stream_free(out);
  stream_free(in);
  stream_free(file);
  g_unlink(fifo);
  g_unlink(log);
  g_rmdir(dir);
}

static void assert_refused(const char *uri, kata_error_code code) {
  Stream *stream = NULL;
  g_autoptr(GError) error = NULL;
  assert_false(stream_open(uri, TRUE, &stream, &error));
  assert_int_equal(error_get_code(error), code);
  assert_non_null(strstr(error->message, uri));
}

static void test_refused(void **state) {
  assert_refused("pidfd://", KATA_ERR_INVALID_ARGUMENT);
  assert_refused("pidfd://12", KATA_ERR_INVALID_ARGUMENT);
  assert_refused("pidfd://0/1", KATA_ERR_INVALID_ARGUMENT);
  assert_refused("pidfd://1/x", KATA_ERR_INVALID_ARGUMENT);
  assert_refused("pidfd://99999999999/1", KATA_ERR_INVALID_ARGUMENT);
  assert_refused("binary:///bin/true", KATA_ERR_UNSUPPORTED);
  assert_refused("relative", KATA_ERR_UNSUPPORTED);
  assert_refused("npipe:////./pipe/x", KATA_ERR_UNSUPPORTED);
  assert_refused("streaming+unix:///run/x.sock?streaming_id=y", KATA_ERR_UNSUPPORTED);
  assert_refused("file://relative", KATA_ERR_UNSUPPORTED);
  assert_refused("/no/such/fifo", KATA_ERR_NOT_FOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_empty_is_none), cmocka_unit_test(test_pipe_stays_blocking_for_its_owner),
      cmocka_unit_test(test_cancel),        cmocka_unit_test(test_reader_gone),
      cmocka_unit_test(test_socket),        cmocka_unit_test(test_append_keeps_the_callers_offset),
      cmocka_unit_test(test_fifo_and_file), cmocka_unit_test(test_refused),
  };
  /* The other end of a pipe goes away in these tests. */
  signal(SIGPIPE, SIG_IGN);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
