// SPDX-License-Identifier: LGPL-2.1-or-later
/* The server against peers that write frames by hand: what it answers to each kind of mistake, and how it bears peers
 * that vanish, flood or never read. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "ttrpc-fixture.h"

#define SOCKET TTRPC_STREAM_SOCKET

static void test_mistakes(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  raw_write_check(fd, 2, "");
  raw_expect_status(fd, 2, 3, "StreamID must be odd for client initiated streams");
  raw_write_check(fd, 0, "");
  raw_expect_status(fd, 0, 3, "StreamID must be odd for client initiated streams");
  raw_write_check(fd, 5, "");
  raw_expect_status(fd, 5, 0, NULL);
  raw_write_check(fd, 5, "");
  raw_expect_status(fd, 5, 3, "StreamID cannot be re-used and must increment");
  raw_write_check(fd, 3, "");
  raw_expect_status(fd, 3, 3, "StreamID cannot be re-used and must increment");

  const char unknown_service[] =
      "\x0a\x05other\x12\x05"
      "Check";
  raw_write_frame(fd, 7, 1, unknown_service, sizeof(unknown_service) - 1);
  raw_expect_status(fd, 7, 12, "service other");
  const char unknown_method[] = "\x0a\x0bgrpc.Health\x12\x05other";
  raw_write_frame(fd, 9, 1, unknown_method, sizeof(unknown_method) - 1);
  raw_expect_status(fd, 9, 12, "method other");
  const char unserved_method[] =
      "\x0a\x11grpc.AgentService\x12\x0a"
      "GetMetrics";
  raw_write_frame(fd, 11, 1, unserved_method, sizeof(unserved_method) - 1);
  raw_expect_status(fd, 11, 12, "method GetMetrics");
  raw_write_frame(fd, 13, 1, NULL, 0);
  raw_expect_status(fd, 13, 12, "service ");

  raw_write_frame(fd, 15, 1, "\x0a\x7f", 2);
  raw_expect_status(fd, 15, 3, "unmarshal request error: the body is not a ttrpc.Request");
  const char bad_payload[] =
      "\x0a\x0bgrpc.Health\x12\x05"
      "Check\x1a\x02\x0a\x7f";
  raw_write_frame(fd, 17, 1, bad_payload, sizeof(bad_payload) - 1);
  raw_expect_status(fd, 17, 13, "ttrpc: error unmarshalling payload: it is not a grpc.CheckRequest");

  raw_write_frame(fd, 19, 3, "data", 4);
  raw_expect_status(fd, 19, 3, "StreamID is no longer active");
  /* Frames of other types are passed over. */
  raw_write_frame(fd, 21, 2, NULL, 0);
  raw_write_frame(fd, 21, 0, NULL, 0);
  raw_write_frame(fd, 0, 0x53, "0123456789abcdef", 16);
  raw_write_check(fd, 21, "");
  raw_expect_status(fd, 21, 0, NULL);
  raw_write_check(fd, G_MAXUINT32, "");
  raw_expect_status(fd, G_MAXUINT32, 0, NULL);
  assert_int_equal(fixture->handled, 3);
}

static void test_lenient_requests(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  /* Metadata, an unknown field, an empty time-out, and flags, none of which matter. */
  const char body[] =
      "\x0a\x0bgrpc.Health\x12\x05"
      "Check\x20\x00\x2a\x08\x0a\x03key\x12\x01v\x2a\x05\x0a\x03key\x78\x01";
  raw_write_frame(fd, 1, 1, body, sizeof(body) - 1);
  raw_expect_status(fd, 1, 0, NULL);
  const guint8 header[] = {0, 0, 0, sizeof(body) - 1, 0, 0, 0, 3, 1, 0xff};
  raw_write(fd, header, sizeof(header));
  raw_write(fd, body, sizeof(body) - 1);
  raw_expect_status(fd, 3, 0, NULL);
}

static void test_bytes_one_by_one(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  g_autoptr(GByteArray) body = raw_check_body("");
  const guint8 header[] = {0, 0, 0, (guint8)body->len, 0, 0, 0, 1, 1, 0};
  g_byte_array_prepend(body, header, sizeof(header));
  for (guint i = 0; i < body->len; i++) {
    raw_write(fd, body->data + i, 1);
    g_usleep(200);
  }
  raw_expect_status(fd, 1, 0, NULL);
}

