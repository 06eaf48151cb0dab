// SPDX-License-Identifier: LGPL-2.1-or-later
/* Client and server together, and the client against a peer that writes frames by hand. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "ttrpc-fixture.h"

#define MANY_THREADS 8
#define MANY_CALLS 200

static TtrpcClient *connect_client(Fixture *fixture) {
  return ttrpc_client_new(fixture_connect(fixture, TTRPC_STREAM_SOCKET), TTRPC_STREAM_SOCKET);
}

/* A client whose peer is *ret_peer. */
static TtrpcClient *make_raw_client(int *ret_peer) {
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  *ret_peer = pair[1];
  return ttrpc_client_new(pair[0], TTRPC_STREAM_SOCKET);
}

static void assert_error(GError **error, kata_error_code code, const char *text) {
  assert_non_null(*error);
  if (strcmp((*error)->message, text) != 0) print_error("message: %s\n", (*error)->message);
  assert_true(g_error_matches(*error, KATA_ERROR, (gint)code));
  assert_string_equal((*error)->message, text);
  g_clear_error(error);
}

static void test_call(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  g_autoptr(GError) error = NULL;
  Grpc__HealthCheckResponse *reply = call_check(client, "", 0, &error);
  assert_non_null(reply);
  assert_int_equal(reply->status, GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
  grpc__health_check_response__free_unpacked(reply, NULL);
  assert_echo(client, "");
  assert_echo(client, "a text");
  reply = call_check(client, "thread", 0, &error);
  assert_non_null(reply);
  grpc__health_check_response__free_unpacked(reply, NULL);
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  assert_true(ttrpc_client_invoke(client, &grpc__health__descriptor, "Check", &request.base, 0, NULL, &error));
}

static void test_failures(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  g_autoptr(GError) error = NULL;
  assert_null(call_check(client, "fail:5:no such container", 0, &error));
  assert_error(&error, KATA_ERR_NOT_FOUND, "no such container");
  assert_null(call_check(client, "fail:14:", 0, &error));
  assert_error(&error, KATA_ERR_UNAVAILABLE, "'grpc.Health/Check' failed with status code 14");
  assert_null(call_check(client, "fail:0:zero is no failure", 0, &error));
  assert_error(&error, KATA_ERR_IO, "zero is no failure");
  assert_null(call_check(client, "fail:2:broken \xff text", 0, &error));
  assert_error(&error, KATA_ERR_IO, "broken \xef\xbf\xbd text");
  assert_null(call_check(client, "error", 0, &error));
  assert_error(&error, KATA_ERR_NOT_FOUND, "no such thing 'error'\nlooked everywhere");
  assert_null(call_check(client, "wrong", 0, &error));
  assert_error(&error, KATA_ERR_INTERNAL,
               "method 'Check' answered with a message of type 'grpc.CheckRequest' in place of "
               "'grpc.HealthCheckResponse'");
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  assert_false(ttrpc_client_invoke(client, &grpc__health__descriptor, "Nothing", &request.base, 0, NULL, &error));
  assert_error(&error, KATA_ERR_INVALID_ARGUMENT, "service 'grpc.Health' has no method 'Nothing'");
  assert_false(
      ttrpc_client_invoke(client, &grpc__agent_service__descriptor, "WriteStdin", &request.base, 0, NULL, &error));
  assert_error(&error, KATA_ERR_INVALID_ARGUMENT,
               "'grpc.AgentService/WriteStdin' takes a 'grpc.WriteStreamRequest', not a 'grpc.CheckRequest'");
  assert_false(ttrpc_client_call(client, "grpc.Other", "Check", &request.base, NULL, 0, NULL, &error));
  assert_error(&error, KATA_ERR_UNSUPPORTED, "service grpc.Other");
  assert_false(ttrpc_client_call(client, "grpc.Health", "Other", &request.base, NULL, 0, NULL, &error));
  assert_error(&error, KATA_ERR_UNSUPPORTED, "method Other");
  assert_echo(client, "still there");
}

typedef struct {
  TtrpcClient *client;
  int number;
} Caller;

static gpointer call_many(gpointer data) {
  const Caller *caller = data;
  for (int i = 0; i < MANY_CALLS; i++) {
    g_autofree char *text = g_strdup_printf("thread %d call %d", caller->number, i);
    assert_echo(caller->client, text);
    if (i % 10 == caller->number % 10) {
      Grpc__HealthCheckResponse *reply = call_check(caller->client, i % 20 < 10 ? "late:3" : "thread", 10000, NULL);
      g_assert_nonnull(reply);
      grpc__health_check_response__free_unpacked(reply, NULL);
    }
  }
  return NULL;
}

static void run_many(TtrpcClient *client) {
  Caller callers[MANY_THREADS];
  GThread *threads[MANY_THREADS];
  for (int i = 0; i < MANY_THREADS; i++) {
    callers[i] = (Caller){client, i};
    threads[i] = g_thread_new("caller", call_many, &callers[i]);
  }
  for (int i = 0; i < MANY_THREADS; i++) g_thread_join(threads[i]);
}

static void test_concurrent_calls(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  run_many(client);
  /* An answer may be here before the thread that gave it has let go of the call. */
  for (int i = 0; i < 1000 && fixture_count_calls(fixture) > 0; i++) g_usleep(1000);
  assert_int_equal(fixture_count_calls(fixture), 0);
}

static gpointer pump(gpointer data) {
  ttrpc_client_pump(data);
  return NULL;
}

static void test_concurrent_calls_with_a_pump(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  GThread *thread = g_thread_new("pump", pump, client);
  run_many(client);
  fixture_end_server(fixture);
  g_thread_join(thread);
  g_autoptr(GError) error = NULL;
  assert_null(call_check(client, "", 0, &error));
  assert_error(&error, KATA_ERR_UNAVAILABLE, "cannot call 'grpc.Health/Check': the peer has closed the connection");
}

static void test_timeout(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  g_autoptr(GError) error = NULL;
  gint64 start = g_get_monotonic_time();
  assert_null(call_check(client, "hold", 50, &error));
  gint64 took_ms = (g_get_monotonic_time() - start) / 1000;
  assert_true(took_ms >= 49 && took_ms < 2000);
  /* Either the client's own clock or the server's answer was first. */
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_TIMEOUT));
  wait_for_count(&fixture->gone, 1);
  assert_int_equal(fixture_count_calls(fixture), 1);
  fixture_release(fixture);
  assert_int_equal(fixture_count_calls(fixture), 0);
  assert_echo(client, "the late answer hurts nobody");
}

