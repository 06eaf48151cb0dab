/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/agent/recorded.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/protobuf-json.h"
#include "proto/health.pb-c.h"

/* So that calls made one after the other arrive so, though each waits in a thread of its own. */
#define STEP_US 20000

typedef struct {
  const ProtobufCServiceDescriptor *service;
  const ProtobufCMethodDescriptor *method;
  ProtobufCMessage *request;
  ProtobufCMessage *reply;
  GError *error;
  GThread *thread;
} Recorded;

static void recorded_free(gpointer data) {
  Recorded *recorded = data;
  if (recorded->thread) g_thread_join(recorded->thread);
  protobuf_c_message_free_unpacked(recorded->request, NULL);
  if (recorded->reply) protobuf_c_message_free_unpacked(recorded->reply, NULL);
  g_clear_error(&recorded->error);
  g_free(recorded);
}

static Recorded *recorded_parse(const char *line) {
  const char *slash = strchr(line, '/');
  const char *space = strchr(line, ' ');
  assert_non_null(slash);
  assert_non_null(space);
  g_autofree char *name = g_strndup(slash + 1, (gsize)(space - slash - 1));
  Recorded *recorded = g_new0(Recorded, 1);
  recorded->service =
      g_str_has_prefix(line, "grpc.Health/") ? &grpc__health__descriptor : &grpc__agent_service__descriptor;
  recorded->method = protobuf_c_service_descriptor_get_method_by_name(recorded->service, name);
  assert_non_null(recorded->method);
  struct json_object *json = json_tokener_parse(space + 1);
  assert_non_null(json);
  g_autoptr(GError) error = NULL;
  recorded->request = protobuf_from_json(json, recorded->method->input, PROTOBUF_JSON_PROTO, "request", &error);
  if (!recorded->request) fail_msg("%s", error->message);
  json_object_put(json);
  return recorded;
}

static gpointer recorded_call(gpointer data) {
  Recorded *recorded = data;
  g_autoptr(TtrpcClient) client = ttrpc_client_ref(harness_client());
  ttrpc_client_invoke(client, recorded->service, recorded->method->name, recorded->request, HARNESS_CALL_MS,
                      &recorded->reply, &recorded->error);
  return NULL;
}

static gboolean is_method(const Recorded *recorded, const char *name) {
  return strcmp(recorded->method->name, name) == 0;
}

static void check_answered(const Recorded *recorded) {
  if (recorded->error) fail_msg("%s: %s", recorded->method->name, recorded->error->message);
  assert_non_null(recorded->reply);
}

static void take_output(const Recorded *recorded, GString *output) {
  const Grpc__ReadStreamResponse *reply = (const Grpc__ReadStreamResponse *)recorded->reply;
  if (is_method(recorded, "ReadStdout"))
    g_string_append_len(output, (const char *)reply->data.data, (gssize)reply->data.len);
}

typedef struct {
  const RecordedPlay *play;
  GString *output;
  GPtrArray *waiting;
  GPtrArray *endless; /* calls that are only answered when the sandbox ends */
} Run;

static void play_one(const Run *run, Recorded *recorded) {
  const char *name = recorded->method->name;
  if (run->play->before) run->play->before(name, recorded->request);
  gboolean is_endless = is_method(recorded, "GetOOMEvent");
  if (is_endless || is_method(recorded, "WaitProcess") || g_str_has_prefix(name, "Read")) {
    recorded->thread = g_thread_new("call", recorded_call, recorded);
    g_ptr_array_add(is_endless ? run->endless : run->waiting, recorded);
    g_usleep(STEP_US);
    return;
  }
  recorded_call(recorded);
  check_answered(recorded);
  if (run->play->after) run->play->after(name, recorded->request);
  recorded_free(recorded);
}

static void join(Recorded *recorded) {
  if (recorded->thread) g_thread_join(g_steal_pointer(&recorded->thread));
}

/* The runtime had read something of each process before it sent a signal: here too, however slow the machine. */
static void wait_for_output(const Run *run) {
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < run->waiting->len; i++) {
    Recorded *recorded = g_ptr_array_index(run->waiting, i);
    if (!is_method(recorded, "ReadStdout")) continue;
    if (g_hash_table_add(seen, ((Grpc__ReadStreamRequest *)recorded->request)->exec_id)) join(recorded);
  }
}

static void finish_waiting(const Run *run) {
  for (guint i = 0; i < run->waiting->len; i++) {
    Recorded *recorded = g_ptr_array_index(run->waiting, i);
    join(recorded);
    check_answered(recorded);
    take_output(recorded, run->output);
  }
  g_ptr_array_set_size(run->waiting, 0);
}

static void finish_endless(const Run *run) {
  for (guint i = 0; i < run->endless->len; i++) {
    Recorded *recorded = g_ptr_array_index(run->endless, i);
    join(recorded);
    assert_non_null(recorded->error);
    assert_non_null(strstr(recorded->error->message, "the sandbox has ended"));
  }
  g_ptr_array_set_size(run->endless, 0);
}

/* The lines of one sandbox, each of which ends with DestroySandbox. */
static GPtrArray *read_requests(guint sandbox) {
  const char *top = g_getenv("top_srcdir");
  g_autofree char *path = g_build_filename(top ? top : "..", "tests/data/agent-requests.txt", NULL);
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(path, &text, NULL, NULL));
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  GPtrArray *requests = g_ptr_array_new();
  guint at = 0;
  for (char **line = lines; *line; line++) {
    if (**line == '#' || !**line) continue;
    if (at == sandbox) g_ptr_array_add(requests, recorded_parse(*line));
    at += g_str_has_prefix(*line, "grpc.AgentService/DestroySandbox ") ? 1 : 0;
  }
  assert_int_equal(at, RECORDED_SANDBOXES);
  return requests;
}

void recorded_play(guint sandbox, const RecordedPlay *play, GString *output) {
  g_autoptr(GPtrArray) requests = read_requests(sandbox);
  g_autoptr(GPtrArray) waiting = g_ptr_array_new_with_free_func(recorded_free);
  g_autoptr(GPtrArray) endless = g_ptr_array_new_with_free_func(recorded_free);
  const Run run = {play, output, waiting, endless};
  for (guint i = 0; i < requests->len; i++) {
    Recorded *recorded = g_ptr_array_index(requests, i);
    gboolean is_destroy = is_method(recorded, "DestroySandbox");
    if (is_method(recorded, "SignalProcess")) wait_for_output(&run);
    if (is_destroy || is_method(recorded, "RemoveContainer")) finish_waiting(&run);
    if (is_destroy && play->destroy) {
      recorded_free(recorded);
      play->destroy();
    } else {
      play_one(&run, recorded);
    }
  }
  finish_endless(&run);
}
