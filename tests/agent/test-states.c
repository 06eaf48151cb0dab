/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every method of the protocol in every state of a container and of the sandbox: which status code it is answered
 * with. The codes are those of upstream's agent, where it has more than "internal". */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/online.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/protobuf-json.h"
#include "common/ttrpc-frame.h"
#include "tests/agent/harness.h"
#include "tests/unit/ttrpc-fixture.h"

/* How long a call that must wait is watched. */
#define WATCH_MS 150

enum {
  OK = TTRPC_OK,
  INVALID = TTRPC_INVALID_ARGUMENT,
  WAITS = TTRPC_DEADLINE_EXCEEDED,
  NO_PROCESS = TTRPC_NOT_FOUND,
  EXISTS = TTRPC_ALREADY_EXISTS,
  WRONG_STATE = TTRPC_FAILED_PRECONDITION,
  NOT_HERE = TTRPC_UNIMPLEMENTED,
  INTERNAL = TTRPC_INTERNAL,
  NO_TTY = TTRPC_UNAVAILABLE,
  MOVES = 100, /* leads to another state: the test does it itself */
};

/* The code where this machine has what the call is about; without it the call is not implemented. */
#define NEEDS_IPTABLES 0x1000
#define NEEDS_PROBE 0x2000
#define IF_IPTABLES(code) ((code) | NEEDS_IPTABLES)
#define IF_PROBE(code) ((code) | NEEDS_PROBE)

/* The columns. */
/* STOPPED: and somebody was told so. */
typedef enum { BEFORE, UNKNOWN, CREATED, RUNNING, PAUSED, STOPPED, REMOVED, N_STATES } State;

static const char *const state_names[] = {
    "before CreateSandbox", "unknown", "created", "running", "paused", "stopped", "removed"};

typedef struct {
  const char *method;
  const char *request;
  int codes[N_STATES];
} Row;

#define X "{\"containerId\": \"x\"}"
#define EXEC_X "{\"containerId\": \"x\", \"execId\": \"none\"}"
#define PROCESS "{\"containerId\": \"x\", \"execId\": \"new\", \"process\": {\"Args\": [\"true\"], \"Cwd\": \"/\"}}"
#define DOCUMENT                                                              \
  "{\"containerId\": \"x\", \"OCI\": {\"Root\": {\"Path\": \"" HARNESS_ROOTFS \
  "\"}, \"Process\": {\"Args\": [\"true\"], "                                 \
  "\"Cwd\": \"/\"}, \"Linux\": {}}}"
#define ALWAYS(code) \
  { code, code, code, code, code, code, code }