static void test_own_clock(void **state) {
  int peer;
  g_autoptr(TtrpcClient) client = make_raw_client(&peer);
  g_autoptr(GError) error = NULL;
  assert_null(call_check(client, "", 20, &error));
  assert_error(&error, KATA_ERR_TIMEOUT, "'grpc.Health/Check' was not answered within 20 ms");
  g_auto(TtrpcFrame) frame = {0};
  assert_true(raw_read_frame(peer, &frame));
  /* "grpc.Health", "Check", no payload, timeout_nano 20000000. */
  const guint8 expected[] =
      "\x0a\x0bgrpc.Health\x12\x05"
      "Check\x20\x80\xda\xc4\x09";
  assert_int_equal(frame.length, sizeof(expected) - 1);
  assert_memory_equal(frame.body, expected, sizeof(expected) - 1);
  assert_int_equal(frame.stream_id, 1);
  assert_int_equal(frame.type, 1);
  close(peer);
}

typedef struct {
  TtrpcClient *client;
  const char *command;
  gint64 timeout_ms;
  GError *error;
  gboolean ok;
} PendingCall;

static gpointer run_pending(gpointer data) {
  PendingCall *call = data;
  Grpc__HealthCheckResponse *reply = call_check(call->client, call->command, call->timeout_ms, &call->error);
  call->ok = reply != NULL;
  if (reply != NULL) grpc__health_check_response__free_unpacked(reply, NULL);
  return NULL;
}

#define PENDING 5

