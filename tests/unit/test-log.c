// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fds.h"
#include "common/log.h"

/* 2009-02-13T23:31:30Z, a well-known second. */
#define STAMP (G_GINT64_CONSTANT(1234567890) * G_USEC_PER_SEC + 42)
#define TEXT_HEAD "time=\"2009-02-13T23:31:30.000042Z\" level=info msg="

static void check_text(const char *message, const char *expected) {
  g_autofree char *line = log_format_line(LOG_FORMAT_TEXT, "info", message, STAMP, NULL);
  g_autofree char *whole = g_strconcat(TEXT_HEAD, expected, "\n", NULL);
  assert_string_equal(line, whole);
}

static void test_text(void **state) {
  check_text("word", "word");
  check_text("", "");
  check_text("a/b-c_d.e@f^g+1", "a/b-c_d.e@f^g+1");
  check_text("two words", "\"two words\"");
  check_text("a=b", "\"a=b\"");
  check_text("say \"hi\" \\", "\"say \\\"hi\\\" \\\\\"");
  check_text("a\nb\rc\td\a\b\v\f", "\"a\\nb\\rc\\td\\a\\b\\v\\f\"");
  check_text("\x01\x1b\x7f", "\"\\x01\\x1b\\x7f\"");
  check_text("caf\xc3\xa9", "\"caf\xc3\xa9\"");
  check_text("\xff\xc3", "\"\\xff\\xc3\"");
  check_text("\xe2\x80\xa8", "\"\\u2028\"");         /* line separator: not printable */
  check_text("\xf3\xa0\x80\x81", "\"\\U000e0001\""); /* language tag */
}

static void check_json(const char *message, const char *expected) {
  g_autofree char *line = log_format_line(LOG_FORMAT_JSON, "error", message, STAMP, NULL);
  assert_true(g_str_has_suffix(line, "}\n"));
  assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
  struct json_object *object = json_tokener_parse(line);
  assert_non_null(object);
  struct json_object *member;
  assert_true(json_object_object_get_ex(object, "level", &member));
  assert_string_equal(json_object_get_string(member), "error");
  assert_true(json_object_object_get_ex(object, "msg", &member));
  assert_string_equal(json_object_get_string(member), expected);
  assert_true(json_object_object_get_ex(object, "time", &member));
  assert_string_equal(json_object_get_string(member), "2009-02-13T23:31:30.000042Z");
  assert_int_equal(json_object_object_length(object), 3);
  json_object_put(object);
}

static void test_json(void **state) {
  check_json("container does not exist", "container does not exist");
  check_json("a\n\"b\"\\/\x01", "a\n\"b\"\\/\x01");
  check_json("caf\xc3\xa9", "caf\xc3\xa9");
  check_json("bad\xff", "bad\xef\xbf\xbd");
  check_json("", "");
}

static void test_places(void **state) {
  const LogPlace place = {"katactl/app.c", "45", "app_report"};
  g_autofree char *text = log_format_line(LOG_FORMAT_TEXT, "info", "word", STAMP, &place);
  assert_string_equal(text, TEXT_HEAD "word func=\"app_report()\" file=\"app.c:45\"\n");
  g_autofree char *line = log_format_line(LOG_FORMAT_JSON, "error", "word", STAMP, &place);
  assert_string_equal(line,
                      "{\"file\":\"katactl/app.c:45\",\"func\":\"app_report\",\"level\":\"error\","
                      "\"msg\":\"word\",\"time\":\"2009-02-13T23:31:30.000042Z\"}\n");
}

static char *take_log(int fd) {
  g_autoptr(GString) text = g_string_new(NULL);
  char buffer[4096];
  ssize_t length;
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  while ((length = read(fd, buffer, sizeof buffer)) > 0) g_string_append_len(text, buffer, length);
  assert_int_equal(ftruncate(fd, 0), 0);
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  return g_strdup(text->str);
}

static void test_levels_and_second_open(void **state) {
  autofd int first = memfd_create("first", MFD_CLOEXEC);
  autofd int second = memfd_create("second", MFD_CLOEXEC);
  log_open(first, LOG_FORMAT_TEXT, G_LOG_LEVEL_INFO);
  errno = EXFULL;
  g_debug("too small");
  g_info("one %d", 1);
  g_message("two");
  g_warning("three");
  assert_int_equal(errno, EXFULL);
  log_error("four");
  g_autofree char *lines = take_log(first);
  g_auto(GStrv) parts = g_strsplit(lines, "\n", -1);
  assert_int_equal(g_strv_length(parts), 5);
  assert_true(g_str_has_suffix(parts[0], " level=info msg=\"one 1\""));
  assert_true(g_str_has_suffix(parts[1], " level=info msg=two"));
  assert_true(g_str_has_suffix(parts[2], " level=warning msg=three"));
  assert_true(g_str_has_suffix(parts[3], " level=error msg=four"));

  /* Opened again: everything goes to the new place. */
  log_open(second, LOG_FORMAT_JSON, G_LOG_LEVEL_DEBUG);
  g_debug("small");
  g_log("domain", G_LOG_LEVEL_CRITICAL, "grave");
  g_autofree char *old = take_log(first);
  assert_string_equal(old, "");
  g_autofree char *json = take_log(second);
  assert_non_null(strstr(json, "\"level\":\"debug\",\"msg\":\"small\""));
  assert_non_null(strstr(json, "\"level\":\"error\",\"msg\":\"grave\""));

  log_open(second, LOG_FORMAT_TEXT, G_LOG_LEVEL_ERROR);
  g_warning("hidden");
  log_error("seen");
  g_autofree char *quiet = take_log(second);
  assert_null(strstr(quiet, "hidden"));
  assert_non_null(strstr(quiet, "level=error msg=seen"));
}

