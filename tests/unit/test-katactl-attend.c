// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fds.h"
#include "katactl/attend.h"

/* Far above what a pipe holds. */
#define RELAYED_BYTES (1u << 20)

typedef struct {
  GAsyncQueue *signals; /* their numbers */
  int read_fd;          /* what the work reads to its end */
  gsize count;
  guint32 sum;
} Scene;

static void on_signal(int number, gpointer data) {
  Scene *scene = data;
  g_async_queue_push(scene->signals, GINT_TO_POINTER(number));
}

static void signal_oneself(gpointer data) {
  Scene *scene = data;
  static const int sent[] = {SIGUSR1, SIGTERM, SIGWINCH};
  for (gsize i = 0; i < G_N_ELEMENTS(sent); i++) {
    kill(getpid(), sent[i]);
    scene->sum += (guint32)(GPOINTER_TO_INT(g_async_queue_pop(scene->signals)) == sent[i]);
  }
}

static void test_signals_come_while_work_blocks(void **state) {
  Scene scene = {.signals = g_async_queue_new()};
  Attended attended = {
      .work = signal_oneself, .on_signal = on_signal, .data = &scene, .relay_from = -1, .relay_to = -1};
  attend_prepare_signals();
  assert_true(attend_run(&attended, NULL));
  assert_int_equal(scene.sum, 3);
  g_async_queue_unref(scene.signals);
}

static void read_all(gpointer data) {
  Scene *scene = data;
  char buffer[10000];
  ssize_t count;
  while ((count = read(scene->read_fd, buffer, sizeof buffer)) > 0) {
    for (ssize_t i = 0; i < count; i++) scene->sum = scene->sum * 31 + (guchar)buffer[i];
    scene->count += (gsize)count;
  }
}

/* A slow reader gets all of it, and the end of file. */
static void test_relay(void **state) {
  int to[2];
  g_autofree char *name = NULL;
  autofd int from = g_file_open_tmp("katactl-relay-XXXXXX", &name, NULL);
  guint32 sum = 0;
  g_autofree char *text = g_malloc(RELAYED_BYTES);
  for (gsize i = 0; i < RELAYED_BYTES; i++) {
    text[i] = (char)(i * 7 + i / 251);
    sum = sum * 31 + (guchar)text[i];
  }
  assert_true(fd_write_all(from, text, RELAYED_BYTES));
  assert_int_equal(lseek(from, 0, SEEK_SET), 0);
  unlink(name);
  assert_int_equal(pipe2(to, O_CLOEXEC), 0);
  autofd int read_end = to[0];
  Scene scene = {.signals = g_async_queue_new(), .read_fd = read_end};
  Attended attended = {.work = read_all, .on_signal = on_signal, .data = &scene, .relay_from = from, .relay_to = to[1]};
  attend_prepare_signals();
  assert_true(attend_run(&attended, NULL));
  assert_int_equal(scene.count, RELAYED_BYTES);
  assert_int_equal(scene.sum, sum);
  g_async_queue_unref(scene.signals);
}

static void do_nothing(gpointer data) {}

/* Work that ends closes the relay, whether its input has ended or not. */
static void test_relay_ends_with_the_work(void **state) {
  int from[2], to[2];
  char byte = 0;
  assert_int_equal(pipe2(from, O_CLOEXEC), 0);
  assert_int_equal(pipe2(to, O_CLOEXEC), 0);
  Attended attended = {.work = do_nothing, .on_signal = on_signal, .relay_from = from[0], .relay_to = to[1]};
  assert_true(attend_run(&attended, NULL));
  assert_int_equal(read(to[0], &byte, 1), 0);
  close(from[0]);
  close(from[1]);
  close(to[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_signals_come_while_work_blocks),
      cmocka_unit_test(test_relay),
      cmocka_unit_test(test_relay_ends_with_the_work),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