static void test_oversize(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  g_autofree guint8 *body = g_malloc0(TTRPC_MAX_BODY + 1);
  raw_write_frame(fd, 1, 1, body, TTRPC_MAX_BODY + 1);
  raw_expect_status(fd, 1, 8, "message length 4194305 exceed maximum message size of 4194304");
  raw_write_check(fd, 1, "");
  raw_expect_status(fd, 1, 0, NULL);
  /* What cannot be a length ends the connection. */
  raw_write(fd, "G", 1);
  raw_expect_end(fd);
  wait_for_count(&fixture->closed, 1);
}

static void test_out_of_order(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  raw_write_check(fd, 1, "hold");
  raw_write_check(fd, 3, "hold");
  raw_write_check(fd, 5, "late:10");
  raw_write_check(fd, 7, "");
  raw_expect_status(fd, 7, 0, NULL);
  raw_expect_status(fd, 5, 0, NULL);
  assert_int_equal(fixture_count_calls(fixture), 2);
  fixture_release(fixture);
  raw_expect_status(fd, 1, 0, NULL);
  fixture_release(fixture);
  raw_expect_status(fd, 3, 0, NULL);
  assert_int_equal(fixture_count_calls(fixture), 0);
  assert_int_equal(fixture->gone, 0);
}

/* A Check with timeout_nano: extra is the bytes of field 4. */
static void write_timed_check(int fd, guint32 id, const char *command, const void *extra, gsize size) {
  g_autoptr(GByteArray) body = raw_check_body(command);
  g_byte_array_append(body, extra, (guint)size);
  raw_write_frame(fd, id, 1, body->data, body->len);
}

