/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/process-list.h"

#define BOOT 1700000000
#define TICKS 100

/* Fields after the name: state ppid pgrp session tty tpgid flags 4 faults utime stime 2 of children priority nice
 * threads itrealvalue start vsize rss ... */
#define FIELDS " S 7 42 42 34817 42 4194304 1 2 3 4 250 50 0 0 20 0 3 0 1234 99999 10 18446744073709551615 0\n"

static Kata__V1__GuestProcess *parse(const char *stat, const char *status, const char *arguments, gsize length) {
  ProcessFiles files = {stat, status, arguments, length};
  return process_list_parse(&files, BOOT, TICKS);
}

static void test_everything(void **state) {
  Kata__V1__GuestProcess *process = parse("42 (a) (b) c)" FIELDS,
                                          "Name:\ta\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\n"
                                          "NSpid:\t42\t9\t3\nThreads:\t3\n",
                                          "/bin/a\0-x\0\0", 11);
  assert_non_null(process);
  assert_int_equal(process->pid, 42);
  assert_int_equal(process->parent_pid, 7);
  assert_string_equal(process->command, "a) (b) c");
  assert_string_equal(process->state, "S");
  /* 34817 is 136:1. */
  assert_string_equal(process->terminal, "pts/1");
  assert_int_equal(process->user_ms, 2500);
  assert_int_equal(process->system_ms, 500);
  assert_int_equal(process->threads, 3);
  assert_int_equal(process->started_at, BOOT + 12);
  assert_true(process->resident_bytes >= 10 * 4096);
  assert_int_equal(process->uid, 1000);
  assert_int_equal(process->gid, 5);
  assert_int_equal(process->container_pid, 3);
  assert_int_equal(process->n_arguments, 3);
  assert_string_equal(process->arguments[0], "/bin/a");
  assert_string_equal(process->arguments[1], "-x");
  assert_string_equal(process->arguments[2], "");
  protobuf_c_message_free_unpacked(&process->base, NULL);
}

/* A process chooses its name and its arguments itself. */
static void test_hostile_texts(void **state) {
  Kata__V1__GuestProcess *process = parse("42 (\xff\n)" FIELDS, "", "no end \xfe", 8);
  assert_non_null(process);
  assert_true(g_utf8_validate(process->command, -1, NULL));
  assert_int_equal(process->n_arguments, 1);
  assert_true(g_utf8_validate(process->arguments[0], -1, NULL));
  assert_int_equal(process->uid, 0);
  assert_int_equal(process->container_pid, 0);
  protobuf_c_message_free_unpacked(&process->base, NULL);

  static const char *const bad[] = {
      "", "42", "42 (a", "42 a)", "42 )a(" FIELDS, "42 (a)", "42 (a) S 7 42\n", "x (a)" FIELDS};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) assert_null(parse(bad[i], "", "", 0));
}

static void test_terminals(void **state) {
  static const struct {
    const char *number;
    const char *name;
  } cases[] = {{"0", ""},         {"1025", "tty1"},     {"1088", "ttyS0"}, {"1281", "console"},
               {"58624", "hvc0"}, {"35072", "pts/256"}, {"99999999", ""}};
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *stat =
        g_strdup_printf("42 (a) S 7 42 42 %s 42 0 1 2 3 4 0 0 0 0 20 0 1 0 0 0 0 0 0\n", cases[i].number);
    Kata__V1__GuestProcess *process = parse(stat, "", "", 0);
    assert_non_null(process);
    assert_string_equal(process->terminal, cases[i].name);
    protobuf_c_message_free_unpacked(&process->base, NULL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_everything),
      cmocka_unit_test(test_hostile_texts),
      cmocka_unit_test(test_terminals),
  };
  return cmocka_run_group_tests_name("agent-process-list", tests, NULL, NULL);
}
