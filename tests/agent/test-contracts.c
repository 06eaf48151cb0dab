/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What callers may rely on when several call at once, leave, or come back late. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "proto/health.pb-c.h"
#include "tests/agent/document.h"

#define BOX "box"
#define MIB (1u << 20)

static int start(void **state) {
  harness_start();
  harness_create(BOX, "sleep 10000");
  harness_start_container(BOX);
  return 0;
}

static int stop(void **state) {
  harness_remove(BOX);
  harness_stop();
  return 0;
}

/* ---- calls that wait, in threads of their own ---- */

typedef struct {
  TtrpcClient *client;
  const char *method;
  ProtobufCMessage *request;
  ProtobufCMessage *reply;
  GError *error;
  GThread *thread;
} Waiting;

static gpointer call_in_thread(gpointer data) {
  Waiting *waiting = data;
  ttrpc_client_invoke(waiting->client, &grpc__agent_service__descriptor, waiting->method, waiting->request, 0,
                      &waiting->reply, &waiting->error);
  return NULL;
}

static Waiting *begin(TtrpcClient *client, const char *method, ProtobufCMessage *request) {
  Waiting *waiting = g_new0(Waiting, 1);
  waiting->client = ttrpc_client_ref(client);
  waiting->method = method;
  waiting->request = request;
  waiting->thread = g_thread_new("call", call_in_thread, waiting);
  return waiting;
}

static void waiting_free(Waiting *waiting) {
  if (waiting->thread) g_thread_join(waiting->thread);
  ttrpc_client_unref(waiting->client);
  protobuf_c_message_free_unpacked(waiting->request, NULL);
  if (waiting->reply) protobuf_c_message_free_unpacked(waiting->reply, NULL);
  g_clear_error(&waiting->error);
  g_free(waiting);
}

static void join(Waiting *waiting) { g_thread_join(g_steal_pointer(&waiting->thread)); }

/* A request whose first two fields are the container's and the exec's ids, and the third, if it has one, a number. */
static ProtobufCMessage *request_for(const char *method, const char *exec_id, guint number) {
  const ProtobufCMethodDescriptor *descriptor =
      protobuf_c_service_descriptor_get_method_by_name(&grpc__agent_service__descriptor, method);
  assert_non_null(descriptor);
  g_autoptr(GByteArray) wire = g_byte_array_new();
  const struct {
    guint8 tag;
    const char *text;
  } texts[] = {{0x0a, BOX}, {0x12, exec_id}};
  for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
    guint8 length = (guint8)strlen(texts[i].text);
    g_byte_array_append(wire, &texts[i].tag, 1);
    g_byte_array_append(wire, &length, 1);
    g_byte_array_append(wire, (const guint8 *)texts[i].text, length);
  }
  if (number > 0) {
    guint8 field[] = {0x18, (guint8)number};
    g_byte_array_append(wire, field, sizeof field);
  }
  ProtobufCMessage *request = protobuf_c_message_unpack(descriptor->input, NULL, wire->len, wire->data);
  assert_non_null(request);
  return request;
}

static ProtobufCMessage *write_request(const char *exec_id, gsize size) {
  Grpc__WriteStreamRequest *request = (Grpc__WriteStreamRequest *)request_for("WriteStdin", exec_id, 0);
  request->data.data = malloc(size);
  memset(request->data.data, 'x', size);
  request->data.len = size;
  return &request->base;
}

static void check_health(TtrpcClient *client) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  g_autoptr(GError) error = NULL;
  if (!ttrpc_client_invoke(client, &grpc__health__descriptor, "Check", &request.base, HARNESS_CALL_MS, NULL, &error))
    fail_msg("%s", error->message);
}

#define IN_FLIGHT 30

/* Reads without output, waits without an end, writes into full pipes, events that do not come: none holds up another,
 * nor what is asked meanwhile. */
