// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "ttrpc-fixture.h"

typedef struct {
  char *directory;
  char *path;
  char *address; /* unix:// and the path */
  char *hybrid;  /* hvsock:// and the path, port 1024 */
} Place;

static int set_up(void **state) {
  Place *place = g_new0(Place, 1);
  place->directory = g_dir_make_tmp("ttrpc-XXXXXX", NULL);
  place->path = g_build_filename(place->directory, "sock", NULL);
  place->address = g_strdup_printf("unix://%s", place->path);
  place->hybrid = g_strdup_printf("hvsock://%s:1024", place->path);
  *state = place;
  return 0;
}

static int tear_down(void **state) {
  Place *place = *state;
  unlink(place->path);
  rmdir(place->directory);
  g_free(place->directory);
  g_free(place->path);
  g_free(place->address);
  g_free(place->hybrid);
  g_free(place);
  return 0;
}

static void test_bad_addresses(void **state) {
  const char *addresses[] = {"",
                             "unix://",
                             "unix://relative",
                             "tcp://127.0.0.1:1",
                             "vsock://",
                             "vsock://3",
                             "vsock://3:",
                             "vsock://:3",
                             "vsock://3:x",
                             "vsock://3:4294967296",
                             "vsock://x:3",
                             "hvsock:///path",
                             "hvsock://path:1",
                             "hvsock://:1",
                             "hvsock:///path:x"};
  for (gsize i = 0; i < G_N_ELEMENTS(addresses); i++) {
    g_autoptr(GError) error = NULL;
    assert_int_equal(ttrpc_dial(addresses[i], 0, &error), -1);
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
    g_clear_error(&error);
    assert_int_equal(ttrpc_listen(addresses[i], &error), -1);
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  }
  g_autoptr(GError) error = NULL;
  g_autofree char *fill = g_strnfill(107, 'p');
  g_autofree char *longer = g_strdup_printf("unix:///%s", fill);
  assert_int_equal(ttrpc_dial(longer, 0, &error), -1);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  assert_non_null(strstr(error->message, "at most 107 bytes"));
  g_clear_error(&error);
  assert_int_equal(ttrpc_listen("hvsock:///path:1", &error), -1);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
}

static void test_listen_and_dial(void **state) {
  const Place *place = *state;
  g_autoptr(GError) error = NULL;
  autofd int listener = ttrpc_listen(place->address, &error);
  assert_true(listener >= 0);
  assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
  struct stat status;
  assert_int_equal(lstat(place->path, &status), 0);
  assert_true(S_ISSOCK(status.st_mode));
  assert_int_equal(status.st_mode & 07777, 0600);
  autofd int fd = ttrpc_dial(place->address, 0, &error);
  assert_true(fd >= 0);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  /* A bare path is what containerd hands on in TTRPC_ADDRESS. */
  autofd int same = ttrpc_dial(place->path, 0, &error);
  assert_true(same >= 0);
}

static void test_a_socket_in_the_way(void **state) {
  const Place *place = *state;
  g_autoptr(GError) error = NULL;
  int listener = ttrpc_listen(place->address, &error);
  assert_true(listener >= 0);
  assert_int_equal(ttrpc_listen(place->address, &error), -1);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS));
  g_clear_error(&error);
  /* Nobody answers any more. */
  close(listener);
  listener = ttrpc_listen(place->address, &error);
  assert_true(listener >= 0);
  close(listener);
  unlink(place->path);
  /* What is no socket stays. */
  assert_true(g_file_set_contents(place->path, "precious", -1, NULL));
  assert_int_equal(ttrpc_listen(place->address, &error), -1);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS));
  assert_true(g_file_test(place->path, G_FILE_TEST_IS_REGULAR));
  g_clear_error(&error);
  assert_int_equal(ttrpc_listen("unix:///no/such/directory/sock", &error), -1);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_NOT_FOUND));
}

static void test_nobody_there(void **state) {
  const Place *place = *state;
  g_autoptr(GError) error = NULL;
  assert_int_equal(ttrpc_dial(place->address, 0, &error), -1);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_UNAVAILABLE));
  g_autofree char *expected = g_strdup_printf("cannot connect to '%s': No such file or directory", place->address);
  assert_string_equal(error->message, expected);
  g_clear_error(&error);
  gint64 start = g_get_monotonic_time();
  assert_int_equal(ttrpc_dial(place->address, 60, &error), -1);
  gint64 took_ms = (g_get_monotonic_time() - start) / 1000;
  assert_true(took_ms >= 60 && took_ms < 2000);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_TIMEOUT));
}

static gpointer listen_later(gpointer data) {
  g_usleep(60000);
  return GINT_TO_POINTER(ttrpc_listen(data, NULL));
}

static void test_dial_waits(void **state) {
  const Place *place = *state;
  GThread *thread = g_thread_new("listener", listen_later, place->address);
  autofd int fd = ttrpc_dial(place->address, 10000, NULL);
  assert_true(fd >= 0);
  close(GPOINTER_TO_INT(g_thread_join(thread)));
}

