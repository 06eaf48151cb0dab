// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "common/error.h"
#include "katactl/process-json.h"

#define TEMPLATE                                                                                       \
  "{\"terminal\":true,\"consoleSize\":{\"height\":25,\"width\":80},\"user\":{\"uid\":5,\"gid\":6,"     \
  "\"additionalGids\":[7]},\"args\":[\"sh\"],\"env\":[\"PATH=/bin\"],\"cwd\":\"/\",\"capabilities\":{" \
  "\"bounding\":[\"CAP_KILL\"],\"effective\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"]},\"oomScoreAdj\":9}"

static GPtrArray *list_new(const char *first, const char *second) {
  GPtrArray *list = g_ptr_array_new();
  g_ptr_array_add(list, (gpointer)first);
  if (second != NULL) g_ptr_array_add(list, (gpointer)second);
  return list;
}

/* Compares what stands at a JSON pointer. */
static void assert_at(json_object *object, const char *pointer, const char *expected) {
  json_object *found = NULL;
  assert_int_equal(json_pointer_get(object, pointer, &found), 0);
  assert_string_equal(json_object_to_json_string_ext(found, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                      expected);
}

static json_object *change(const char *from, const ProcessChanges *changes) {
  GError *error = NULL;
  g_autofree char *text = process_json_change(from, changes, &error);
  assert_null(error);
  json_object *object = json_tokener_parse(text);
  assert_non_null(object);
  return object;
}

static void test_command_only(void **state) {
  const char *args[] = {"ls", "-l", "a b\"", NULL};
  json_object *object = change(TEMPLATE, &(ProcessChanges){.args = args});
  json_object *none = NULL;
  assert_at(object, "/args", "[\"ls\",\"-l\",\"a b\\\"\"]");
  assert_at(object, "/terminal", "false");
  assert_false(json_object_object_get_ex(object, "consoleSize", &none));
  assert_at(object, "/env", "[\"PATH=/bin\"]");
  assert_at(object, "/cwd", "\"/\"");
  assert_at(object, "/user", "{\"uid\":5,\"gid\":6,\"additionalGids\":[7]}");
  assert_at(object, "/oomScoreAdj", "9");
  json_object_put(object);
}

static void test_all_changes(void **state) {
  const char *args[] = {"id", NULL};
  g_autoptr(GPtrArray) env = list_new("A=1", "PATH=/x");
  g_autoptr(GPtrArray) gids = list_new("10", "20");
  g_autoptr(GPtrArray) caps = list_new("CAP_KILL", "CAP_CHOWN");
  json_object *object = change(TEMPLATE, &(ProcessChanges){
                                             .args = args,
                                             .cwd = "/tmp",
                                             .user = "100:200",
                                             .apparmor = "profile",
                                             .process_label = "label",
                                             .env = env,
                                             .gids = gids,
                                             .caps = caps,
                                             .no_new_privileges = TRUE,
                                             .terminal = TRUE,
                                         });
  assert_at(object, "/terminal", "true");
  assert_at(object, "/cwd", "\"/tmp\"");
  assert_at(object, "/user", "{\"uid\":100,\"gid\":200,\"additionalGids\":[7,10,20]}");
  assert_at(object, "/env", "[\"PATH=/bin\",\"A=1\",\"PATH=/x\"]");
  assert_at(object, "/apparmorProfile", "\"profile\"");
  assert_at(object, "/selinuxLabel", "\"label\"");
  assert_at(object, "/noNewPrivileges", "true");
  assert_at(object, "/capabilities/bounding", "[\"CAP_KILL\",\"CAP_CHOWN\"]");
  assert_at(object, "/capabilities/effective", "[\"CAP_KILL\",\"CAP_CHOWN\"]");
  assert_at(object, "/capabilities/permitted", "[\"CAP_KILL\",\"CAP_CHOWN\"]");
  json_object *ambient = NULL;
  assert_int_not_equal(json_pointer_get(object, "/capabilities/ambient", &ambient), 0);
  json_object_put(object);
}

static void test_user_alone_keeps_the_group(void **state) {
  const char *args[] = {"id", NULL};
  json_object *object = change(TEMPLATE, &(ProcessChanges){.args = args, .user = "4294967295"});
  assert_at(object, "/user/uid", "4294967295");
  assert_at(object, "/user/gid", "6");
  json_object_put(object);
}

static void test_ambient_follows_inheritable(void **state) {
  const char *args[] = {"id", NULL};
  g_autoptr(GPtrArray) caps = list_new("CAP_CHOWN", NULL);
  json_object *object =
      change("{\"capabilities\":{\"inheritable\":[\"CAP_KILL\"]}}", &(ProcessChanges){.args = args, .caps = caps});
  assert_at(object, "/capabilities/ambient", "[\"CAP_CHOWN\"]");
  assert_at(object, "/capabilities/inheritable", "[\"CAP_KILL\"]");
  json_object_put(object);
}

static void test_empty_and_odd_templates(void **state) {
  static const char *const templates[] = {"{}", "{\"user\":1,\"env\":\"x\",\"capabilities\":[]}",
                                          "{\"user\":null,\"env\":null,\"capabilities\":null}"};
  const char *args[] = {"id", NULL};
  g_autoptr(GPtrArray) env = list_new("A=1", NULL);
  g_autoptr(GPtrArray) list = list_new("CAP_CHOWN", NULL);
  g_autoptr(GPtrArray) gids = list_new("1", NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(templates); i++) {
    json_object *object = change(templates[i], &(ProcessChanges){
                                                   .args = args,
                                                   .user = "1:2",
                                                   .env = env,
                                                   .caps = list,
                                                   .gids = gids,
                                               });
    assert_at(object, "/user", "{\"uid\":1,\"gid\":2,\"additionalGids\":[1]}");
    assert_at(object, "/env", "[\"A=1\"]");
    assert_at(object, "/capabilities/bounding", "[\"CAP_CHOWN\"]");
    json_object_put(object);
  }
}

static void assert_fails(const char *from, const ProcessChanges *changes, const char *expected) {
  g_autoptr(GError) error = NULL;
  assert_null(process_json_change(from, changes, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  assert_string_equal(error->message, expected);
}

static void test_bad_environment(void **state) {
  const char *args[] = {"id", NULL};
  g_autoptr(GPtrArray) words = list_new("A=1", "AB");
  g_autoptr(GPtrArray) nameless = list_new("=1", NULL);
  assert_fails("{}", &(ProcessChanges){.args = args, .env = words},
               "invalid environment variable: \"AB\" is not NAME=VALUE");
  assert_fails("{}", &(ProcessChanges){.args = args, .env = nameless},
               "invalid environment variable: \"=1\" is not NAME=VALUE");
}

static void test_errors(void **state) {
  const char *none[] = {NULL};
  const char *args[] = {"id", NULL};
  g_autoptr(GPtrArray) bad_gid = list_new("wheel", NULL);
  assert_fails(TEMPLATE, &(ProcessChanges){.args = none}, "exec args cannot be empty");
  assert_fails(TEMPLATE, &(ProcessChanges){.args = args, .cwd = "tmp"}, "Cwd must be an absolute path");
  assert_fails(TEMPLATE, &(ProcessChanges){.args = args, .user = "root"},
               "bad user 'root': expected UID or UID:GID in numbers");
  assert_fails(TEMPLATE, &(ProcessChanges){.args = args, .user = "1:"},
               "bad user '1:': expected UID or UID:GID in numbers");
  assert_fails(TEMPLATE, &(ProcessChanges){.args = args, .user = "4294967296"},
               "bad user '4294967296': expected UID or UID:GID in numbers");
  assert_fails(TEMPLATE, &(ProcessChanges){.args = args, .user = "-1"},
               "bad user '-1': expected UID or UID:GID in numbers");
  assert_fails(TEMPLATE, &(ProcessChanges){.args = args, .gids = bad_gid},
               "bad additional group 'wheel': expected a number");
  assert_fails("[1]", &(ProcessChanges){.args = args}, "cannot read the container's process: not a JSON object");
}

static void test_terminal(void **state) {
  gboolean terminal = FALSE;
  assert_true(process_json_get_terminal("{\"terminal\":true}", "p", &terminal, NULL));
  assert_true(terminal);
  assert_true(process_json_get_terminal("{\"args\":[]}", "p", &terminal, NULL));
  assert_false(terminal);
  static const char *const bad[] = {"", "{", "[]", "null", "3", "nonsense"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_false(process_json_get_terminal(bad[i], "/p.json", &terminal, &error));
    assert_true(g_str_has_prefix(error->message, "cannot read /p.json: "));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_command_only),
      cmocka_unit_test(test_all_changes),
      cmocka_unit_test(test_user_alone_keeps_the_group),
      cmocka_unit_test(test_ambient_follows_inheritable),
      cmocka_unit_test(test_empty_and_odd_templates),
      cmocka_unit_test(test_bad_environment),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_terminal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