static void test_thirty_in_flight(void **state) {
  harness_exec(BOX, "mute", "read x; echo late; exit 7");
  harness_exec(BOX, "deaf", "sleep 10000");
  Waiting *calls[IN_FLIGHT];
  for (guint i = 0; i < IN_FLIGHT; i++) {
    static const char *const methods[] = {"ReadStderr", "WaitProcess", "GetOOMEvent"};
    const char *method = methods[i % 3];
    if (i < 3)
      calls[i] = begin(harness_client(), "WriteStdin", write_request("deaf", 2 * MIB));
    else if (strcmp(method, "GetOOMEvent") == 0)
      calls[i] = begin(harness_client(), method,
                       protobuf_c_message_unpack(&grpc__get_oomevent_request__descriptor, NULL, 0, NULL));
    else
      calls[i] = begin(harness_client(), method, request_for(method, "mute", *method == 'R' ? 100 : 0));
  }
  for (int i = 0; i < 10; i++) check_health(harness_client());
  harness_exec(BOX, "quick", "echo quick");
  g_autoptr(GString) quick = harness_read_all(BOX, "quick", FALSE);
  assert_string_equal(quick->str, "quick\n");
  for (guint i = 0; i < IN_FLIGHT; i++) assert_null(calls[i]->reply);

  harness_write(BOX, "mute", "\n", 1);
  for (guint i = 3; i < IN_FLIGHT; i++) {
    if (strcmp(calls[i]->method, "GetOOMEvent") == 0) continue;
    join(calls[i]);
    if (calls[i]->error) fail_msg("%s", calls[i]->error->message);
    if (strcmp(calls[i]->method, "WaitProcess") == 0)
      assert_int_equal(((Grpc__WaitProcessResponse *)calls[i]->reply)->status, 7);
    else
      assert_int_equal(((Grpc__ReadStreamResponse *)calls[i]->reply)->data.len, 0);
  }
  harness_signal(BOX, "deaf", SIGKILL);
  for (guint i = 0; i < 3; i++) {
    join(calls[i]);
    assert_non_null(calls[i]->error);
  }
  assert_int_equal(harness_wait(BOX, "deaf"), 137);
  /* The callers who wait for events just leave. */
  TtrpcClient *leaving = harness_connect();
  Waiting *gone =
      begin(leaving, "GetOOMEvent", protobuf_c_message_unpack(&grpc__get_oomevent_request__descriptor, NULL, 0, NULL));
  check_health(leaving);
  ttrpc_client_close(leaving, NULL);
  join(gone);
  assert_non_null(gone->error);
  waiting_free(gone);
  ttrpc_client_unref(leaving);
  for (guint i = 0; i < IN_FLIGHT; i++) {
    if (strcmp(calls[i]->method, "GetOOMEvent") != 0 || i < 3) {
      waiting_free(calls[i]);
      continue;
    }
    /* Answered when the sandbox ends, after this test. */
    g_thread_unref(g_steal_pointer(&calls[i]->thread));
  }
}

static void test_two_clients(void **state) {
  TtrpcClient *other = harness_connect();
  harness_exec(BOX, "shared", "read x; echo \"$x\"; exit 5");
  Waiting *one = begin(harness_client(), "WaitProcess", request_for("WaitProcess", "shared", 0));
  Waiting *two = begin(other, "WaitProcess", request_for("WaitProcess", "shared", 0));
  Grpc__WriteStreamRequest *write = (Grpc__WriteStreamRequest *)write_request("shared", 3);
  memcpy(write->data.data, "ab\n", 3);
  Waiting *written = begin(other, "WriteStdin", &write->base);
  g_autoptr(GString) out = harness_read_all(BOX, "shared", FALSE);
  assert_string_equal(out->str, "ab\n");
  Waiting *all[] = {one, two, written};
  for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
    join(all[i]);
    if (all[i]->error) fail_msg("%s", all[i]->error->message);
  }
  assert_int_equal(((Grpc__WaitProcessResponse *)one->reply)->status, 5);
  assert_int_equal(((Grpc__WaitProcessResponse *)two->reply)->status, 5);
  for (gsize i = 0; i < G_N_ELEMENTS(all); i++) waiting_free(all[i]);
  ttrpc_client_unref(other);
}