/* clang-format off */
static const Row rows[] = {
  /*                                       before    unknown   created      running      paused       stopped      removed */
  {"CreateContainer", DOCUMENT,           {MOVES,    MOVES,    EXISTS,      EXISTS,      EXISTS,      EXISTS,      MOVES}},
  {"CreateContainer", "{}",                ALWAYS(INVALID)},
  {"CreateContainer", X,                  {INVALID,  INVALID,  EXISTS,      EXISTS,      EXISTS,      EXISTS,      INVALID}},
  {"StartContainer", X,                   {INTERNAL, INTERNAL, MOVES,       WRONG_STATE, WRONG_STATE, WRONG_STATE, INTERNAL}},
  {"RemoveContainer", X,                  {INTERNAL, INTERNAL, MOVES,       MOVES,       MOVES,       MOVES,       INTERNAL}},
  {"ExecProcess", PROCESS,                {INTERNAL, INTERNAL, MOVES,       MOVES,       WRONG_STATE, WRONG_STATE, INTERNAL}},
  {"ExecProcess", EXEC_X,                 {INTERNAL, INTERNAL, INVALID,     INVALID,     INVALID,     INVALID,     INTERNAL}},
  {"SignalProcess", X,                    {INVALID,  INVALID,  OK,          OK,          OK,          NO_PROCESS,  INVALID}},
  {"SignalProcess", EXEC_X,               {INVALID,  INVALID,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  INVALID}},
  {"SignalProcess", "{\"containerId\": \"x\", \"signal\": 65}", ALWAYS(INVALID)},
  {"ReadStdout", "{\"containerId\": \"x\", \"len\": 1}",
                                          {INVALID,  INVALID,  WAITS,       WAITS,       WAITS,       OK,          INVALID}},
  {"ReadStdout", EXEC_X,                  {INVALID,  INVALID,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  INVALID}},
  {"ReadStderr", "{\"containerId\": \"x\", \"len\": 1}",
                                          {INVALID,  INVALID,  WAITS,       WAITS,       WAITS,       OK,          INVALID}},
  {"ReadStderr", EXEC_X,                  {INVALID,  INVALID,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  INVALID}},
  {"WriteStdin", "{\"containerId\": \"x\", \"data\": \"Cg==\"}",
                                          {INTERNAL, INTERNAL, OK,          OK,          OK,          INTERNAL,    INTERNAL}},
  {"WriteStdin", EXEC_X,                   ALWAYS(INTERNAL)},
  {"CloseStdin", EXEC_X,                  {INVALID,  INVALID,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  INVALID}},
  {"CloseStdin", X,                       {INVALID,  INVALID,  MOVES,       MOVES,       MOVES,       OK,          INVALID}},
  {"TtyWinResize", X,                     {INVALID,  INVALID,  NO_TTY,      NO_TTY,      NO_TTY,      NO_TTY,      INVALID}},
  {"TtyWinResize", EXEC_X,                {INVALID,  INVALID,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  INVALID}},
  {"StatsContainer", X,                   {INVALID,  INVALID,  OK,          OK,          OK,          OK,          INVALID}},
  {"UpdateContainer", X,                  {INVALID,  INVALID,  OK,          OK,          OK,          OK,          INVALID}},
  {"PauseContainer", X,                   {INVALID,  INVALID,  MOVES,       MOVES,       WRONG_STATE, WRONG_STATE, INVALID}},
  {"ResumeContainer", X,                  {INVALID,  INVALID,  WRONG_STATE, WRONG_STATE, MOVES,       WRONG_STATE, INVALID}},
  /* After the reads: who has waited and drained the streams may find the process gone. */
  {"WaitProcess", EXEC_X,                 {INVALID,  INVALID,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  NO_PROCESS,  INVALID}},
  {"WaitProcess", X,                      {INVALID,  INVALID,  WAITS,       WAITS,       WAITS,       OK,          INVALID}},
  {"CreateSandbox", "{}",                 {MOVES,    EXISTS,   EXISTS,      EXISTS,      EXISTS,      EXISTS,      EXISTS}},
  {"DestroySandbox", "{}",                 ALWAYS(MOVES)},
  /* Those that do not ask for a container's state. */
  {"GetGuestDetails", "{}",                ALWAYS(OK)},
  {"ListInterfaces", "{}",                 ALWAYS(OK)},
  {"ListRoutes", "{}",                     ALWAYS(OK)},
  {"RemoveStaleVirtiofsShareMounts", "{}", ALWAYS(OK)},
  {"UpdateInterface", "{}",                ALWAYS(INVALID)},
  {"UpdateRoutes", "{}",                   ALWAYS(INVALID)},
  {"AddARPNeighbors", "{}",                ALWAYS(INVALID)},
  {"ReseedRandomDev", "{}",                ALWAYS(INVALID)},
  {"GetIPTables", "{}",                    ALWAYS(IF_IPTABLES(OK))},
  {"SetIPTables", "{\"data\": \"eA==\"}",  ALWAYS(IF_IPTABLES(INVALID))},
  {"ResizeVolume", "{}",                   ALWAYS(INVALID)},
  {"SetPolicy", "{}",                      ALWAYS(NOT_HERE)},
  {"MemAgentMemcgSet", "{}",               ALWAYS(NOT_HERE)},
  {"MemAgentCompactSet", "{}",             ALWAYS(NOT_HERE)},
  {"GetMetrics", "{}",                     ALWAYS(OK)},
  {"GetOOMEvent", "{}",                    ALWAYS(WAITS)},
  {"GetDiagnosticData", "{\"logType\": \"none\", \"containerId\": \"x\"}", ALWAYS(INVALID)},
  {"GetDiagnosticData", "{\"logType\": \"termination_log\", \"containerId\": \"x\"}",
                                          {INVALID,  INVALID,  OK,          OK,          OK,          OK,          INVALID}},
  {"GetVolumeStats", "{\"volumeGuestPath\": \"/nowhere\"}", ALWAYS(NO_PROCESS)},
  {"UpdateEphemeralMounts", "{\"storages\": [{\"driver\": \"none\"}]}", ALWAYS(INVALID)},
  {"CopyFile", "{\"path\": \"/etc/none\"}", ALWAYS(INVALID)},
  {"AddSwap", "{\"PCIPath\": [99]}",       ALWAYS(INVALID)},
  {"AddSwapPath", "{\"path\": \"/nowhere\"}", ALWAYS(INVALID)},
  /* Nothing of this may come true: the clock, processors and memory are the host's here. */
  {"SetGuestDateTime", "{\"Usec\": \"-1\"}", ALWAYS(INVALID)},
  {"MemHotplugByProbe", "{}",              ALWAYS(IF_PROBE(OK))},
};
/* clang-format on */