static void start_pending(TtrpcClient *client, PendingCall calls[PENDING], GThread *threads[PENDING]) {
  for (int i = 0; i < PENDING; i++) {
    calls[i] = (PendingCall){.client = client, .command = "hold"};
    threads[i] = g_thread_new("pending", run_pending, &calls[i]);
  }
}

static void expect_all_fail(PendingCall calls[PENDING], GThread *threads[PENDING], const char *text) {
  for (int i = 0; i < PENDING; i++) {
    g_thread_join(threads[i]);
    assert_false(calls[i].ok);
    assert_error(&calls[i].error, KATA_ERR_UNAVAILABLE, text);
  }
}

static void test_peer_loss_fails_pending_calls(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  PendingCall calls[PENDING];
  GThread *threads[PENDING];
  start_pending(client, calls, threads);
  wait_for_held(fixture, PENDING);
  gint64 start = g_get_monotonic_time();
  fixture_end_server(fixture);
  expect_all_fail(calls, threads, "cannot call 'grpc.Health/Check': the peer has closed the connection");
  assert_true(g_get_monotonic_time() - start < G_TIME_SPAN_SECOND);
  assert_int_equal(fixture->gone, PENDING);
}

static void test_close_fails_pending_calls(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  PendingCall calls[PENDING];
  GThread *threads[PENDING];
  start_pending(client, calls, threads);
  wait_for_held(fixture, PENDING);
  ttrpc_client_close(client, "the sandbox was stopped");
  ttrpc_client_close(client, NULL);
  expect_all_fail(calls, threads, "cannot call 'grpc.Health/Check': the sandbox was stopped");
  wait_for_count(&fixture->gone, PENDING);
  wait_for_count(&fixture->closed, 1);
  assert_int_equal(fixture_count_connections(fixture), 0);
}

static void test_answers_before_the_end_count(void **state) {
  int peer;
  g_autoptr(TtrpcClient) client = make_raw_client(&peer);
  PendingCall call = {.client = client, .command = ""};
  GThread *thread = g_thread_new("pending", run_pending, &call);
  g_auto(TtrpcFrame) frame = {0};
  assert_true(raw_read_frame(peer, &frame));
  /* An answer without a body is success. Frames of unknown ids and types are passed over. */
  raw_write_frame(peer, 77, TTRPC_FRAME_RESPONSE, "\x12\x00", 2);
  raw_write_frame(peer, 1, TTRPC_FRAME_RESPONSE, NULL, 0);
  close(peer);
  g_thread_join(thread);
  assert_true(call.ok);
}

