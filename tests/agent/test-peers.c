/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Callers that go away at the wrong moment, come in numbers, or send the longest and longer frames. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ttrpc-frame.h"
#include "tests/agent/harness.h"
#include "tests/unit/ttrpc-fixture.h"

#define BOX "peers"
#define MIB (1u << 20)
/* Long enough for a call to be on its way. */
#define STEP_US 200000

static int start(void **state) {
  harness_start();
  harness_create(BOX, "exec sleep 100000");
  harness_start_container(BOX);
  return 0;
}

static int stop(void **state) {
  harness_remove(BOX);
  harness_stop();
  return 0;
}

static int dial(void) {
  g_autoptr(GError) error = NULL;
  int fd = ttrpc_dial("unix://" HARNESS_RUN "/agent.sock", HARNESS_CALL_MS, &error);
  if (fd < 0) fail_msg("%s", error->message);
  assert_true(fd_set_nonblocking(fd, FALSE, NULL));
  return fd;
}

static void check_alive(void) {
  g_autoptr(GError) error = NULL;
  Grpc__HealthCheckResponse *reply = call_check(harness_client(), "", HARNESS_CALL_MS, &error);
  if (!reply) fail_msg("the agent does not answer any more: %s", error->message);
  grpc__health_check_response__free_unpacked(reply, NULL);
}

/* ---- gone in the middle of a write ---- */

static GByteArray *pack_frame(guint32 stream_id, const Ttrpc__Request *envelope) {
  TtrpcFrame frame = {.length = (guint32)ttrpc__request__get_packed_size(envelope),
                      .stream_id = stream_id,
                      .type = TTRPC_FRAME_REQUEST};
  GByteArray *bytes = g_byte_array_new();
  g_byte_array_set_size(bytes, TTRPC_HEADER_SIZE + frame.length);
  ttrpc_header_encode(&frame, bytes->data);
  ttrpc__request__pack(envelope, bytes->data + TTRPC_HEADER_SIZE);
  return bytes;
}

/* A WriteStdin of size bytes 'w' as a whole frame. */
static GByteArray *write_frame(const char *exec_id, gsize size) {
  Grpc__WriteStreamRequest write = GRPC__WRITE_STREAM_REQUEST__INIT;
  g_autofree guint8 *data = g_malloc(size);
  memset(data, 'w', size);
  write.container_id = (char *)BOX;
  write.exec_id = (char *)exec_id;
  write.data.data = data;
  write.data.len = size;
  Ttrpc__Request envelope = TTRPC__REQUEST__INIT;
  gsize payload_size = grpc__write_stream_request__get_packed_size(&write);
  g_autofree guint8 *payload = g_malloc(payload_size);
  grpc__write_stream_request__pack(&write, payload);
  envelope.service = (char *)"grpc.AgentService";
  envelope.method = (char *)"WriteStdin";
  envelope.payload.data = payload;
  envelope.payload.len = payload_size;
  return pack_frame(1, &envelope);
}

/* What was written in part stays a beginning of it, and the next writer goes on behind it. */
static void test_gone_while_write_waits(void **state) {
  harness_exec(BOX, "fifo", "busybox mkfifo /tmp/go");
  assert_int_equal(harness_wait(BOX, "fifo"), 0);
  harness_exec(BOX, "slow", "read go < /tmp/go; exec cat");
  g_autoptr(GByteArray) bytes = write_frame("slow", 3 * MIB);
  int fd = dial();
  raw_write(fd, bytes->data, bytes->len);
  g_usleep(STEP_US);
  close(fd);
  g_usleep(STEP_US);
  check_alive();
  harness_exec(BOX, "go", "echo > /tmp/go");
  harness_wait(BOX, "go");
  harness_write(BOX, "slow", "END\n", 4);
  harness_close_stdin(BOX, "slow");
  g_autoptr(GString) out = harness_read_all(BOX, "slow", FALSE);
  gsize n_written = strspn(out->str, "w");
  assert_true(n_written <= 3 * MIB);
  assert_string_equal(out->str + n_written, "END\n");
  assert_int_equal(harness_wait(BOX, "slow"), 0);
}