/* Calls for a whole guest; as an ordinary process the agent would change the host. test-in-guest.sh makes them. */
static const char *const not_on_a_host[] = {"OnlineCPUMem"};

static const ProtobufCMethodDescriptor *find(const char *name) {
  const ProtobufCMethodDescriptor *method =
      protobuf_c_service_descriptor_get_method_by_name(&grpc__agent_service__descriptor, name);
  if (!method) fail_msg("no method '%s'", name);
  return method;
}

static ProtobufCMessage *read_request(const Row *row) {
  struct json_object *json = json_tokener_parse(row->request);
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *request =
      protobuf_from_json(json, find(row->method)->input, PROTOBUF_JSON_CANONICAL, row->method, &error);
  if (!request) fail_msg("%s", error->message);
  json_object_put(json);
  return request;
}

static int code_here(int code) {
  g_autofree char *program = g_find_program_in_path("iptables-restore");
  if ((code & NEEDS_IPTABLES && !program) || (code & NEEDS_PROBE && access(ONLINE_SYSTEM "/memory/probe", F_OK) < 0))
    return NOT_HERE;
  return code & ~(NEEDS_IPTABLES | NEEDS_PROBE);
}

static void check_row(const Row *row, State state) {
  int wanted = code_here(row->codes[state]);
  if (wanted == MOVES) return;
  ProtobufCMessage *request = read_request(row), *reply = NULL;
  g_autoptr(GError) error = NULL;
  gint64 timeout_ms = wanted == WAITS ? WATCH_MS : HARNESS_CALL_MS;
  ttrpc_client_invoke(harness_client(), &grpc__agent_service__descriptor, row->method, request, timeout_ms, &reply,
                      &error);
  protobuf_c_message_free_unpacked(request, NULL);
  if (reply) protobuf_c_message_free_unpacked(reply, NULL);
  kata_error_code expected = wanted == OK ? KATA_ERR_NONE : error_code_from_rpc(wanted);
  if (error_get_code(error) != expected)
    fail_msg("%s %s, %s: %s (code %d, not %d)", row->method, row->request, state_names[state],
             error ? error->message : "it was done", (int)error_get_code(error), (int)expected);
  if (error && strlen(error->message) < 4) fail_msg("%s says only '%s'", row->method, error->message);
}

static void check_all(State state) {
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) check_row(&rows[i], state);
}

