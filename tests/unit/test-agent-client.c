// SPDX-License-Identifier: LGPL-2.1-or-later
/* kata_agent_*: calls as JSON against a server of our own, and what the library tells of the protocol. */
#include "tests/unit/ttrpc-fixture.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kata/kata.h"
#include "lib/agent-methods.h"

typedef struct {
  Fixture *fixture;
  char *directory;
  char *address;
  kata_agent *agent;
} World;

static void listen_there(Fixture *fixture, gpointer data) {
  g_autoptr(GError) error = NULL;
  int fd = ttrpc_listen(data, &error);
  if (fd < 0) fail_msg("%s", error->message);
  ttrpc_server_listen(fixture->server, fd, TRUE);
}

static int set_up(void **state) {
  World *world = g_new0(World, 1);
  world->fixture = fixture_new();
  world->directory = g_dir_make_tmp("kata-client-XXXXXX", NULL);
  world->address = g_strdup_printf("unix://%s/agent.sock", world->directory);
  fixture_run(world->fixture, listen_there, world->address);
  world->agent = kata_agent_connect(world->address, 0, 0, NULL);
  *state = world;
  return world->agent != NULL ? 0 : -1;
}

static int tear_down(void **state) {
  World *world = *state;
  kata_agent_unref(world->agent);
  fixture_free(world->fixture);
  unlink(world->address + strlen("unix://"));
  rmdir(world->directory);
  g_free(world->address);
  g_free(world->directory);
  g_free(world);
  return 0;
}

static void answers(const World *world, const char *method, const char *request, const char *expected) {
  kata_error *err = NULL;
  char *reply = NULL;
  if (kata_agent_call(world->agent, method, request, 60000, 0, &reply, &err) != 0)
    fail_msg("%s: %s", method, kata_error_get_message(err));
  struct json_object *found = json_tokener_parse(reply), *wanted = json_tokener_parse(expected);
  if (!json_object_equal(found, wanted)) fail_msg("%s: %s is not %s", method, reply, expected);
  json_object_put(found);
  json_object_put(wanted);
  kata_free(reply);
}

static void fails(const World *world, const char *method, const char *request, kata_error_code code, const char *text) {
  kata_error *err = NULL;
  char *reply = NULL;
  assert_int_equal(kata_agent_call(world->agent, method, request, 200, 0, &reply, &err), -1);
  assert_null(reply);
  if (kata_error_get_code(err) != code || strstr(kata_error_get_message(err), text) == NULL)
    fail_msg("%s: code %d, '%s', not code %d, '%s'", method, (int)kata_error_get_code(err), kata_error_get_message(err),
             (int)code, text);
  kata_error_free(err);
}

static void test_calls(void **state) {
  const World *world = *state;
  answers(world, "Health.Check", NULL, "{\"status\": \"SERVING\"}");
  answers(world, "grpc.Health.Check", "{}", "{\"status\": \"SERVING\"}");
  answers(world, "grpc.Health/Check", " {} \n", "{\"status\": \"SERVING\"}");
  answers(world, "Version", "{\"service\": \"echo \\u00e9\"}", "{\"agentVersion\": \"echo \\u00e9\"}");
  answers(world, "WriteStdin", "{\"container_id\": \"c\", \"data\": \"aGVsbG8=\"}", "{\"len\": 5}");
  answers(world, "AgentService.WriteStdin", "{\"containerId\": \"c\", \"data\": \"LXg\"}", "{\"len\": 2}");
  assert_string_equal(world->fixture->written->str, "hello-x");
  answers(world, "ReadStdout", "{\"len\": \"3\"}", "{\"data\": \"eHh4\"}");
  answers(world, "Version", "{\"service\": \"\"}", "{}");
  /* A caller who does not want the reply. */
  assert_int_equal(kata_agent_call(world->agent, "Check", NULL, 0, 0, NULL, NULL), 0);
}

