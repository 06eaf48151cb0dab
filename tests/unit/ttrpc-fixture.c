// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ttrpc-fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

static void on_gone(TtrpcCall *call, gpointer data) { g_atomic_int_inc(&((Fixture *)data)->gone); }

static void answer_serving(TtrpcCall *call) {
  Grpc__HealthCheckResponse reply = GRPC__HEALTH_CHECK_RESPONSE__INIT;
  reply.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
  ttrpc_call_reply(call, &reply.base);
}

static gpointer answer_in_thread(gpointer call) {
  g_usleep(1000);
  answer_serving(call);
  return NULL;
}

static gboolean answer_late(gpointer call) {
  answer_serving(call);
  return G_SOURCE_REMOVE;
}

static void check(TtrpcCall *call, const ProtobufCMessage *message, gpointer data) {
  Fixture *fixture = data;
  const char *command = ((const Grpc__CheckRequest *)message)->service;
  g_atomic_int_inc(&fixture->handled);
  ttrpc_call_set_gone_func(call, on_gone, fixture);
  if (strcmp(command, "hold") == 0) {
    g_mutex_lock(&fixture->lock);
    g_queue_push_tail(&fixture->held, call);
    g_mutex_unlock(&fixture->lock);
  } else if (strcmp(command, "thread") == 0) {
    g_queue_push_tail(&fixture->threads, g_thread_new("answer", answer_in_thread, call));
  } else if (g_str_has_prefix(command, "late:")) {
    g_autoptr(GSource) source = g_timeout_source_new((guint)atoi(command + strlen("late:")));
    g_source_set_callback(source, answer_late, call, NULL);
    g_source_attach(source, fixture->context);
  } else if (g_str_has_prefix(command, "fail:")) {
    ttrpc_call_fail(call, atoi(command + strlen("fail:")), "%s", strrchr(command, ':') + 1);
  } else if (strcmp(command, "error") == 0) {
    g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_NOT_FOUND, "no such thing '%s'", command);
    error_append_detail(error, "looked everywhere");
    ttrpc_call_fail_error(call, error);
  } else if (strcmp(command, "wrong") == 0) {
    ttrpc_call_reply(call, message);
  } else {
    answer_serving(call);
  }
}

static void version(TtrpcCall *call, const ProtobufCMessage *message, gpointer data) {
  g_atomic_int_inc(&((Fixture *)data)->handled);
  Grpc__VersionCheckResponse reply = GRPC__VERSION_CHECK_RESPONSE__INIT;
  reply.agent_version = ((const Grpc__CheckRequest *)message)->service;
  ttrpc_call_reply(call, &reply.base);
}

static void write_stdin(TtrpcCall *call, const ProtobufCMessage *message, gpointer data) {
  Fixture *fixture = data;
  const Grpc__WriteStreamRequest *request = (const Grpc__WriteStreamRequest *)message;
  g_string_append_len(fixture->written, (const char *)request->data.data, (gssize)request->data.len);
  Grpc__WriteStreamResponse reply = GRPC__WRITE_STREAM_RESPONSE__INIT;
  reply.len = (guint32)request->data.len;
  ttrpc_call_reply(call, &reply.base);
}

static void read_stdout(TtrpcCall *call, const ProtobufCMessage *message, gpointer data) {
  const Grpc__ReadStreamRequest *request = (const Grpc__ReadStreamRequest *)message;
  g_autofree guint8 *bytes = g_malloc(request->len);
  memset(bytes, 'x', request->len);
  ttrpc_call_reply_bytes(call, 1, bytes, request->len);
}

static const TtrpcMethod health_methods[] = {{"Check", check}, {"Version", version}, {NULL, NULL}};
static const TtrpcMethod agent_methods[] = {{"WriteStdin", write_stdin}, {"ReadStdout", read_stdout}, {NULL, NULL}};

static gpointer run_loop(gpointer data) {
  Fixture *fixture = data;
  g_main_context_push_thread_default(fixture->context);
  g_main_loop_run(fixture->loop);
  g_main_context_pop_thread_default(fixture->context);
  return NULL;
}

static void count_closed(gpointer data) { g_atomic_int_inc((gint *)data); }