static void test_every_state(void **unused) {
  Grpc__CreateSandboxRequest sandbox = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  Grpc__PauseContainerRequest pause_request = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
  Grpc__ResumeContainerRequest resume_request = GRPC__RESUME_CONTAINER_REQUEST__INIT;
  pause_request.container_id = resume_request.container_id = (char *)"x";
  check_all(BEFORE);
  harness_must("CreateSandbox", &sandbox.base);
  check_all(UNKNOWN);
  harness_create("x", "exec sleep 1000");
  check_all(CREATED);
  harness_start_container("x");
  check_all(RUNNING);
  harness_must("PauseContainer", &pause_request.base);
  check_all(PAUSED);
  harness_must("ResumeContainer", &resume_request.base);
  harness_signal("x", "", SIGKILL);
  assert_int_equal(harness_wait("x", ""), 128 + SIGKILL);
  check_all(STOPPED);
  harness_remove("x");
  check_all(REMOVED);
}

/* ---- ids and numbers that cannot be ---- */

static void set_string(ProtobufCMessage *message, const char *name, const char *value) {
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
  if (field) G_STRUCT_MEMBER(const char *, message, field->offset) = value;
}

static gboolean has_field(const ProtobufCMethodDescriptor *method, const char *name) {
  return protobuf_c_message_descriptor_get_field_by_name(method->input, name) != NULL;
}

/* Of every method that takes one: refused, and named no longer than it is worth. */
static void test_ids_out_of_range(void **unused) {
  g_autofree char *long_id = g_strnfill(100000, 'x');
  const char *const ids[] = {"", long_id, ".", "..", "a/../b", "/", "%s%n", "a b", "a\nb", "\xc3\x28", "\x7f"};
  const ProtobufCServiceDescriptor *service = &grpc__agent_service__descriptor;
  guint n_calls = 0;
  harness_create("good", "exec sleep 1000");
  harness_start_container("good");
  for (unsigned i = 0; i < service->n_methods; i++) {
    const ProtobufCMethodDescriptor *method = &service->methods[i];
    for (gsize k = 0; k < 2 * G_N_ELEMENTS(ids) && has_field(method, "container_id"); k++) {
      gboolean is_exec = k >= G_N_ELEMENTS(ids);
      const char *id = ids[k % G_N_ELEMENTS(ids)];
      /* An empty exec id is the container's first process. */
      if (is_exec && (!has_field(method, "exec_id") || !*id || strcmp(method->name, "CreateContainer") == 0)) continue;
      g_autofree ProtobufCMessage *request = g_malloc0(method->input->sizeof_message);
      g_autoptr(GError) error = NULL;
      method->input->message_init(request);
      set_string(request, "container_id", is_exec ? "good" : id);
      if (is_exec) set_string(request, "exec_id", id);
      ProtobufCMessage *reply = harness_call(method->name, request, &error);
      if (reply) fail_msg("%s took the %s id '%.20s'", method->name, is_exec ? "exec" : "container", id);
      if (strlen(error->message) > 1000) fail_msg("%s repeats all of a long id", method->name);
      n_calls++;
    }
  }
  assert_true(n_calls > 200);
  harness_remove("good");
}

static void test_numbers_out_of_range(void **unused) {
  static const Row bad[] = {
      {"SignalProcess", "{\"containerId\": \"n\", \"signal\": 65}", ALWAYS(INVALID)},
      {"SignalProcess", "{\"containerId\": \"n\", \"signal\": 4294967295}", ALWAYS(INVALID)},
      {"ReadStdout", "{\"containerId\": \"n\", \"len\": 0}", ALWAYS(INVALID)},
      {"ReadStderr", "{\"containerId\": \"n\", \"len\": 0}", ALWAYS(INVALID)},
      {"TtyWinResize", "{\"containerId\": \"n\", \"row\": 4294967295, \"column\": 4294967295}", ALWAYS(NO_TTY)},
      {"UpdateContainer", "{\"containerId\": \"n\", \"resources\": {\"Memory\": {\"Limit\": \"-5\"}}}",
       ALWAYS(INVALID)},
      {"UpdateContainer", "{\"containerId\": \"n\", \"resources\": {\"CPU\": {\"Cpus\": \"9-2000000\"}}}",
       ALWAYS(INVALID)},
  };
  harness_create("n", "exec sleep 1000");
  harness_start_container("n");
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) check_row(&bad[i], RUNNING);
  g_autofree char *zeros = g_malloc0(65537);
  Grpc__ReseedRandomDevRequest reseed = GRPC__RESEED_RANDOM_DEV_REQUEST__INIT;
  reseed.data.data = (guint8 *)zeros;
  reseed.data.len = 65537;
  harness_must_fail("ReseedRandomDev", &reseed.base, TTRPC_INVALID_ARGUMENT, "65537");
  Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
  remove.container_id = (char *)"n";
  remove.timeout = G_MAXUINT32;
  harness_must("RemoveContainer", &remove.base);
}