static void test_deadline(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  /* 30 ms */
  write_timed_check(fd, 1, "hold", "\x20\x80\x87\xa7\x0e", 5);
  gint64 start = g_get_monotonic_time();
  raw_expect_status(fd, 1, 4, "timeout");
  gint64 took_ms = (g_get_monotonic_time() - start) / 1000;
  assert_true(took_ms >= 20 && took_ms < 5000);
  wait_for_count(&fixture->gone, 1);
  /* The handler's own answer is late, and is dropped. */
  assert_int_equal(fixture_count_calls(fixture), 1);
  fixture_release(fixture);
  assert_int_equal(fixture_count_calls(fixture), 0);

  /* In time (of 5 s). */
  write_timed_check(fd, 3, "thread", "\x20\x80\xe4\x97\xd0\x12", 6);
  raw_expect_status(fd, 3, 0, NULL);
  /* A negative time-out has passed already: the handler is not even asked. The longest one does not overflow. */
  gint handled = fixture->handled;
  write_timed_check(fd, 5, "", "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
  raw_expect_status(fd, 5, 4, "timeout");
  assert_int_equal(fixture->handled, handled);
  write_timed_check(fd, 7, "", "\x20\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10);
  raw_expect_status(fd, 7, 0, NULL);
  assert_int_equal(fixture->gone, 1);
}

static void test_data_for_a_running_call(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  raw_write_check(fd, 1, "hold");
  raw_write_frame(fd, 1, 3, "x", 1);
  raw_expect_status(fd, 1, 3, "StreamID is no longer active");
  wait_for_count(&fixture->gone, 1);
  fixture_release(fixture);
  /* The call has had its answer: the next frame is another's. */
  raw_write_check(fd, 3, "");
  raw_expect_status(fd, 3, 0, NULL);
}

static void test_lost_peer(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  int fd = fixture_connect(fixture, SOCKET);
  autofd int other = fixture_connect(fixture, SOCKET);
  raw_write_check(other, 1, "hold");
  wait_for_held(fixture, 1);
  raw_write_check(fd, 1, "hold");
  raw_write_check(fd, 3, "hold");
  raw_write(fd, "\x00\x00\x00", 3);
  wait_for_held(fixture, 3);
  close(fd);
  wait_for_count(&fixture->closed, 1);
  assert_int_equal(fixture->gone, 2);
  assert_int_equal(fixture_count_connections(fixture), 1);
  assert_int_equal(fixture_count_calls(fixture), 3);
  fixture_release(fixture);
  raw_expect_status(other, 1, 0, NULL);
  fixture_release(fixture);
  fixture_release(fixture);
  assert_int_equal(fixture_count_calls(fixture), 0);
}

static void test_half_close_is_a_close(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  raw_write_check(fd, 1, "hold");
  shutdown(fd, SHUT_WR);
  raw_expect_end(fd);
  wait_for_count(&fixture->gone, 1);
}

/* Asks for 1 MiB again and again and never reads. */
static void test_peer_that_does_not_read(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  autofd int other = fixture_connect(fixture, SOCKET);
  const char body[] = "\x0a\x11grpc.AgentService\x12\x0aReadStdout\x1a\x04\x18\x80\x80\x40";
  const guint8 header[] = {0, 0, 0, sizeof(body) - 1, 0, 0, 0, 0, 1, 0};
  guint8 frame[sizeof(header) + sizeof(body) - 1];
  memcpy(frame, header, sizeof(header));
  memcpy(frame + sizeof(header), body, sizeof(body) - 1);
  assert_true(fd_set_nonblocking(fd, TRUE, NULL));
  /* Until the server has not read from us for a while. */
  guint32 asked = 0;
  for (int idle = 0; idle < 200;) {
    guint32 id = 2 * asked + 1;
    frame[4] = (guint8)(id >> 24);
    frame[5] = (guint8)(id >> 16);
    frame[6] = (guint8)(id >> 8);
    frame[7] = (guint8)id;
    ssize_t written = send(fd, frame, sizeof(frame), MSG_NOSIGNAL);
    assert_true(written == sizeof(frame) || (written < 0 && errno == EAGAIN));
    if (written > 0) {
      asked++;
      idle = 0;
    } else {
      idle++;
      g_usleep(1000);
    }
  }
  /* Others are served all the while. */
  raw_write_check(other, 1, "");
  raw_expect_status(other, 1, 0, NULL);
  /* And it gets everything, should it begin to read. */
  assert_true(fd_set_nonblocking(fd, FALSE, NULL));
  assert_true(asked > 20);
  for (guint32 i = 0; i < 40; i++) {
    g_auto(TtrpcFrame) reply = {0};
    assert_true(raw_read_frame(fd, &reply));
    assert_int_equal(reply.stream_id, 2 * i + 1);
    assert_int_equal(reply.length, 8 + (1u << 20));
    assert_memory_equal(reply.body, "\x12\x84\x80\x40\x0a\x80\x80\x40", 8);
    for (guint32 k = 8; k < reply.length; k++) assert_int_equal(reply.body[k], 'x');
  }
}

static void test_too_many_calls(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  const guint limit = 4096;
  for (guint32 i = 0; i < limit + 1; i++) raw_write_check(fd, 2 * i + 1, "hold");
  wait_for_held(fixture, limit);
  g_usleep(20000);
  assert_int_equal(fixture_count_held(fixture), limit);
  fixture_release(fixture);
  raw_expect_status(fd, 1, 0, NULL);
  wait_for_held(fixture, limit);
  raw_write_check(fd, 2 * limit + 3, "");
  fixture_release(fixture);
  raw_expect_status(fd, 3, 0, NULL);
  raw_expect_status(fd, 2 * limit + 3, 0, NULL);
  /* Paused or not, its end is noticed. */
  raw_write_check(fd, 2 * limit + 5, "hold");
  wait_for_held(fixture, limit);
  fd_clear(&fd);
  wait_for_count(&fixture->closed, 1);
  assert_int_equal(fixture->gone, (int)limit);
}

static void test_answers_after_the_server_ended(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int fd = fixture_connect(fixture, SOCKET);
  raw_write_check(fd, 1, "hold");
  raw_write_check(fd, 3, "late:20");
  raw_write_check(fd, 5, "thread");
  wait_for_held(fixture, 1);
  fixture_end_server(fixture);
  /* The held one is answered by fixture_free(), the late one by its timer. */
  g_usleep(50000);
  assert_int_equal(fixture->closed, 0);
}

static char *make_socket_path(char **ret_directory) {
  *ret_directory = g_dir_make_tmp("ttrpc-XXXXXX", NULL);
  assert_non_null(*ret_directory);
  return g_build_filename(*ret_directory, "sock", NULL);
}

typedef struct {
  int fd;
  gboolean same_uid;
} Listen;

static void add_listener(Fixture *fixture, gpointer data) {
  Listen *listen_to = data;
  ttrpc_server_listen(fixture->server, listen_to->fd, listen_to->same_uid);
}

typedef enum { CANNOT_CONNECT = 1, NOT_ANSWERED, ANSWERED } Outcome;

typedef struct {
  uid_t uid;
  const char *address;
} Caller;

/* In a thread of its own, which alone changes its user: the system call, unlike the C library's, is for one thread. */
static gpointer call_as_thread(gpointer data) {
  const Caller *caller = data;
  g_assert(syscall(SYS_setresuid, -1, caller->uid, -1) == 0);
  autofd int fd = ttrpc_dial(caller->address, 0, NULL);
  if (fd < 0) return GINT_TO_POINTER(CANNOT_CONNECT);
  /* "grpc.Health" and "Check". The server may have hung up already. */
  const char request[] =
      "\x00\x00\x00\x14\x00\x00\x00\x01\x01\x00\x0a\x0bgrpc.Health\x12\x05"
      "Check";
  g_auto(TtrpcFrame) frame = {0};
  gboolean is_answered = fd_write_all(fd, request, sizeof(request) - 1) && raw_read_frame(fd, &frame);
  return GINT_TO_POINTER(is_answered ? ANSWERED : NOT_ANSWERED);
}

static Outcome call_as(uid_t uid, const char *address) {
  Caller caller = {uid, address};
  return GPOINTER_TO_INT(g_thread_join(g_thread_new("caller", call_as_thread, &caller)));
}

static void test_listener(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autofree char *directory = NULL;
  g_autofree char *path = make_socket_path(&directory);
  g_autofree char *address = g_strdup_printf("unix://%s", path);
  g_autoptr(GError) error = NULL;
  Listen listen_to = {.fd = ttrpc_listen(address, &error), .same_uid = TRUE};
  assert_true(listen_to.fd >= 0);
  fixture_run(fixture, add_listener, &listen_to);
  int fds[10];
  for (int i = 0; i < 10; i++) {
    fds[i] = ttrpc_dial(address, 0, &error);
    assert_true(fds[i] >= 0);
    raw_write_check(fds[i], 1, "");
  }
  for (int i = 0; i < 10; i++) {
    assert_true(fd_set_nonblocking(fds[i], FALSE, NULL));
    raw_expect_status(fds[i], 1, 0, NULL);
    close(fds[i]);
  }
  wait_for_count(&fixture->closed, 10);

  assert_int_equal(call_as(geteuid(), address), ANSWERED);
  if (geteuid() == 0) {
    /* Whoever gets past the file's mode is stopped by its user id. */
    assert_int_equal(call_as(65534, address), CANNOT_CONNECT);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(call_as(65534, address), NOT_ANSWERED);
  }
  unlink(path);
  rmdir(directory);
}

typedef struct {
  pid_t pid;
  char method[32];
  gint64 deadline;
  gint count;
} Seen;

static void look(TtrpcCall *call, const ProtobufCMessage *request, gpointer data) {
  Seen *seen = data;
  seen->pid = ttrpc_call_get_peer_pid(call);
  g_strlcpy(seen->method, ttrpc_call_get_method(call), sizeof(seen->method));
  seen->deadline = ttrpc_call_get_deadline(call);
  g_atomic_int_inc(&seen->count);
  ttrpc_call_fail(call, 9, "seen");
}

static const TtrpcMethod looking_methods[] = {{"Check", look}, {NULL, NULL}};

static void test_what_a_call_knows(void **state) {
  Seen seen = {0};
  g_autoptr(GMainContext) context = g_main_context_new();
  g_autoptr(TtrpcServer) server = ttrpc_server_new(context);
  ttrpc_server_add_service(server, &grpc__health__descriptor, looking_methods, &seen);
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ttrpc_server_add_stream(server, pair[1], SOCKET);
  raw_write_check(pair[0], 1, "");
  while (seen.count < 1) g_main_context_iteration(context, TRUE);
  assert_int_equal(seen.pid, getpid());
  assert_string_equal(seen.method, "Check");
  assert_int_equal(seen.deadline, 0);
  gint64 before = g_get_monotonic_time();
  write_timed_check(pair[0], 3, "", "\x20\x80\x94\xeb\xdc\x03", 6); /* 1 s */
  while (seen.count < 2) g_main_context_iteration(context, TRUE);
  assert_true(seen.deadline >= before + G_TIME_SPAN_SECOND);
  assert_true(seen.deadline <= g_get_monotonic_time() + G_TIME_SPAN_SECOND + 1);
  raw_expect_status(pair[0], 1, 9, "seen");
  close(pair[0]);
}

typedef struct {
  TtrpcServer *server;
  gboolean is_gone;
} Ender;

static void set_gone(TtrpcCall *call, gpointer data) { ((Ender *)data)->is_gone = TRUE; }

/* Ends the server from within a handler, and asks to be told of the end only then. */
static void end_inside(TtrpcCall *call, const ProtobufCMessage *request, gpointer data) {
  Ender *ender = data;
  g_clear_pointer(&ender->server, ttrpc_server_free);
  ttrpc_call_set_gone_func(call, set_gone, ender);
  while (!ender->is_gone) g_usleep(0), g_main_context_iteration(g_main_context_get_thread_default(), TRUE);
  ttrpc_call_fail(call, 1, "nobody hears this");
}

static const TtrpcMethod ending_methods[] = {{"Check", end_inside}, {NULL, NULL}};

static void test_server_ended_by_a_handler(void **state) {
  g_autoptr(GMainContext) context = g_main_context_new();
  g_main_context_push_thread_default(context);
  Ender ender = {.server = ttrpc_server_new(context)};
  ttrpc_server_add_service(ender.server, &grpc__health__descriptor, ending_methods, &ender);
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ttrpc_server_add_stream(ender.server, pair[1], SOCKET);
  raw_write_check(pair[0], 1, "");
  raw_write_check(pair[0], 3, "");
  while (!ender.is_gone) g_main_context_iteration(context, TRUE);
  assert_null(ender.server);
  raw_expect_end(pair[0]);
  close(pair[0]);
  g_main_context_pop_thread_default(context);
}

/* Random changes to good frames: whatever comes, the server answers others. */
static void test_hostile_bytes(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(GRand) random = g_rand_new_with_seed(1);
  for (int round = 0; round < 300; round++) {
    autofd int fd = fixture_connect(fixture, round % 2 == 0 ? SOCKET : TTRPC_STREAM_PORT);
    assert_true(fd_set_nonblocking(fd, TRUE, NULL));
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    for (guint8 id = 1; id < 9; id += 2) {
      g_autoptr(GByteArray) body = raw_check_body("late:1");
      const guint8 header[] = {0, 0, 0, (guint8)body->len, 0, 0, 0, id, 1, 0};
      g_byte_array_append(bytes, header, sizeof(header));
      g_byte_array_append(bytes, body->data, body->len);
    }
    for (int i = 0; i < 4; i++)
      bytes->data[g_rand_int_range(random, 0, (gint32)bytes->len)] = (guint8)g_rand_int_range(random, 0, 256);
    assert_true(send(fd, bytes->data, bytes->len, MSG_NOSIGNAL) > 0);
    if (round % 10 == 0) {
      autofd int good = fixture_connect(fixture, SOCKET);
      raw_write_check(good, 1, "");
      raw_expect_status(good, 1, 0, NULL);
    }
  }
  for (int i = 0; i < 1000 && fixture_count_calls(fixture) > 0; i++) g_usleep(1000);
  assert_int_equal(fixture_count_calls(fixture), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mistakes),
      cmocka_unit_test(test_lenient_requests),
      cmocka_unit_test(test_bytes_one_by_one),
      cmocka_unit_test(test_oversize),
      cmocka_unit_test(test_out_of_order),
      cmocka_unit_test(test_deadline),
      cmocka_unit_test(test_data_for_a_running_call),
      cmocka_unit_test(test_lost_peer),
      cmocka_unit_test(test_half_close_is_a_close),
      cmocka_unit_test(test_peer_that_does_not_read),
      cmocka_unit_test(test_too_many_calls),
      cmocka_unit_test(test_answers_after_the_server_ended),
      cmocka_unit_test(test_listener),
      cmocka_unit_test(test_what_a_call_knows),
      cmocka_unit_test(test_server_ended_by_a_handler),
      cmocka_unit_test(test_hostile_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
