/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the ends of iptables are told: the programs here are scripts that end as iptables does in a guest that lacks
 * something. */
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/iptables.h"
#include "common/error.h"

static Reaper *reaper;
static char *directory;

typedef struct {
  GMainLoop *loop;
  GBytes *output;
  GError *error;
  guint calls;
} Answer;

static void answered(GBytes *output, const GError *error, gpointer user_data) {
  Answer *answer = user_data;
  answer->output = output ? g_bytes_ref(output) : NULL;
  answer->error = error ? g_error_copy(error) : NULL;
  answer->calls++;
  if (g_main_loop_is_running(answer->loop)) g_main_loop_quit(answer->loop);
}

/* rules NULL: asks. */
static Answer run(gboolean is_ipv6, const char *rules) {
  Answer answer = {.loop = g_main_loop_new(NULL, FALSE)};
  if (rules)
    iptables_set(reaper, is_ipv6, g_bytes_new(rules, strlen(rules)), answered, &answer);
  else
    iptables_get(reaper, is_ipv6, answered, &answer);
  if (answer.calls == 0) g_main_loop_run(answer.loop);
  g_main_loop_unref(answer.loop);
  assert_int_equal(answer.calls, 1);
  assert_true((answer.output == NULL) != (answer.error == NULL));
  return answer;
}

static void answer_clear(Answer *answer) {
  g_clear_pointer(&answer->output, g_bytes_unref);
  g_clear_error(&answer->error);
}

static void make_program(const char *name, const char *script) {
  g_autofree char *path = g_build_filename(directory, name, NULL);
  g_autofree char *text = g_strdup_printf("#!/bin/sh\nPATH=/usr/bin:/bin\n%s\n", script);
  assert_true(g_file_set_contents(path, text, -1, NULL));
  assert_int_equal(chmod(path, 0755), 0);
}

static void assert_fails(const char *rules, kata_error_code code, const char *text) {
  Answer answer = run(FALSE, rules);
  if (!answer.error) fail_msg("no error '%s'", text);
  if (!g_error_matches(answer.error, KATA_ERROR, code)) fail_msg("not code %d: %s", code, answer.error->message);
  if (!strstr(answer.error->message, text)) fail_msg("no '%s' in '%s'", text, answer.error->message);
  assert_null(strchr(answer.error->message, '\n'));
  answer_clear(&answer);
}

static void assert_says(gboolean is_ipv6, const char *rules, const char *text) {
  Answer answer = run(is_ipv6, rules);
  if (answer.error) fail_msg("%s", answer.error->message);
  gsize length = 0;
  const char *output = g_bytes_get_data(answer.output, &length);
  assert_int_equal(length, strlen(text));
  assert_memory_equal(output, text, length);
  answer_clear(&answer);
}

static void test_no_program(void **state) {
  assert_fails(NULL, KATA_ERR_UNSUPPORTED, "the guest image has no program 'iptables-save'");
  assert_fails("*filter\nCOMMIT\n", KATA_ERR_UNSUPPORTED, "the guest image has no program 'iptables-restore'");
}

static void test_no_kernel_part(void **state) {
  /* Words of iptables 1.8.9, of both kinds. */
  make_program("iptables-save",
               "echo 'iptables-save/1.8.9 Failed to initialize nft: Protocol not supported' >&2; exit 1");
  assert_fails(NULL, KATA_ERR_UNSUPPORTED, "iptables-save: the guest's kernel lacks what this needs: ");
  make_program("iptables-restore",
               "echo 'iptables-restore v1.8.9 (nf_tables):' >&2; "
               "echo 'line 2: RULE_APPEND failed (No such file or directory): rule in chain INPUT' >&2; exit 4");
  assert_fails("x", KATA_ERR_UNSUPPORTED, "iptables-restore: the guest's kernel lacks what this needs: ");
  make_program("iptables-restore",
               "echo \"iptables-restore: can't initialize iptables table 'nat': Table does not exist\" >&2; exit 3");
  assert_fails("x", KATA_ERR_UNSUPPORTED, "Table does not exist");
}

static void test_ends(void **state) {
  make_program("iptables-restore", "echo 'Bad argument `x'; echo 'Error occurred at line: 2' >&2; exit 2");
  assert_fails("x", KATA_ERR_INVALID_ARGUMENT, "data: iptables-restore: Error occurred at line: 2");
  make_program("iptables-restore", "exit 1");
  assert_fails("x", KATA_ERR_INTERNAL, "iptables-restore: it failed and said nothing");
  make_program("iptables-save", "echo 'line 3 of something' >&2; exit 2");
  assert_fails(NULL, KATA_ERR_INTERNAL, "iptables-save: line 3 of something");
  make_program("iptables-save", "kill -9 $$");
  assert_fails(NULL, KATA_ERR_INTERNAL, "iptables-save: ");
  make_program("iptables-save", "printf 'a\\377\\033\\nb' >&2; exit 1");
  assert_fails(NULL, KATA_ERR_INTERNAL, "iptables-save: a");
}

static void test_what_is_said(void **state) {
  make_program("iptables-save", "printf '*filter\\nCOMMIT\\n'; echo 'a warning' >&2");
  assert_says(FALSE, NULL, "*filter\nCOMMIT\n");
  make_program("ip6tables-save", "echo six");
  assert_says(TRUE, NULL, "six\n");
  make_program("iptables-save", "true");
  assert_says(FALSE, NULL, "");
  make_program("iptables-restore", "echo \"$@\"; cat");
  assert_says(FALSE, "*nat\nCOMMIT\n", "--wait 5\n*nat\nCOMMIT\n");
  make_program("ip6tables-restore", "exec wc -c");
  g_autofree char *much = g_strnfill(IPTABLES_RULES_MAX, 'x');
  assert_says(TRUE, much, "1048576\n");
}

/* More than a child may hand on by its pipe, and two at once. */
static void test_two_at_once(void **state) {
  make_program("iptables-save", "head -c 3000000 /dev/zero");
  make_program("ip6tables-save", "sleep 0.2; head -c 2000000 /dev/zero");
  Answer answers[2] = {{.loop = g_main_loop_new(NULL, FALSE)}, {.loop = g_main_loop_new(NULL, FALSE)}};
  iptables_get(reaper, TRUE, answered, &answers[1]);
  iptables_get(reaper, FALSE, answered, &answers[0]);
  while (answers[0].calls + answers[1].calls < 2) g_main_context_iteration(NULL, TRUE);
  assert_int_equal(g_bytes_get_size(answers[0].output), 3000000);
  assert_int_equal(g_bytes_get_size(answers[1].output), 2000000);
  for (int i = 0; i < 2; i++) {
    g_main_loop_unref(answers[i].loop);
    answer_clear(&answers[i]);
  }
}

static int begin(void **state) {
  g_autoptr(GError) error = NULL;
  reaper = reaper_new(&error);
  directory = g_dir_make_tmp("kata-iptables-XXXXXX", &error);
  if (!reaper || !directory) fail_msg("%s", error->message);
  g_setenv("PATH", directory, TRUE);
  return 0;
}

static int end(void **state) {
  static const char *const names[] = {"iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore"};
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = g_build_filename(directory, names[i], NULL);
    g_unlink(path);
  }
  g_rmdir(directory);
  g_free(directory);
  reaper_free(reaper);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_program),   cmocka_unit_test(test_no_kernel_part), cmocka_unit_test(test_ends),
      cmocka_unit_test(test_what_is_said), cmocka_unit_test(test_two_at_once),
  };
  return cmocka_run_group_tests_name("agent-iptables", tests, begin, end);
}