Fixture *fixture_new(void) {
  Fixture *fixture = g_new0(Fixture, 1);
  fixture->context = g_main_context_new();
  fixture->loop = g_main_loop_new(fixture->context, FALSE);
  fixture->written = g_string_new(NULL);
  g_mutex_init(&fixture->lock);
  g_queue_init(&fixture->held);
  g_queue_init(&fixture->threads);
  fixture->server = ttrpc_server_new(fixture->context);
  ttrpc_server_add_service(fixture->server, &grpc__health__descriptor, health_methods, fixture);
  ttrpc_server_add_service(fixture->server, &grpc__agent_service__descriptor, agent_methods, fixture);
  ttrpc_server_set_closed_func(fixture->server, count_closed, &fixture->closed);
  fixture->thread = g_thread_new("server", run_loop, fixture);
  return fixture;
}

typedef struct {
  Fixture *fixture;
  void (*func)(Fixture *, gpointer);
  gpointer data;
  GMutex lock;
  GCond cond;
  gboolean is_done;
} Task;

static gboolean run_task(gpointer data) {
  Task *task = data;
  task->func(task->fixture, task->data);
  g_mutex_lock(&task->lock);
  task->is_done = TRUE;
  g_cond_signal(&task->cond);
  g_mutex_unlock(&task->lock);
  return G_SOURCE_REMOVE;
}

void fixture_run(Fixture *fixture, void (*func)(Fixture *, gpointer), gpointer data) {
  Task task = {.fixture = fixture, .func = func, .data = data};
  g_mutex_init(&task.lock);
  g_cond_init(&task.cond);
  g_autoptr(GSource) source = g_idle_source_new();
  g_source_set_priority(source, G_PRIORITY_DEFAULT);
  g_source_set_callback(source, run_task, &task, NULL);
  g_source_attach(source, fixture->context);
  g_mutex_lock(&task.lock);
  while (!task.is_done) g_cond_wait(&task.cond, &task.lock);
  g_mutex_unlock(&task.lock);
  g_cond_clear(&task.cond);
  g_mutex_clear(&task.lock);
}

typedef struct {
  int fd;
  TtrpcStreamKind kind;
} Stream;

static void add_stream(Fixture *fixture, gpointer data) {
  const Stream *stream = data;
  ttrpc_server_add_stream(fixture->server, stream->fd, stream->kind);
}

void fixture_add_stream(Fixture *fixture, int fd, TtrpcStreamKind kind) {
  Stream stream = {fd, kind};
  fixture_run(fixture, add_stream, &stream);
}

int fixture_connect(Fixture *fixture, TtrpcStreamKind kind) {
  int pair[2];
  g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  fixture_add_stream(fixture, pair[1], kind);
  return pair[0];
}

static void end_server(Fixture *fixture, gpointer data) { g_clear_pointer(&fixture->server, ttrpc_server_free); }

void fixture_end_server(Fixture *fixture) { fixture_run(fixture, end_server, NULL); }

static void quit(Fixture *fixture, gpointer data) { g_main_loop_quit(fixture->loop); }

void fixture_free(Fixture *fixture) {
  fixture_end_server(fixture);
  while (fixture_count_held(fixture) > 0) fixture_release(fixture);
  fixture_run(fixture, quit, NULL);
  g_thread_join(fixture->thread);
  GThread *answering;
  while ((answering = g_queue_pop_head(&fixture->threads)) != NULL) g_thread_join(answering);
  g_main_loop_unref(fixture->loop);
  g_main_context_unref(fixture->context);
  g_string_free(fixture->written, TRUE);
  g_mutex_clear(&fixture->lock);
  g_free(fixture);
}

guint fixture_count_held(Fixture *fixture) {
  g_mutex_lock(&fixture->lock);
  guint count = fixture->held.length;
  g_mutex_unlock(&fixture->lock);
  return count;
}

void fixture_release(Fixture *fixture) {
  g_mutex_lock(&fixture->lock);
  TtrpcCall *call = g_queue_pop_head(&fixture->held);
  g_mutex_unlock(&fixture->lock);
  answer_serving(call);
}

static void count_calls(Fixture *fixture, gpointer data) { *(guint *)data = ttrpc_server_count_calls(fixture->server); }

guint fixture_count_calls(Fixture *fixture) {
  guint count = 0;
  fixture_run(fixture, count_calls, &count);
  return count;
}

static void count_connections(Fixture *fixture, gpointer data) {
  *(guint *)data = ttrpc_server_count_connections(fixture->server);
}

guint fixture_count_connections(Fixture *fixture) {
  guint count = 0;
  fixture_run(fixture, count_connections, &count);
  return count;
}