static void test_structured_field_with_length(void **state) {
  autofd int fd = memfd_create("log", MFD_CLOEXEC);
  log_open(fd, LOG_FORMAT_TEXT, G_LOG_LEVEL_DEBUG);
  const GLogField fields[] = {{"OTHER", "x", -1}, {"MESSAGE", "cutHERE", 3}};
  g_log_structured_array(G_LOG_LEVEL_MESSAGE, fields, G_N_ELEMENTS(fields));
  g_autofree char *line = take_log(fd);
  assert_true(g_str_has_suffix(line, " level=info msg=cut\n"));
}

#define N_THREADS 4
#define N_LINES 250

static gpointer write_lines(gpointer data) {
  for (int i = 0; i < N_LINES; i++) g_message("thread %d line %d", GPOINTER_TO_INT(data), i);
  return NULL;
}

static void test_threads_keep_lines_whole(void **state) {
  autofd int fd = memfd_create("log", MFD_CLOEXEC);
  log_open(fd, LOG_FORMAT_TEXT, G_LOG_LEVEL_INFO);
  GThread *threads[N_THREADS];
  for (int i = 0; i < N_THREADS; i++) threads[i] = g_thread_new("log", write_lines, GINT_TO_POINTER(i));
  for (int i = 0; i < N_THREADS; i++) g_thread_join(threads[i]);
  g_autofree char *lines = take_log(fd);
  g_auto(GStrv) parts = g_strsplit(lines, "\n", -1);
  assert_int_equal(g_strv_length(parts), N_THREADS * N_LINES + 1);
  for (int i = 0; i < N_THREADS * N_LINES; i++) {
    assert_true(g_regex_match_simple(
        "^time=\"[-0-9]+T[:0-9]+\\.[0-9]{6}Z\" level=info msg=\"thread [0-3] line [0-9]+\"$", parts[i], 0, 0));
  }
}

/* Nobody reads: the line is lost, the program goes on. */
static void test_reader_that_does_not_read(void **state) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  autofd int reader = ends[0];
  autofd int writer = ends[1];
  assert_true(fcntl(writer, F_SETPIPE_SZ, 4096) > 0);
  log_open(writer, LOG_FORMAT_TEXT, G_LOG_LEVEL_INFO);
  g_autofree char *big = g_strnfill(8192, 'x');
  gint64 start = g_get_monotonic_time();
  g_message("%s", big);
  assert_true(g_get_monotonic_time() - start < 10 * G_USEC_PER_SEC);
  log_open(STDERR_FILENO, LOG_FORMAT_TEXT, G_LOG_LEVEL_WARNING);
}

/* In a queue nobody waits for the reader: what fits comes in order, then how many lines did not. */
static void test_queue(void **state) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  g_autofree char *filler = g_strnfill(1 << 20, '-');
  g_autofree char *buffer = g_malloc(1 << 20);
  while (write(ends[1], filler, 4096) > 0) continue;
  log_set_queue(1000);
  log_open(ends[1], LOG_FORMAT_TEXT, G_LOG_LEVEL_INFO);
  for (int i = 0; i < 100; i++) g_message("line %d of many", i);
  while (read(ends[0], buffer, 1 << 20) > 0) continue;
  g_autoptr(GString) text = g_string_new(NULL);
  while (!strstr(text->str, "lines were lost")) {
    g_main_context_iteration(NULL, FALSE);
    ssize_t length = read(ends[0], buffer, 1 << 20);
    if (length > 0) g_string_append_len(text, buffer, length);
    if (text->len > 0) g_message("once more");
  }
  g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
  int n = 0;
  for (; strstr(lines[n], "of many"); n++) {
    g_autofree char *expected = g_strdup_printf(" level=info msg=\"line %d of many\"", n);
    assert_true(g_str_has_suffix(lines[n], expected));
  }
  assert_in_range(n, 5, 50);
  g_autofree char *lost = g_strdup_printf("level=warning msg=\"%d lines were lost: the log was not read\"", 100 - n);
  assert_non_null(strstr(text->str, lost));
  log_set_queue(0);
  log_open(STDERR_FILENO, LOG_FORMAT_TEXT, G_LOG_LEVEL_WARNING);
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_places),
      cmocka_unit_test(test_levels_and_second_open),
      cmocka_unit_test(test_structured_field_with_length),
      cmocka_unit_test(test_threads_keep_lines_whole),
      cmocka_unit_test(test_reader_that_does_not_read),
      cmocka_unit_test(test_queue),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