static void test_odd_answers(void **state) {
  const struct {
    guint8 type;
    const char *body;
    gsize size;
    gboolean ok;
    const char *text;
  } cases[] = {
      /* status: absent, empty, code 0 */
      {TTRPC_FRAME_RESPONSE, "\x12\x02\x08\x01", 4, TRUE, NULL},
      {TTRPC_FRAME_RESPONSE, "\x0a\x00", 2, TRUE, NULL},
      {TTRPC_FRAME_RESPONSE, "\x0a\x02\x08\x00", 4, TRUE, NULL},
      /* an unknown field is skipped */
      {TTRPC_FRAME_RESPONSE, "\x78\x05\x12\x00", 4, TRUE, NULL},
      {TTRPC_FRAME_RESPONSE, "\x0a\x7f", 2, FALSE, "the answer to 'grpc.Health/Check' is malformed"},
      {TTRPC_FRAME_RESPONSE, "\x12\x01\xff", 3, FALSE,
       "the answer to 'grpc.Health/Check' is not a grpc.HealthCheckResponse"},
      {TTRPC_FRAME_DATA, "", 0, FALSE, "the answer to 'grpc.Health/Check' is malformed"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    int peer;
    g_autoptr(TtrpcClient) client = make_raw_client(&peer);
    PendingCall call = {.client = client, .command = ""};
    GThread *thread = g_thread_new("pending", run_pending, &call);
    raw_write_frame(peer, 1, cases[i].type, cases[i].body, cases[i].size);
    g_thread_join(thread);
    assert_int_equal(call.ok, cases[i].ok);
    if (!call.ok) assert_error(&call.error, KATA_ERR_IO, cases[i].text);
    close(peer);
  }
}

static void test_a_stranger_is_told_at_once(void **state) {
  int peer;
  g_autoptr(TtrpcClient) client = make_raw_client(&peer);
  PendingCall call = {.client = client, .command = ""};
  GThread *thread = g_thread_new("pending", run_pending, &call);
  raw_write(peer, "H", 1);
  g_thread_join(thread);
  assert_error(&call.error, KATA_ERR_UNAVAILABLE,
               "cannot call 'grpc.Health/Check': the peer sent something that is not ttRPC");
  close(peer);
}

static void test_oversize_request(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  g_autofree char *text = g_strnfill(TTRPC_MAX_BODY, 'a');
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  request.service = text;
  g_autoptr(GError) error = NULL;
  assert_false(ttrpc_client_invoke(client, &grpc__health__descriptor, "Version", &request.base, 0, NULL, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED));
  assert_non_null(strstr(error->message, "exceed maximum message size of 4194304"));
  /* Exactly the limit: "grpc.Health" and "Version" with 2 bytes before each, 5 bytes before the payload and before the
   * text in it, and a time-out of 6 bytes. */
  gsize envelope = 13 + 9 + 5 + 5 + 6;
  text[TTRPC_MAX_BODY - envelope] = '\0';
  assert_echo(client, text);
}

static void test_oversize_answers(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcClient) client = connect_client(fixture);
  Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
  request.len = TTRPC_MAX_BODY;
  g_autoptr(GError) error = NULL;
  /* Our server replaces an answer that is too long by a status. */
  assert_false(
      ttrpc_client_invoke(client, &grpc__agent_service__descriptor, "ReadStdout", &request.base, 0, NULL, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED));
  assert_string_equal(error->message, "message length 4194314 exceed maximum message size of 4194304");
  request.len = TTRPC_MAX_BODY - 10;
  ProtobufCMessage *reply = NULL;
  assert_true(
      ttrpc_client_invoke(client, &grpc__agent_service__descriptor, "ReadStdout", &request.base, 0, &reply, NULL));
  assert_int_equal(((Grpc__ReadStreamResponse *)reply)->data.len, TTRPC_MAX_BODY - 10);
  protobuf_c_message_free_unpacked(reply, NULL);
}

static gpointer answer_oversize(gpointer data) {
  int peer = GPOINTER_TO_INT(data);
  g_autofree guint8 *body = g_malloc0(TTRPC_MAX_BODY + 1);
  raw_write_frame(peer, 1, TTRPC_FRAME_RESPONSE, body, TTRPC_MAX_BODY + 1);
  g_auto(TtrpcFrame) first = {0}, second = {0};
  g_assert(raw_read_frame(peer, &first) && raw_read_frame(peer, &second));
  raw_write_frame(peer, 3, TTRPC_FRAME_RESPONSE, NULL, 0);
  return NULL;
}

static void test_an_oversize_answer_is_passed_over(void **state) {
  int peer;
  g_autoptr(TtrpcClient) client = make_raw_client(&peer);
  g_autoptr(GError) error = NULL;

  GThread *thread = g_thread_new("peer", answer_oversize, GINT_TO_POINTER(peer));
  assert_null(call_check(client, "", 0, &error));
  assert_error(&error, KATA_ERR_RESOURCE_EXHAUSTED,
               "cannot take the answer to 'grpc.Health/Check': message length 4194305 exceed maximum message size of "
               "4194304");
  Grpc__HealthCheckResponse *reply = call_check(client, "", 0, &error);
  assert_non_null(reply);
  grpc__health_check_response__free_unpacked(reply, NULL);
  g_thread_join(thread);
  close(peer);
}

typedef struct {
  int fd;
  const GByteArray *body;
} Job;

static gpointer write_answer(gpointer data) {
  const Job *job = data;
  raw_write_frame(job->fd, 1, TTRPC_FRAME_RESPONSE, job->body->data, job->body->len);
  return NULL;
}