static void test_bad_requests(void **state) {
  const World *world = *state;
  const kata_error_code bad = KATA_ERR_INVALID_ARGUMENT;
  fails(world, "Health.Dance", NULL, KATA_ERR_NOT_FOUND, "no method 'Health.Dance'");
  fails(world, "AgentService", NULL, KATA_ERR_NOT_FOUND, "no method 'AgentService'");
  fails(world, "", NULL, KATA_ERR_NOT_FOUND, "no method ''");
  fails(world, "a\nb", NULL, KATA_ERR_NOT_FOUND, "no method 'a\\x0ab'");
  fails(world, "Check", "", bad, "request: line 1");
  fails(world, "Check", "{", bad, "request: line 1, column 2: not valid JSON");
  fails(world, "Check", "{} {}", bad, "request: line 1, column 4");
  fails(world, "Check", "[]", bad, "request: expected an object, found an array");
  fails(world, "Check", "null", bad, "request: expected an object, found null");
  fails(world, "Check", "{\"service\": 5}", bad, "request: service: expected a string, found a number");
  fails(world, "Check", "{\"Service\": \"\"}", bad, "request: CheckRequest has no member 'Service'");
  fails(world, "CreateContainer", "{\"storages\": [{}, {\"fsGroup\": {\"group\": 1}}]}", bad,
        "request: storages[1].fsGroup: FSGroup has no member 'group'");
  fails(world, "CreateContainer", "{\"OCI\": {\"Process\": {\"Args\": [\"a\", 1]}}}", bad,
        "request: OCI.Process.Args[1]: expected a string");
  fails(world, "CreateContainer", "{\"OCI\": {\"Linux\": {\"Sysctl\": {\"a\": 1}}}}", bad,
        "request: OCI.Linux.Sysctl['a']: expected a string");
  fails(world, "UpdateInterface", "{\"interface\": {\"IPAddresses\": [{\"family\": \"v5\"}]}}", bad,
        "request: interface.IPAddresses[0].family: 'v5' is not one of the names of");
  fails(world, "WriteStdin", "{\"data\": \"?\"}", bad, "request: data: not valid base64");
  fails(world, "TtyWinResize", "{\"row\": 4294967296}", bad, "request: row: 4294967296 is out of range");
  fails(world, "WaitProcess", "{\"container_id\": \"a\", \"containerId\": \"b\"}", bad, "are the same member");
  answers(world, "Check", NULL, "{\"status\": \"SERVING\"}");
}

static void test_sizes(void **state) {
  const World *world = *state;
  /* An envelope is around them. */
  g_autofree char *bytes = g_strnfill(TTRPC_MAX_BODY + 2, 'A');
  bytes[TTRPC_MAX_BODY + 2 - (TTRPC_MAX_BODY + 2) % 4] = '\0';
  g_autofree char *good = g_strdup_printf("{\"data\": \"%s\"}", bytes);
  g_autofree char *expected = g_strdup_printf("{\"len\": %zu}", strlen(bytes) / 4 * 3);
  answers(world, "WriteStdin", good, expected);
  g_autofree char *more = g_strnfill((TTRPC_MAX_BODY + 3) / 3 * 4, 'A');
  g_autofree char *bad = g_strdup_printf("{\"data\": \"%s\"}", more);
  fails(world, "WriteStdin", bad, KATA_ERR_RESOURCE_EXHAUSTED, "WriteStdin");
  g_autofree char *spaces = g_strnfill(TTRPC_MAX_BODY * 2 + 1, ' ');
  fails(world, "WriteStdin", spaces, KATA_ERR_RESOURCE_EXHAUSTED, "request: ");
  fails(world, "ReadStdout", "{\"len\": 4194304}", KATA_ERR_RESOURCE_EXHAUSTED, "");
  answers(world, "Check", NULL, "{\"status\": \"SERVING\"}");
}

static void test_errors_of_the_agent(void **state) {
  const World *world = *state;
  fails(world, "Check", "{\"service\": \"fail:5:no such thing\"}", KATA_ERR_NOT_FOUND, "no such thing");
  fails(world, "Check", "{\"service\": \"fail:12:not here\"}", KATA_ERR_UNSUPPORTED, "not here");
  fails(world, "AddSwap", "{}", KATA_ERR_UNSUPPORTED, "AddSwap");
  fails(world, "Check", "{\"service\": \"hold\"}", KATA_ERR_TIMEOUT, "200 ms");
  answers(world, "Check", NULL, "{\"status\": \"SERVING\"}");
  wait_for_held(world->fixture, 1);
  fixture_release(world->fixture);
}

static gpointer call_that_waits(gpointer agent) {
  return GINT_TO_POINTER(kata_agent_call(agent, "Check", "{\"service\": \"hold\"}", 0, 0, NULL, NULL));
}

/* None waits for another. */
static void test_many_at_once(void **state) {
  const World *world = *state;
  GThread *threads[30];
  for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) threads[i] = g_thread_new("call", call_that_waits, world->agent);
  wait_for_held(world->fixture, G_N_ELEMENTS(threads));
  answers(world, "Version", "{\"service\": \"between\"}", "{\"agentVersion\": \"between\"}");
  for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) fixture_release(world->fixture);
  for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) assert_ptr_equal(g_thread_join(threads[i]), NULL);
}