/* Nobody serves any more: every call fails at once, and says so. */
static void test_after_destroy(void **unused) {
  g_autoptr(TtrpcClient) client = ttrpc_client_ref(harness_client());
  harness_stop();
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    ProtobufCMessage *request = read_request(&rows[i]);
    g_autoptr(GError) error = NULL;
    assert_false(ttrpc_client_invoke(client, &grpc__agent_service__descriptor, rows[i].method, request, HARNESS_CALL_MS,
                                     NULL, &error));
    assert_int_equal(error_get_code(error), KATA_ERR_UNAVAILABLE);
    protobuf_c_message_free_unpacked(request, NULL);
  }
}

static void append_destroy(GByteArray *bytes, guint32 stream_id) {
  static const guint8 body[] =
      "\x0a\x11grpc.AgentService\x12\x0e"
      "DestroySandbox";
  TtrpcFrame frame = {.length = sizeof body - 1, .stream_id = stream_id, .type = TTRPC_FRAME_REQUEST};
  guint8 header[TTRPC_HEADER_SIZE];
  ttrpc_header_encode(&frame, header);
  g_byte_array_append(bytes, header, sizeof header);
  g_byte_array_append(bytes, body, sizeof body - 1);
}

/* The second call comes while the first one is at work, since both come in one piece. */
static void test_destroy_twice(void **unused) {
  harness_start();
  harness_create("slow", "exec sleep 1000");
  harness_start_container("slow");
  autofd int fd = ttrpc_dial("unix://" HARNESS_RUN "/agent.sock", HARNESS_CALL_MS, NULL);
  assert_true(fd >= 0 && fd_set_nonblocking(fd, FALSE, NULL));
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  append_destroy(bytes, 1);
  append_destroy(bytes, 3);
  raw_write(fd, bytes->data, bytes->len);
  raw_expect_status(fd, 3, TTRPC_INTERNAL, "the sandbox is being destroyed already");
  raw_expect_status(fd, 1, TTRPC_OK, NULL);
  ttrpc_client_unref(harness_client());
  harness_attach(NULL, HARNESS_ROOTFS);
  harness_stop();
}

static void test_table_is_whole(void **unused) {
  const ProtobufCServiceDescriptor *service = &grpc__agent_service__descriptor;
  for (unsigned i = 0; i < service->n_methods; i++) {
    gboolean found = FALSE;
    for (gsize k = 0; k < G_N_ELEMENTS(rows); k++) found |= strcmp(rows[k].method, service->methods[i].name) == 0;
    for (gsize k = 0; k < G_N_ELEMENTS(not_on_a_host); k++)
      found |= strcmp(not_on_a_host[k], service->methods[i].name) == 0;
    if (!found) fail_msg("there is no row for '%s'", service->methods[i].name);
  }
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table_is_whole),   cmocka_unit_test(test_every_state),
      cmocka_unit_test(test_ids_out_of_range), cmocka_unit_test(test_numbers_out_of_range),
      cmocka_unit_test(test_after_destroy),    cmocka_unit_test(test_destroy_twice),
  };
  harness_start();
  return cmocka_run_group_tests_name("agent-states", tests, NULL, NULL);
}

int main(void) { return harness_run(run_all); }