void wait_for_count(gint *counter, gint value) {
  for (int i = 0; i < 10000 && g_atomic_int_get(counter) < value; i++) g_usleep(1000);
  assert_true(g_atomic_int_get(counter) >= value);
}

void wait_for_held(Fixture *fixture, guint count) {
  for (int i = 0; i < 10000 && fixture_count_held(fixture) < count; i++) g_usleep(1000);
  assert_int_equal(fixture_count_held(fixture), count);
}

void raw_write(int fd, const void *bytes, gsize size) { assert_true(fd_write_all(fd, bytes, size)); }

void raw_write_frame(int fd, guint32 stream_id, guint8 type, const void *body, gsize size) {
  guint8 header[TTRPC_HEADER_SIZE] = {
      (guint8)(size >> 24),      (guint8)(size >> 16),     (guint8)(size >> 8), (guint8)size, (guint8)(stream_id >> 24),
      (guint8)(stream_id >> 16), (guint8)(stream_id >> 8), (guint8)stream_id,   type,         0};
  raw_write(fd, header, sizeof(header));
  if (size > 0) raw_write(fd, body, size);
}

static void append_field(GByteArray *body, guint8 tag, const void *bytes, gsize size) {
  g_assert(size < 0x80);
  const guint8 start[] = {tag, (guint8)size};
  g_byte_array_append(body, start, sizeof(start));
  g_byte_array_append(body, bytes, (guint)size);
}

GByteArray *raw_check_body(const char *command) {
  g_autoptr(GByteArray) payload = g_byte_array_new();
  append_field(payload, 0x0a, command, strlen(command));
  GByteArray *body = g_byte_array_new();
  append_field(body, 0x0a, "grpc.Health", strlen("grpc.Health"));
  append_field(body, 0x12, "Check", strlen("Check"));
  append_field(body, 0x1a, payload->data, payload->len);
  return body;
}

void raw_write_check(int fd, guint32 stream_id, const char *command) {
  g_autoptr(GByteArray) body = raw_check_body(command);
  raw_write_frame(fd, stream_id, TTRPC_FRAME_REQUEST, body->data, body->len);
}

gboolean raw_read_frame(int fd, TtrpcFrame *frame) {
  guint8 header[TTRPC_HEADER_SIZE];
  if (fd_read_all(fd, header, sizeof(header)) != sizeof(header)) return FALSE;
  ttrpc_header_decode(frame, header);
  if (frame->length > 0) {
    frame->body = g_malloc(frame->length);
    if (fd_read_all(fd, frame->body, frame->length) != frame->length) return FALSE;
  }
  return TRUE;
}

void raw_expect_status(int fd, guint32 stream_id, int code, const char *text) {
  g_auto(TtrpcFrame) frame = {0};
  assert_true(raw_read_frame(fd, &frame));
  assert_int_equal(frame.stream_id, stream_id);
  assert_int_equal(frame.type, TTRPC_FRAME_RESPONSE);
  assert_int_equal(frame.flags, 0);
  Ttrpc__Response *response = ttrpc__response__unpack(NULL, frame.length, frame.body);
  assert_non_null(response);
  assert_int_equal(response->status != NULL ? response->status->code : 0, code);
  if (text != NULL) assert_string_equal(response->status->message, text);
  if (code != 0) assert_int_equal(response->payload.len, 0);
  ttrpc__response__free_unpacked(response, NULL);
}

void raw_expect_end(int fd) {
  guint8 byte;
  ssize_t count = read(fd, &byte, 1);
  assert_true(count <= 0);
}

Grpc__HealthCheckResponse *call_check(TtrpcClient *client, const char *command, gint64 timeout_ms, GError **error) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  request.service = (char *)command;
  ProtobufCMessage *reply = NULL;
  if (!ttrpc_client_invoke(client, &grpc__health__descriptor, "Check", &request.base, timeout_ms, &reply, error))
    return NULL;
  return (Grpc__HealthCheckResponse *)reply;
}

void assert_echo(TtrpcClient *client, const char *text) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  request.service = (char *)text;
  ProtobufCMessage *reply = NULL;
  g_autoptr(GError) error = NULL;
  gboolean ok = ttrpc_client_invoke(client, &grpc__health__descriptor, "Version", &request.base, 10000, &reply, &error);
  if (!ok) g_printerr("Version failed: %s\n", error->message);
  g_assert(ok);
  g_assert_cmpstr(((Grpc__VersionCheckResponse *)reply)->agent_version, ==, text);
  protobuf_c_message_free_unpacked(reply, NULL);
}
