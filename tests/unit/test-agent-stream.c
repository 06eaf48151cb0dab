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

#include "agent/stream.h"
#include "common/error.h"
#include "common/fds.h"

/* What a callback was told. */
typedef struct {
  guint calls;
  GString *data;
  gboolean ended;
  kata_error_code code;
} Told;

static void told_clear(Told *told) {
  if (told->data) g_string_free(told->data, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Told, told_clear)

static void read_told(const guint8 *data, gsize size, const GError *error, gpointer user_data) {
  Told *told = user_data;
  told->calls++;
  if (!told->data) told->data = g_string_new(NULL);
  g_string_append_len(told->data, (const char *)data, (gssize)size);
  told->ended = size == 0 && !error;
  told->code = error_get_code(error);
}

static void write_told(const GError *error, gpointer user_data) {
  Told *told = user_data;
  told->calls++;
  told->code = error_get_code(error);
}

static void turn(void) {
  while (g_main_context_iteration(NULL, FALSE)) continue;
}

static void make_pipe(int ends[2]) { assert_int_equal(pipe2(ends, O_CLOEXEC), 0); }

static void put(int fd, const char *text) { assert_true(fd_write_all(fd, text, strlen(text))); }

static void test_read_now_and_later(void **state) {
  int ends[2];
  g_auto(Told) first = {0};
  g_auto(Told) second = {0};
  g_auto(Told) third = {0};
  make_pipe(ends);
  StreamReader *reader = stream_reader_new(ends[0]);
  put(ends[1], "abcdef");
  stream_reader_read(reader, 4, read_told, &first);
  assert_int_equal(first.calls, 1);
  assert_string_equal(first.data->str, "abcd");
  stream_reader_read(reader, 100, read_told, &first);
  assert_string_equal(first.data->str, "abcdef");
  /* In the order of asking. */
  stream_reader_read(reader, 100, read_told, &second);
  stream_reader_read(reader, 100, read_told, &third);
  turn();
  assert_int_equal(second.calls, 0);
  put(ends[1], "x");
  turn();
  assert_string_equal(second.data->str, "x");
  assert_int_equal(third.calls, 0);
  close(ends[1]);
  turn();
  assert_true(third.ended);
  assert_true(stream_reader_is_drained(reader));
  stream_reader_read(reader, 1, read_told, &first);
  assert_true(first.ended);
  stream_reader_free(reader);
}

static void test_cancelled_read_takes_nothing(void **state) {
  int ends[2];
  g_auto(Told) gone = {0};
  g_auto(Told) next = {0};
  make_pipe(ends);
  StreamReader *reader = stream_reader_new(ends[0]);
  stream_reader_read(reader, 100, read_told, &gone);
  stream_reader_cancel(reader, &gone);
  put(ends[1], "kept");
  turn();
  assert_int_equal(gone.calls, 0);
  stream_reader_read(reader, 100, read_told, &next);
  assert_string_equal(next.data->str, "kept");
  stream_reader_free(reader);
  close(ends[1]);
}

static void test_close_breaks_the_pipe(void **state) {
  int ends[2];
  g_auto(Told) told = {0};
  make_pipe(ends);
  StreamReader *reader = stream_reader_new(ends[0]);
  stream_reader_read(reader, 100, read_told, &told);
  stream_reader_close(reader);
  assert_true(told.ended);
  assert_true(stream_reader_is_drained(reader));
  assert_int_equal(write(ends[1], "x", 1), -1);
  assert_int_equal(errno, EPIPE);
  stream_reader_read(reader, 100, read_told, &told);
  assert_int_equal(told.calls, 2);
  stream_reader_close(reader);
  stream_reader_set_ended(reader);
  stream_reader_free(reader);
  close(ends[1]);
}

static void run_for_ms(guint ms) {
  gint64 until = g_get_monotonic_time() + (gint64)ms * 1000;
  while (g_get_monotonic_time() < until) {
    turn();
    g_usleep(1000);
  }
}

/* The other end stays open, as in a child that lives on. */
static void test_end_after_linger(void **state) {
  int ends[2];
  g_auto(Told) early = {0};
  g_auto(Told) late = {0};
  make_pipe(ends);
  StreamReader *reader = stream_reader_new(ends[0]);
  put(ends[1], "buffered");
  stream_reader_set_ended(reader);
  run_for_ms(STREAM_LINGER_MS + 100);
  /* However late, what is there comes first. */
  stream_reader_read(reader, 4, read_told, &early);
  assert_string_equal(early.data->str, "buff");
  stream_reader_read(reader, 100, read_told, &early);
  assert_string_equal(early.data->str, "buffered");
  stream_reader_read(reader, 100, read_told, &late);
  assert_true(late.ended);
  stream_reader_free(reader);
  close(ends[1]);
}

static void test_read_waits_for_linger(void **state) {
  int ends[2];
  g_auto(Told) told = {0};
  make_pipe(ends);
  StreamReader *reader = stream_reader_new(ends[0]);
  stream_reader_read(reader, 100, read_told, &told);
  stream_reader_set_ended(reader);
  run_for_ms(STREAM_LINGER_MS / 2);
  assert_int_equal(told.calls, 0);
  run_for_ms(STREAM_LINGER_MS);
  assert_true(told.ended);
  stream_reader_free(reader);
  close(ends[1]);
}

static void test_free_answers_reads(void **state) {
  int ends[2];
  g_auto(Told) told = {0};
  make_pipe(ends);
  StreamReader *reader = stream_reader_new(ends[0]);
  stream_reader_read(reader, 100, read_told, &told);
  stream_reader_free(reader);
  assert_true(told.ended);
  close(ends[1]);
}

static void test_too_many_reads(void **state) {
  int ends[2];
  g_auto(Told) waiting = {0};
  g_auto(Told) refused = {0};
  make_pipe(ends);
  StreamReader *reader = stream_reader_new(ends[0]);
  for (int i = 0; i < STREAM_WAITERS_MAX; i++) stream_reader_read(reader, 1, read_told, &waiting);
  stream_reader_read(reader, 1, read_told, &refused);
  assert_int_equal(refused.code, KATA_ERR_RESOURCE_EXHAUSTED);
  stream_reader_free(reader);
  assert_int_equal(waiting.calls, STREAM_WAITERS_MAX);
  close(ends[1]);
}

static void test_write_waits_for_room(void **state) {
  int ends[2];
  const gsize size = 1 << 20;
  g_autofree guint8 *data = g_malloc0(size);
  g_autofree guint8 *got = g_malloc(size);
  g_auto(Told) told = {0};
  g_auto(Told) second = {0};
  make_pipe(ends);
  StreamWriter *writer = stream_writer_new(ends[1]);
  data[size - 1] = 7;
  stream_writer_write(writer, data, size, write_told, &told);
  stream_writer_write(writer, (const guint8 *)"end", 3, write_told, &second);
  stream_writer_close(writer);
  turn();
  assert_int_equal(told.calls, 0);
  assert_true(fd_set_nonblocking(ends[0], TRUE, NULL));
  gsize done = 0;
  while (done < size) {
    gssize count = read(ends[0], got + done, size - done);
    if (count > 0) done += (gsize)count;
    turn();
  }
  assert_memory_equal(got, data, size);
  assert_int_equal(told.calls, 1);
  assert_int_equal(told.code, KATA_ERR_NONE);
  /* Closed once all is written, and not before. */
  assert_int_equal(read(ends[0], got, size), 3);
  turn();
  assert_int_equal(second.calls, 1);
  assert_int_equal(read(ends[0], got, size), 0);
  stream_writer_write(writer, data, 1, write_told, &second);
  assert_int_equal(second.code, KATA_ERR_INVALID_STATE);
  stream_writer_free(writer);
  close(ends[0]);
}

static void test_write_fails(void **state) {
  int ends[2];
  const gsize size = 1 << 20;
  g_autofree guint8 *data = g_malloc0(size);
  g_auto(Told) told = {0};
  g_auto(Told) after = {0};
  make_pipe(ends);
  StreamWriter *writer = stream_writer_new(ends[1]);
  stream_writer_write(writer, data, size, write_told, &told);
  close(ends[0]);
  turn();
  assert_int_equal(told.calls, 1);
  assert_int_not_equal(told.code, KATA_ERR_NONE);
  stream_writer_write(writer, data, 1, write_told, &after);
  assert_int_equal(after.code, KATA_ERR_INVALID_STATE);
  stream_writer_close(writer);
  stream_writer_set_ended(writer);
  stream_writer_free(writer);

  g_auto(Told) ended = {0};
  make_pipe(ends);
  writer = stream_writer_new(ends[1]);
  stream_writer_write(writer, data, size, write_told, &ended);
  stream_writer_set_ended(writer);
  assert_int_equal(ended.code, KATA_ERR_INVALID_STATE);
  stream_writer_free(writer);
  close(ends[0]);
}

static void test_cancelled_write(void **state) {
  int ends[2];
  const gsize size = 1 << 20;
  g_autofree guint8 *data = g_malloc0(size);
  g_auto(Told) told = {0};
  make_pipe(ends);
  StreamWriter *writer = stream_writer_new(ends[1]);
  stream_writer_write(writer, data, size, write_told, &told);
  stream_writer_cancel(writer, &told);
  g_clear_pointer(&data, g_free);
  turn();
  assert_int_equal(told.calls, 0);
  stream_writer_free(writer);
  close(ends[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_read_now_and_later),   cmocka_unit_test(test_cancelled_read_takes_nothing),
      cmocka_unit_test(test_end_after_linger),     cmocka_unit_test(test_read_waits_for_linger),
      cmocka_unit_test(test_free_answers_reads),   cmocka_unit_test(test_too_many_reads),
      cmocka_unit_test(test_write_waits_for_room), cmocka_unit_test(test_write_fails),
      cmocka_unit_test(test_cancelled_write),      cmocka_unit_test(test_close_breaks_the_pipe),
  };
  signal(SIGPIPE, SIG_IGN);
  return cmocka_run_group_tests_name("agent-stream", tests, NULL, NULL);
}