/* Nothing of a request that did not come whole is done. */
static void test_gone_in_a_frame(void **state) {
  harness_exec(BOX, "half", "exec cat");
  g_autoptr(GByteArray) bytes = write_frame("half", 1000);
  const gsize cuts[] = {1, TTRPC_HEADER_SIZE - 1, TTRPC_HEADER_SIZE, TTRPC_HEADER_SIZE + 30, bytes->len - 1};
  for (gsize i = 0; i < G_N_ELEMENTS(cuts); i++) {
    int fd = dial();
    raw_write(fd, bytes->data, cuts[i]);
    if (i % 2) {
      const struct linger reset = {1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    close(fd);
    check_alive();
  }
  harness_write(BOX, "half", "only this\n", 10);
  harness_close_stdin(BOX, "half");
  g_autoptr(GString) out = harness_read_all(BOX, "half", FALSE);
  assert_string_equal(out->str, "only this\n");
  assert_int_equal(harness_wait(BOX, "half"), 0);
}

/* ---- two at once ---- */

typedef struct {
  TtrpcClient *client;
  const char *exec_id;
  char letter;
  GString *out;
  int status;
} Caller;

static void caller_must(const Caller *caller, const char *method, const ProtobufCMessage *request,
                        ProtobufCMessage **ret_reply) {
  g_autoptr(GError) error = NULL;
  if (!ttrpc_client_invoke(caller->client, &grpc__agent_service__descriptor, method, request, HARNESS_CALL_MS,
                           ret_reply, &error)) {
    g_printerr("%s: %s\n", method, error->message);
    abort();
  }
}

#define LINES 200
#define LINE_LENGTH 3000

static gpointer write_lines(gpointer data) {
  const Caller *caller = data;
  g_autofree char *line = g_strnfill(LINE_LENGTH, caller->letter);
  line[LINE_LENGTH - 1] = '\n';
  Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
  request.container_id = (char *)BOX;
  request.exec_id = (char *)caller->exec_id;
  request.data.data = (guint8 *)line;
  request.data.len = LINE_LENGTH;
  for (int i = 0; i < LINES; i++) caller_must(caller, "WriteStdin", &request.base, NULL);
  return NULL;
}

static gpointer read_and_wait(gpointer data) {
  Caller *caller = data;
  Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
  Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
  request.container_id = wait.container_id = (char *)BOX;
  request.exec_id = wait.exec_id = (char *)caller->exec_id;
  request.len = 70000;
  for (gboolean is_end = FALSE; !is_end;) {
    ProtobufCMessage *reply = NULL;
    caller_must(caller, "ReadStdout", &request.base, &reply);
    const ProtobufCBinaryData *bytes = &((Grpc__ReadStreamResponse *)reply)->data;
    g_string_append_len(caller->out, (const char *)bytes->data, (gssize)bytes->len);
    is_end = bytes->len == 0;
    protobuf_c_message_free_unpacked(reply, NULL);
  }
  ProtobufCMessage *reply = NULL;
  caller_must(caller, "WaitProcess", &wait.base, &reply);
  caller->status = ((Grpc__WaitProcessResponse *)reply)->status;
  protobuf_c_message_free_unpacked(reply, NULL);
  return NULL;
}

static gsize count(const Caller callers[2], char letter) {
  gsize n = 0;
  for (int i = 0; i < 2; i++)
    for (const char *at = callers[i].out->str; *at; at++) n += *at == letter;
  return n;
}

/* Two connections write, two read and wait: no write is torn, no byte is lost or doubled, both learn the status. */
static void test_two_clients(void **state) {
  harness_exec(BOX, "both", "cat; exit 5");
  Caller readers[2], writers[2];
  GThread *threads[4];
  for (int i = 0; i < 2; i++) {
    readers[i] = (Caller){harness_connect(), "both", 0, g_string_new(NULL), -1};
    writers[i] = (Caller){harness_connect(), "both", (char)('a' + i), NULL, -1};
    threads[i] = g_thread_new("read", read_and_wait, &readers[i]);
    threads[2 + i] = g_thread_new("write", write_lines, &writers[i]);
  }
  for (int i = 0; i < 2; i++) g_thread_join(threads[2 + i]);
  harness_close_stdin(BOX, "both");
  for (int i = 0; i < 2; i++) g_thread_join(threads[i]);
  assert_int_equal(count(readers, 'a'), LINES * (LINE_LENGTH - 1));
  assert_int_equal(count(readers, 'b'), LINES * (LINE_LENGTH - 1));
  assert_int_equal(count(readers, '\n'), 2 * LINES);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(readers[i].status, 5);
    g_string_free(readers[i].out, TRUE);
    ttrpc_client_unref(readers[i].client);
    ttrpc_client_unref(writers[i].client);
  }
}

static void test_writes_are_not_torn(void **state) {
  harness_exec(BOX, "whole", "cat");
  Caller writers[2];
  GThread *threads[2];
  for (int i = 0; i < 2; i++) {
    writers[i] = (Caller){harness_connect(), "whole", (char)('a' + i), NULL, -1};
    threads[i] = g_thread_new("write", write_lines, &writers[i]);
  }
  Caller reader = {ttrpc_client_ref(harness_client()), "whole", 0, g_string_new(NULL), -1};
  GThread *reading = g_thread_new("read", read_and_wait, &reader);
  for (int i = 0; i < 2; i++) g_thread_join(threads[i]);
  harness_close_stdin(BOX, "whole");
  g_thread_join(reading);
  g_auto(GStrv) lines = g_strsplit(reader.out->str, "\n", -1);
  assert_int_equal(g_strv_length(lines), 2 * LINES + 1);
  for (guint i = 0; i < 2 * LINES; i++) {
    char letter[2] = {lines[i][0], '\0'};
    assert_int_equal(strspn(lines[i], letter), LINE_LENGTH - 1);
    assert_int_equal(strlen(lines[i]), LINE_LENGTH - 1);
  }
  g_string_free(reader.out, TRUE);
  ttrpc_client_unref(reader.client);
  for (int i = 0; i < 2; i++) ttrpc_client_unref(writers[i].client);
}

/* Thirty calls wait, and the thirty-first does not wait for them. */
static void test_thirty_in_flight(void **state) {
  Caller callers[30];
  GThread *threads[G_N_ELEMENTS(callers)];
  harness_exec(BOX, "thirty", "read x; exit 6");
  for (gsize i = 0; i < G_N_ELEMENTS(callers); i++) {
    callers[i] = (Caller){harness_client(), "thirty", 0, g_string_new(NULL), -1};
    threads[i] = g_thread_new("wait", read_and_wait, &callers[i]);
  }
  g_usleep(STEP_US);
  gint64 begin = g_get_monotonic_time();
  for (int i = 0; i < 100; i++) check_alive();
  gint64 took_ms = (g_get_monotonic_time() - begin) / 1000;
  assert_true(took_ms < 10000);
  harness_close_stdin(BOX, "thirty");
  for (gsize i = 0; i < G_N_ELEMENTS(callers); i++) {
    g_thread_join(threads[i]);
    assert_int_equal(callers[i].status, 6);
    g_string_free(callers[i].out, TRUE);
  }
}

/* ---- 4 MiB ---- */

/* A Check whose body is this long. */
static GByteArray *check_frame(guint32 stream_id, gsize body_size) {
  g_autofree guint8 *payload = g_malloc(body_size);
  g_autofree char *text = g_strnfill(body_size - 100, 'x');
  for (gsize added = 0; added < 100; added++) {
    Grpc__CheckRequest check = GRPC__CHECK_REQUEST__INIT;
    Ttrpc__Request envelope = TTRPC__REQUEST__INIT;
    check.service = text;
    envelope.service = (char *)"grpc.Health";
    envelope.method = (char *)"Check";
    envelope.payload.data = payload;
    envelope.payload.len = grpc__check_request__pack(&check, payload);
    gsize size = ttrpc__request__get_packed_size(&envelope);
    if (size == body_size) return pack_frame(stream_id, &envelope);
    g_free(text);
    text = g_strnfill(body_size - 100 + (body_size - size), 'x');
  }
  fail_msg("no Check has a body of %zu bytes", body_size);
  return NULL;
}

static void test_longest_frames(void **state) {
  autofd int fd = dial();
  g_autoptr(GByteArray) longest = check_frame(1, TTRPC_MAX_BODY);
  raw_write(fd, longest->data, longest->len);
  raw_expect_status(fd, 1, TTRPC_OK, NULL);
  g_autoptr(GByteArray) longer = check_frame(3, TTRPC_MAX_BODY + 1);
  raw_write(fd, longer->data, longer->len);
  raw_expect_status(fd, 3, TTRPC_RESOURCE_EXHAUSTED, NULL);
  /* The stream is still in step. */
  raw_write_check(fd, 5, "");
  raw_expect_status(fd, 5, TTRPC_OK, NULL);
  /* The longest there can be by its header, of which nothing more comes. */
  const TtrpcFrame endless = {.length = G_MAXUINT32, .stream_id = 7, .type = TTRPC_FRAME_REQUEST};
  guint8 header[TTRPC_HEADER_SIZE];
  ttrpc_header_encode(&endless, header);
  raw_write(fd, header, sizeof header);
  check_alive();
}

/* A read may ask for more than fits into an answer. */
static void test_longest_read(void **state) {
  harness_exec(BOX, "much", "dd if=/dev/zero bs=1M count=6 2>/dev/null");
  gsize total = 0;
  for (;;) {
    g_autoptr(GBytes) bytes = harness_read(BOX, "much", G_MAXUINT32);
    if (g_bytes_get_size(bytes) == 0) break;
    assert_true(g_bytes_get_size(bytes) < TTRPC_MAX_BODY);
    total += g_bytes_get_size(bytes);
  }
  assert_int_equal(total, 6 * MIB);
  assert_int_equal(harness_wait(BOX, "much"), 0);
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gone_while_write_waits),
      cmocka_unit_test(test_gone_in_a_frame),
      cmocka_unit_test(test_two_clients),
      cmocka_unit_test(test_writes_are_not_torn),
      cmocka_unit_test(test_thirty_in_flight),
      cmocka_unit_test(test_longest_frames),
      cmocka_unit_test(test_longest_read),
  };
  return cmocka_run_group_tests_name("agent-peers", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