/* What the lost writer wrote so far is there, and the stream is whole for the next. */
static void test_client_gone_in_write(void **state) {
  harness_exec(BOX, "reader", "read go; echo begun; exec wc -c");
  TtrpcClient *other = harness_connect();
  Waiting *lost = begin(other, "WriteStdin", write_request("reader", 3 * MIB));
  /* Until the pipe is full of what has no end of line. */
  check_health(other);
  ttrpc_client_close(other, NULL);
  join(lost);
  assert_non_null(lost->error);
  waiting_free(lost);
  ttrpc_client_unref(other);
  check_health(harness_client());
  harness_signal(BOX, "reader", SIGKILL);
  assert_int_equal(harness_wait(BOX, "reader"), 137);

  harness_exec(BOX, "counter", "exec wc -c");
  other = harness_connect();
  lost = begin(other, "WriteStdin", write_request("counter", MIB));
  join(lost);
  assert_null(lost->error);
  waiting_free(lost);
  ttrpc_client_close(other, NULL);
  ttrpc_client_unref(other);
  harness_write(BOX, "counter", "12345", 5);
  harness_close_stdin(BOX, "counter");
  g_autoptr(GString) count = harness_read_all(BOX, "counter", FALSE);
  assert_string_equal(count->str, "1048581\n");
  assert_int_equal(harness_wait(BOX, "counter"), 0);
}

static void test_kill_all(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("(trap '' TERM INT; sleep 10000) & setsid sleep 10000 & exec sleep 10000");
  harness_create_spec("many", spec);
  harness_start_container("many");
  harness_exec("many", "e", "sleep 10000 & exec sleep 10000");
  harness_signal("many", "", SIGKILL);
  assert_int_equal(harness_wait("many", ""), 137);
  assert_int_equal(harness_wait("many", "e"), 137);
  g_autofree char *path = g_strconcat("/sys/fs/cgroup", spec->linux->cgroupspath, "/cgroup.procs", NULL);
  for (int i = 0; i < 3000; i++) {
    g_autofree char *left = NULL;
    if (!g_file_get_contents(path, &left, NULL, NULL) || !*left) break;
    g_usleep(10000);
  }
  g_autofree char *left = NULL;
  assert_true(g_file_get_contents(path, &left, NULL, NULL));
  assert_string_equal(left, "");
  harness_remove("many");
}

static void test_remove_in_time(void **state) {
  g_autofree char *before = harness_leftovers();
  g_autoptr(Grpc__Spec) spec =
      harness_document("exec sleep 10000",
                       "{\"hooks\": {\"poststop\": [{\"path\": \"/bin/busybox\", \"args\": [\"sh\", \"-c\", "
                       "\"while read x; do :; done; sleep 3\"], \"env\": [\"PATH=/bin:/usr/bin\"]}]}}");
  harness_create_spec("slow", spec);
  harness_start_container("slow");
  Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"slow";
  request.timeout = 1;
  harness_must_fail("RemoveContainer", &request.base, TTRPC_DEADLINE_EXCEEDED, "ETIME");
  /* It goes on, and the next one waits for it. */
  request.timeout = 60;
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *reply = harness_call("RemoveContainer", &request.base, &error);
  if (reply)
    protobuf_c_message_free_unpacked(reply, NULL);
  else
    assert_non_null(strstr(error->message, "nvalid container id"));
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
}

static void test_resize_before_start(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("stty size");
  spec->process->terminal = TRUE;
  harness_create_spec("tty", spec);
  Grpc__TtyWinResizeRequest resize = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
  resize.container_id = (char *)"tty";
  resize.row = 21;
  resize.column = 43;
  harness_must("TtyWinResize", &resize.base);
  resize.column = 65536 + 44;
  harness_must_fail("TtyWinResize", &resize.base, TTRPC_INVALID_ARGUMENT, "21 rows and 65580 columns is too large");
  harness_start_container("tty");
  g_autoptr(GString) out = harness_read_all("tty", "", FALSE);
  assert_string_equal(out->str, "21 43\r\n");
  harness_remove("tty");
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_two_clients),
      cmocka_unit_test(test_client_gone_in_write),
      cmocka_unit_test(test_kill_all),
      cmocka_unit_test(test_remove_in_time),
      cmocka_unit_test(test_resize_before_start),
      cmocka_unit_test(test_thirty_in_flight),
  };
  return cmocka_run_group_tests_name("agent-contracts", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
