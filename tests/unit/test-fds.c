// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/fds.h"

static void make_pair(int pair[2]) { assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0); }

static void test_clear_and_steal(void **state) {
  int pipe_fds[2];
  assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
  {
    autofd int held = pipe_fds[0];
    assert_int_equal(fd_steal(&held), pipe_fds[0]);
    assert_int_equal(held, -1);
  }
  assert_int_not_equal(fcntl(pipe_fds[0], F_GETFD), -1);
  errno = ENOTTY;
  int closed = pipe_fds[0];
  fd_clear(&pipe_fds[0]);
  assert_int_equal(errno, ENOTTY);
  assert_int_equal(pipe_fds[0], -1);
  assert_int_equal(fcntl(closed, F_GETFD), -1);
  fd_clear(&pipe_fds[0]);
  fd_clear(&pipe_fds[1]);
}

static gpointer write_slowly(gpointer data) {
  int fd = GPOINTER_TO_INT(data);
  for (int i = 0; i < 5; i++) {
    g_assert(write(fd, "ab", 2) == 2);
    g_usleep(2000);
  }
  close(fd);
  return NULL;
}

static void test_read_all_collects_and_ends_early(void **state) {
  int pair[2];
  make_pair(pair);
  GThread *writer = g_thread_new("writer", write_slowly, GINT_TO_POINTER(pair[1]));
  assert_true(fd_set_nonblocking(pair[0], TRUE, NULL));
  char buffer[16] = {0};
  assert_int_equal(fd_read_all(pair[0], buffer, 6), 6);
  assert_string_equal(buffer, "ababab");
  assert_int_equal(fd_read_all(pair[0], buffer, sizeof(buffer)), 4);
  g_thread_join(writer);
  close(pair[0]);
  errno = 0;
  assert_int_equal(fd_read_all(-1, buffer, 1), -1);
  assert_int_equal(errno, EBADF);
}

static gpointer read_everything(gpointer data) {
  size_t *total = data;
  int fd = (int)*total;
  char buffer[3000];
  ssize_t count;
  *total = 0;
  while ((count = read(fd, buffer, sizeof(buffer))) > 0) *total += (size_t)count;
  return NULL;
}

static void test_write_all_waits_for_room(void **state) {
  int pair[2];
  make_pair(pair);
  assert_true(fd_set_nonblocking(pair[1], TRUE, NULL));
  size_t total = (size_t)pair[0];
  GThread *reader = g_thread_new("reader", read_everything, &total);
  size_t size = 2u << 20;
  g_autofree char *bytes = g_malloc0(size);
  assert_true(fd_write_all(pair[1], bytes, size));
  close(pair[1]);
  g_thread_join(reader);
  assert_int_equal(total, size);
  close(pair[0]);
}

static void test_write_all_reports_a_lost_peer(void **state) {
  int pair[2];
  make_pair(pair);
  close(pair[0]);
  /* Would end this program if SIGPIPE came. */
  assert_false(fd_write_all(pair[1], "x", 1));
  assert_int_equal(errno, EPIPE);
  close(pair[1]);

  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  assert_true(fd_write_all(null, "x", 1));
  close(null);
}

static void test_nonblocking(void **state) {
  int pair[2];
  make_pair(pair);
  assert_true(fd_set_nonblocking(pair[0], TRUE, NULL));
  assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
  assert_true(fd_set_nonblocking(pair[0], FALSE, NULL));
  assert_false(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
  close(pair[0]);
  close(pair[1]);
  g_autoptr(GError) error = NULL;
  assert_false(fd_set_nonblocking(-1, TRUE, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_IO));
}

static void test_lock_file(void **state) {
  g_autofree char *directory = g_dir_make_tmp("fds-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(directory, "lock", NULL), *link = g_build_filename(directory, "link", NULL);
  g_autoptr(GError) error = NULL;
  int fd = fd_lock_file(path, &error);
  assert_true(fd >= 0);
  int other = open(path, O_RDWR | O_CLOEXEC);
  assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
  assert_int_equal(errno, EWOULDBLOCK);
  close(fd);
  assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
  close(other);
  assert_int_equal(symlink(path, link), 0);
  assert_int_equal(fd_lock_file(link, &error), -1);
  assert_non_null(strstr(error->message, link));
  unlink(link);
  unlink(path);
  rmdir(directory);
}

static void test_send_and_receive(void **state) {
  int pair[2];
  make_pair(pair);
  g_autoptr(GError) error = NULL;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  assert_true(fd_send(pair[0], null, "/dev/ptmx", &error));
  int received = fd_receive(pair[1], &error);
  assert_true(received >= 0);
  assert_true(fcntl(received, F_GETFD) & FD_CLOEXEC);
  struct stat sent_stat, received_stat;
  assert_int_equal(fstat(null, &sent_stat), 0);
  assert_int_equal(fstat(received, &received_stat), 0);
  assert_int_equal(sent_stat.st_rdev, received_stat.st_rdev);
  close(received);

  assert_false(fd_send(pair[0], null, "", &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  g_clear_error(&error);
  close(null);
  close(pair[0]);
  assert_int_equal(fd_receive(pair[1], &error), -1);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_UNAVAILABLE));
  close(pair[1]);
}

static void send_descriptors(int socket, int fd, size_t count) {
  char control[CMSG_SPACE(sizeof(int) * 32)] __attribute__((aligned(8))) = {0};
  struct iovec part = {.iov_base = (char *)"x", .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (size_t i = 0; i < count; i++) memcpy(CMSG_DATA(header) + i * sizeof(int), &fd, sizeof(int));
  }
  assert_int_equal(sendmsg(socket, &message, 0), 1);
}

static guint count_open_descriptors(void) {
  guint count = 0;
  for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) != -1;
  return count;
}

static void test_receive_wants_exactly_one(void **state) {
  int pair[2];
  make_pair(pair);
  guint before = count_open_descriptors();
  const size_t counts[] = {0, 2, 32};
  for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
    g_autoptr(GError) error = NULL;
    send_descriptors(pair[0], pair[0], counts[i]);
    assert_int_equal(fd_receive(pair[1], &error), -1);
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  }
  assert_int_equal(count_open_descriptors(), before);
  close(pair[0]);
  close(pair[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clear_and_steal),
      cmocka_unit_test(test_read_all_collects_and_ends_early),
      cmocka_unit_test(test_write_all_waits_for_room),
      cmocka_unit_test(test_write_all_reports_a_lost_peer),
      cmocka_unit_test(test_nonblocking),
      cmocka_unit_test(test_lock_file),
      cmocka_unit_test(test_send_and_receive),
      cmocka_unit_test(test_receive_wants_exactly_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