static void test_lost_agent(void **state) {
  World *world = *state;
  fixture_end_server(world->fixture);
  fails(world, "Check", NULL, KATA_ERR_UNAVAILABLE, "");
}

/* ---- what the library tells ---- */

static void test_methods(void **state) {
  g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
  const kata_agent_method *method = kata_agent_method_next(NULL);
  assert_string_equal(kata_agent_method_get_name(method), "AgentService.CreateContainer");
  assert_string_equal(kata_agent_method_get_request_type(method), "grpc.CreateContainerRequest");
  assert_string_equal(kata_agent_method_get_reply_type(method), "google.protobuf.Empty");
  for (; method != NULL; method = kata_agent_method_next(method))
    assert_true(g_hash_table_add(names, (gpointer)kata_agent_method_get_name(method)));
  assert_int_equal(g_hash_table_size(names), 44);
  assert_true(g_hash_table_contains(names, "Health.Version"));
  assert_null(kata_agent_method_get_name(NULL));
  assert_null(kata_agent_method_get_request_type(NULL));
  assert_null(kata_agent_method_get_reply_type(NULL));
}

static void test_templates(void **state) {
  for (const kata_agent_method *method = kata_agent_method_next(NULL); method != NULL;
       method = kata_agent_method_next(method)) {
    kata_error *err = NULL;
    g_autoptr(GError) error = NULL;
    char *text = kata_agent_make_template(kata_agent_method_get_request_type(method), 0, &err);
    assert_non_null(text);
    ProtobufCMessage *request = agent_method_read_request(method, text, &error);
    if (request == NULL) fail_msg("%s: %s", kata_agent_method_get_name(method), error->message);
    protobuf_c_message_free_unpacked(request, NULL);
    kata_free(text);
  }
  char *text = kata_agent_make_template("grpc.CgroupStats", 0, NULL);
  assert_non_null(strstr(text, "\"hugetlbStats\":{\n    \"KEY\":{\n      \"usage\":\"0\""));
  kata_free(text);
}

static struct json_object *member(struct json_object *object, const char *name) {
  struct json_object *found = NULL;
  if (!json_object_object_get_ex(object, name, &found)) fail_msg("no member '%s'", name);
  return found;
}

static void test_description(void **state) {
  char *text = kata_agent_describe_message("grpc.FSGroup", 0, NULL);
  struct json_object *json = json_tokener_parse(text);
  struct json_object *wanted = json_tokener_parse(
      "{\"message\": \"grpc.FSGroup\", \"fields\": [{\"name\": \"groupId\", \"protoName\": \"group_id\", \"number\": "
      "2, "
      "\"type\": \"uint32\"}, {\"name\": \"groupChangePolicy\", \"protoName\": \"group_change_policy\", \"number\": 3, "
      "\"type\": \"types.FSGroupChangePolicy\", \"values\": [\"Always\", \"OnRootMismatch\"]}]}");
  assert_true(json_object_equal(json, wanted));
  json_object_put(json);
  json_object_put(wanted);
  kata_free(text);

  text = kata_agent_describe_message("grpc.MemoryStats", 0, NULL);
  json = json_tokener_parse(text);
  struct json_object *stats = json_object_array_get_idx(member(json, "fields"), 5);
  assert_string_equal(json_object_get_string(member(stats, "mapKey")), "string");
  assert_string_equal(json_object_get_string(member(stats, "type")), "uint64");
  json_object_put(json);
  kata_free(text);

  text = kata_agent_describe_message("grpc.MemAgentMemcgConfig", 0, NULL);
  json = json_tokener_parse(text);
  assert_true(json_object_get_boolean(member(json_object_array_get_idx(member(json, "fields"), 0), "hasPresence")));
  json_object_put(json);
  kata_free(text);

  kata_error *err = NULL;
  assert_null(kata_agent_describe_message("grpc.Nothing", 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_NOT_FOUND);
  assert_non_null(strstr(kata_error_get_message(err), "no message 'grpc.Nothing'"));
  kata_error_free(err);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_calls, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_requests, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_errors_of_the_agent, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_lost_agent, set_up, tear_down),
      cmocka_unit_test(test_methods),
      cmocka_unit_test(test_templates),
      cmocka_unit_test(test_description),
  };
  return cmocka_run_group_tests_name("agent-client", tests, NULL, NULL);
}