/* Answers that a short message is blown up into are limited, too. */
static void test_expanding_answer(void **state) {
  int peer;
  g_autoptr(TtrpcClient) client = make_raw_client(&peer);
  g_autoptr(GByteArray) body = g_byte_array_new();
  gsize entries = 1u << 20;
  gsize size = 2 * entries;
  const guint8 start[] = {0x12, (guint8)(size | 0x80), (guint8)(size >> 7 | 0x80), (guint8)(size >> 14 | 0x80),
                          (guint8)(size >> 21)};
  g_byte_array_append(body, start, sizeof(start));
  for (gsize i = 0; i < entries; i++) g_byte_array_append(body, (const guint8 *)"\x0a\x00", 2);
  Job job = {peer, body};
  GThread *thread = g_thread_new("peer", write_answer, &job);
  Grpc__ListInterfacesRequest request = GRPC__LIST_INTERFACES_REQUEST__INIT;
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *reply = NULL;
  assert_false(ttrpc_client_invoke(client, &grpc__agent_service__descriptor, "ListInterfaces", &request.base, 0, &reply,
                                   &error));
  assert_error(&error, KATA_ERR_IO, "the answer to 'grpc.AgentService/ListInterfaces' is not a grpc.Interfaces");
  g_thread_join(thread);
  close(peer);
}

/* Writes an answer longer than all buffers before it reads anything, and only then reads the request, which is longer
 * than all buffers, too: whoever writes must read meanwhile. */
static gpointer write_before_reading(gpointer data) {
  int peer = GPOINTER_TO_INT(data);
  g_autofree guint8 *body = g_malloc0(TTRPC_MAX_BODY);
  body[0] = 0x7a; /* unknown field 15, length-delimited, 4194299 bytes */
  body[1] = 0xfb;
  body[2] = body[3] = 0xff;
  body[4] = 0x01;
  /* Not before the call is known. */
  struct pollfd request_comes = {.fd = peer, .events = POLLIN};
  g_assert(poll(&request_comes, 1, 20000) == 1);
  raw_write_frame(peer, 1, TTRPC_FRAME_RESPONSE, body, TTRPC_MAX_BODY);
  g_auto(TtrpcFrame) request = {0};
  g_assert(raw_read_frame(peer, &request));
  g_assert(request.length > 4000000);
  return NULL;
}

static void test_both_write_first(void **state) {
  for (int with_pump = 0; with_pump < 2; with_pump++) {
    int peer;
    g_autoptr(TtrpcClient) client = make_raw_client(&peer);
    GThread *pump_thread = with_pump ? g_thread_new("pump", pump, client) : NULL;
    GThread *thread = g_thread_new("peer", write_before_reading, GINT_TO_POINTER(peer));
    g_autofree char *text = g_strnfill(4000000, 'a');
    g_autoptr(GError) error = NULL;
    Grpc__HealthCheckResponse *reply = call_check(client, text, 20000, &error);
    if (error != NULL) print_error("%s\n", error->message);
    assert_non_null(reply);
    grpc__health_check_response__free_unpacked(reply, NULL);
    g_thread_join(thread);
    close(peer);
    if (pump_thread != NULL) g_thread_join(pump_thread);
  }
}

/* The reader's time is up while another caller is stuck writing: that one must take the reading over. */
static gpointer answer_first_then_read(gpointer data) {
  int peer = GPOINTER_TO_INT(data);
  g_auto(TtrpcFrame) first = {0}, second = {0};
  g_assert(raw_read_frame(peer, &first));
  g_usleep(150000);
  g_autofree guint8 *body = g_malloc0(TTRPC_MAX_BODY + 1);
  raw_write_frame(peer, 99, TTRPC_FRAME_RESPONSE, body, TTRPC_MAX_BODY + 1);
  g_assert(raw_read_frame(peer, &second));
  raw_write_frame(peer, 3, TTRPC_FRAME_RESPONSE, NULL, 0);
  return NULL;
}