typedef struct {
  int listener;
  const char *answers[4]; /* to one connection after the other; NULL: says nothing and hangs up */
  int n_answers;
  char asked[64];
} Hypervisor;

/* Like cloud-hypervisor and Firecracker: reads the CONNECT line, then answers or hangs up. */
static gpointer run_hypervisor(gpointer data) {
  Hypervisor *hypervisor = data;
  for (int i = 0; i < hypervisor->n_answers; i++) {
    int fd;
    while ((fd = accept(hypervisor->listener, NULL, NULL)) < 0) g_usleep(1000);
    memset(hypervisor->asked, 0, sizeof(hypervisor->asked));
    for (gsize length = 0; length < sizeof(hypervisor->asked) - 1; length++)
      if (read(fd, hypervisor->asked + length, 1) != 1 || hypervisor->asked[length] == '\n') break;
    const char *answer = hypervisor->answers[i];
    if (answer != NULL) fd_write_all(fd, answer, strlen(answer));
    close(fd);
  }
  return NULL;
}

static int dial_hybrid(const Place *place, Hypervisor *hypervisor, int timeout_ms, GError **error) {
  hypervisor->listener = ttrpc_listen(place->address, error);
  assert_true(hypervisor->listener >= 0);
  GThread *thread = g_thread_new("hypervisor", run_hypervisor, hypervisor);
  int fd = ttrpc_dial(place->hybrid, timeout_ms, error);
  g_thread_join(thread);
  close(hypervisor->listener);
  return fd;
}

static void test_hybrid(void **state) {
  g_autoptr(GError) error = NULL;
  Hypervisor good = {.answers = {"OK 1073741824\nafter"}, .n_answers = 1};
  autofd int fd = dial_hybrid(*state, &good, 0, &error);
  assert_true(fd >= 0);
  assert_string_equal(good.asked, "CONNECT 1024\n");
  /* Nothing after the line is lost. */
  char rest[6] = {0};
  assert_int_equal(fd_read_all(fd, rest, 5), 5);
  assert_string_equal(rest, "after");
}

static void test_hybrid_guest_not_up_yet(void **state) {
  g_autoptr(GError) error = NULL;
  Hypervisor once = {.answers = {NULL}, .n_answers = 1};
  assert_int_equal(dial_hybrid(*state, &once, 0, &error), -1);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_UNAVAILABLE));
  g_clear_error(&error);
  Hypervisor later = {.answers = {NULL, NULL, "OK 1\n"}, .n_answers = 3};
  autofd int fd = dial_hybrid(*state, &later, 10000, &error);
  assert_true(fd >= 0);
}

static void test_hybrid_odd_answers(void **state) {
  g_autofree char *endless = g_strnfill(200, 'O');
  const char *answers[] = {"NO\n", "\n", "OKAY\n", endless};
  for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
    g_autoptr(GError) error = NULL;
    Hypervisor odd = {.answers = {answers[i]}, .n_answers = 1};
    assert_int_equal(dial_hybrid(*state, &odd, 0, &error), -1);
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_IO));
    assert_non_null(strstr(error->message, "the answer to CONNECT is not 'OK PORT'"));
  }
}

static void test_hybrid_silence(void **state) {
  const Place *place = *state;
  g_autoptr(GError) error = NULL;
  autofd int listener = ttrpc_listen(place->address, &error);
  assert_true(listener >= 0);
  gint64 start = g_get_monotonic_time();
  assert_int_equal(ttrpc_dial(place->hybrid, 50, &error), -1);
  assert_true(g_get_monotonic_time() - start < 5 * G_TIME_SPAN_SECOND);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_TIMEOUT));
}

/* Where the kernel lacks vsock or its loopback, the error must say which address it was. */
static void test_vsock(void **state) {
  g_autoptr(GError) error = NULL;
  autofd int listener = ttrpc_listen("vsock://-1:54321", &error);
  /* Context id 1 is this machine itself. */
  autofd int fd = listener >= 0 ? ttrpc_dial("vsock://1:54321", 0, &error) : -1;
  if (fd < 0) {
    assert_non_null(strstr(error->message, listener >= 0 ? "'vsock://1:54321'" : "'vsock://-1:54321'"));
    return;
  }
  autofd int accepted = -1;
  while (accepted < 0) accepted = accept(listener, NULL, NULL);
  assert_true(fd_write_all(fd, "x", 1));
  char byte = 0;
  assert_int_equal(fd_read_all(accepted, &byte, 1), 1);
  assert_int_equal(byte, 'x');
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bad_addresses),
      cmocka_unit_test_setup_teardown(test_listen_and_dial, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_socket_in_the_way, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_dial_waits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_hybrid, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_hybrid_guest_not_up_yet, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_hybrid_odd_answers, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_hybrid_silence, set_up, tear_down),
      cmocka_unit_test(test_vsock),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
