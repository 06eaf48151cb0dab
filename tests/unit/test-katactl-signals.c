// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "katactl/signals.h"

static void test_known(void **state) {
  static const struct {
    const char *text;
    int number;
  } known[] = {
      {"9", 9},
      {"0", 0},
      {"64", 64},
      {"KILL", SIGKILL},
      {"SIGKILL", SIGKILL},
      {"kill", SIGKILL},
      {"sigterm", SIGTERM},
      {"Hup", SIGHUP},
      {"USR1", SIGUSR1},
      {"usr2", SIGUSR2},
      {"WINCH", SIGWINCH},
      {"CLD", SIGCHLD},
      {"SIGPOLL", SIGIO},
      {"IOT", SIGABRT},
      {"SYS", SIGSYS},
      {"STKFLT", 16},
      {"RTMIN", 34},
      {"SIGRTMIN+3", 37},
      {"RTMAX", 64},
      {"rtmax-14", 50},
      {"RTMIN+30", 64},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
    g_autoptr(GError) error = NULL;
    int number = -1;
    assert_true(signals_parse(known[i].text, &number, &error));
    assert_int_equal(number, known[i].number);
  }
}

/* The table against the C library's own names. */
static void test_all_names(void **state) {
  for (int number = 1; number < 32; number++) {
    int parsed = -1;
    assert_non_null(sigabbrev_np(number));
    assert_true(signals_parse(sigabbrev_np(number), &parsed, NULL));
    assert_int_equal(parsed, number);
  }
}

static void test_unknown(void **state) {
  static const char *const unknown[] = {
      "",         "SIG",      "KIL",     "KILLX",  "65",      "9x",   "-9",        "9 ", "1e1", "99999999999999999999",
      "RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMIN+", "RTMIN+x", "EXIT", "SIGSIGKILL"};
  for (gsize i = 0; i < G_N_ELEMENTS(unknown); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("unknown signal \"%s\"", unknown[i]);
    int number = -7;
    assert_false(signals_parse(unknown[i], &number, &error));
    assert_int_equal(number, -7);
    assert_string_equal(error->message, text);
  }
}

static void test_forwarded(void **state) {
  sigset_t set;
  signals_get_forwarded(FALSE, &set);
  assert_true(sigismember(&set, SIGTERM) && sigismember(&set, SIGINT) && sigismember(&set, SIGHUP));
  assert_true(sigismember(&set, SIGUSR1) && sigismember(&set, SIGWINCH) && sigismember(&set, SIGRTMIN + 1));
  assert_false(sigismember(&set, SIGCHLD) || sigismember(&set, SIGSEGV) || sigismember(&set, SIGPIPE));
  assert_false(sigismember(&set, SIGTSTP) || sigismember(&set, SIGTTIN) || sigismember(&set, SIGTTOU));
  signals_get_forwarded(TRUE, &set);
  assert_true(sigismember(&set, SIGTSTP) && sigismember(&set, SIGTERM));
  assert_false(sigismember(&set, SIGCHLD));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known),
      cmocka_unit_test(test_all_names),
      cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_forwarded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