static void test_a_stuck_writer_takes_over_reading(void **state) {
  int peer;
  g_autoptr(TtrpcClient) client = make_raw_client(&peer);
  GThread *peer_thread = g_thread_new("peer", answer_first_then_read, GINT_TO_POINTER(peer));
  PendingCall reader = {.client = client, .command = "", .timeout_ms = 80};
  GThread *reader_thread = g_thread_new("reader", run_pending, &reader);
  g_usleep(30000);
  g_autofree char *text = g_strnfill(4000000, 'a');
  PendingCall writer = {.client = client, .command = text, .timeout_ms = 20000};
  run_pending(&writer);
  assert_true(writer.ok);
  g_thread_join(reader_thread);
  assert_true(g_error_matches(reader.error, KATA_ERROR, KATA_ERR_TIMEOUT));
  g_clear_error(&reader.error);
  g_thread_join(peer_thread);
  close(peer);
}

/* A call that gives up in the middle of its frame leaves the rest for the next one to write. */
static void test_time_is_up_while_writing(void **state) {
  int peer;
  g_autoptr(TtrpcClient) client = make_raw_client(&peer);
  g_autofree char *text = g_strnfill(4000000, 'a');
  g_autoptr(GError) error = NULL;
  assert_null(call_check(client, text, 50, &error));
  assert_error(&error, KATA_ERR_TIMEOUT, "'grpc.Health/Check' was not answered within 50 ms");
  /* Neither the next one can be written in time; of it nothing must be left. */
  assert_null(call_check(client, "never sent", 20, &error));
  assert_error(&error, KATA_ERR_TIMEOUT, "'grpc.Health/Check' was not answered within 20 ms");
  PendingCall call = {.client = client, .command = "short", .timeout_ms = 20000};
  GThread *thread = g_thread_new("pending", run_pending, &call);
  g_auto(TtrpcFrame) first = {0}, second = {0};
  assert_true(raw_read_frame(peer, &first));
  assert_int_equal(first.stream_id, 1);
  assert_true(first.length > 4000000);
  assert_true(raw_read_frame(peer, &second));
  assert_int_equal(second.stream_id, 3);
  raw_write_frame(peer, 1, TTRPC_FRAME_RESPONSE, NULL, 0);
  raw_write_frame(peer, 3, TTRPC_FRAME_RESPONSE, NULL, 0);
  g_thread_join(thread);
  assert_true(call.ok);
  close(peer);
}

static void test_close_while_writing(void **state) {
  int peer;
  g_autoptr(TtrpcClient) client = make_raw_client(&peer);
  g_autofree char *text = g_strnfill(4000000, 'a');
  PendingCall calls[2] = {{.client = client, .command = text}, {.client = client, .command = text}};
  GThread *threads[2];
  for (int i = 0; i < 2; i++) threads[i] = g_thread_new("pending", run_pending, &calls[i]);
  g_usleep(30000);
  ttrpc_client_close(client, "enough");
  for (int i = 0; i < 2; i++) {
    g_thread_join(threads[i]);
    assert_error(&calls[i].error, KATA_ERR_UNAVAILABLE, "cannot call 'grpc.Health/Check': enough");
  }
  close(peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_call),
      cmocka_unit_test(test_failures),
      cmocka_unit_test(test_concurrent_calls),
      cmocka_unit_test(test_concurrent_calls_with_a_pump),
      cmocka_unit_test(test_timeout),
      cmocka_unit_test(test_own_clock),
      cmocka_unit_test(test_peer_loss_fails_pending_calls),
      cmocka_unit_test(test_close_fails_pending_calls),
      cmocka_unit_test(test_answers_before_the_end_count),
      cmocka_unit_test(test_odd_answers),
      cmocka_unit_test(test_a_stranger_is_told_at_once),
      cmocka_unit_test(test_oversize_request),
      cmocka_unit_test(test_oversize_answers),
      cmocka_unit_test(test_an_oversize_answer_is_passed_over),
      cmocka_unit_test(test_expanding_answer),
      cmocka_unit_test(test_both_write_first),
      cmocka_unit_test(test_a_stuck_writer_takes_over_reading),
      cmocka_unit_test(test_time_is_up_while_writing),
      cmocka_unit_test(test_close_while_writing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
