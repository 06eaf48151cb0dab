// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ports whose peers die in the middle of frames. One end of a socket pair is
 * the port in the guest. The other end stays open all the time, as QEMU's does;
 * the host's peers that come and go are clients on duplicates of it, and bytes
 * written by hand for those that died.
 */
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ttrpc-message.h"
#include "common/ttrpc-resync.h"
#include "ttrpc-fixture.h"

static const guint8 dead_nonce[TTRPC_NONCE_SIZE] = "the dead peer's";

static TtrpcClient *new_client(int port) { return ttrpc_client_new(dup(port), TTRPC_STREAM_PORT); }

/* In any thread: no cmocka assertions. */
static TtrpcClient *synced_client(int port, gboolean was_used) {
  g_autoptr(TtrpcClient) client = new_client(port);
  g_autoptr(GError) error = NULL;
  if (!ttrpc_client_sync(client, was_used, 20000, &error)) g_error("sync: %s", error->message);
  return g_steal_pointer(&client);
}

/* The peer that is going to die gets in step. */
static void sync_by_hand(int port) {
  guint8 sync[TTRPC_SYNC_SIZE], answer[TTRPC_SYNC_SIZE];
  ttrpc_sync_encode(dead_nonce, sync);
  g_assert(fd_write_all(port, sync, sizeof(sync)));
  g_assert(fd_read_all(port, answer, sizeof(answer)) == sizeof(answer));
  g_assert(memcmp(sync, answer, sizeof(sync)) == 0);
}

static TtrpcOutput *pack(const char *service, const char *method, const ProtobufCMessage *message, guint32 id) {
  guint8 seal[TTRPC_SEAL_SIZE];
  ttrpc_seal_encode(dead_nonce, seal);
  gsize length = 0;
  TtrpcOutput *output = ttrpc_request_pack(service, method, message, 0, seal, &length);
  ttrpc_output_set_stream_id(output, id);
  return output;
}

static TtrpcOutput *pack_check(const char *command, guint32 id) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  request.service = (char *)command;
  return pack("grpc.Health", "Check", &request.base, id);
}

static TtrpcOutput *pack_write(gsize size, guint32 id) {
  g_autofree guint8 *bytes = g_malloc(size);
  memset(bytes, 'w', size);
  Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
  request.data.data = bytes;
  request.data.len = size;
  return pack("grpc.AgentService", "WriteStdin", &request.base, id);
}

static void test_sync_and_call(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int port = fixture_connect(fixture, TTRPC_STREAM_PORT);
  g_autoptr(TtrpcClient) early = new_client(port);
  g_autoptr(GError) error = NULL;
  assert_null(call_check(early, "", 0, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_STATE));
  g_autoptr(TtrpcClient) client = synced_client(port, FALSE);
  assert_echo(client, "first");
  assert_echo(client, "second");
  /* Its follower finds the stream ids begun anew. */
  g_autoptr(TtrpcClient) next = synced_client(port, TRUE);
  assert_echo(next, "third");
}

static void test_requests_without_the_seal(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int port = fixture_connect(fixture, TTRPC_STREAM_PORT);
  raw_write_check(port, 1, "");
  g_autoptr(TtrpcOutput) sealed = pack_check("", 1);
  raw_write(port, sealed->bytes, sealed->size);
  sync_by_hand(port);
  assert_int_equal(fixture->handled, 0);
  raw_write_check(port, 1, "");
  sealed->bytes[sealed->size - 1] ^= 1;
  raw_write(port, sealed->bytes, sealed->size);
  raw_write_frame(port, 1, TTRPC_FRAME_DATA, "x", 1);
  raw_write_frame(port, 1, TTRPC_FRAME_RESPONSE, NULL, 0);
  sealed->bytes[sealed->size - 1] ^= 1;
  raw_write(port, sealed->bytes, sealed->size);
  raw_expect_status(port, 1, 0, NULL);
  assert_int_equal(fixture->handled, 1);
}

/* One death each, in a thread of its own as each takes the 300 ms that the client waits before it fills. */
typedef struct {
  Fixture *fixture;
  int port;
  const guint8 *bytes; /* what the dead peer has written ... */
  gsize size;          /* ... up to here */
} Death;

static gpointer die_and_follow(gpointer data) {
  const Death *death = data;
  sync_by_hand(death->port);
  g_assert(fd_write_all(death->port, death->bytes, death->size));
  g_autoptr(TtrpcClient) client = synced_client(death->port, TRUE);
  for (int i = 0; i < 3; i++) {
    g_autofree char *text = g_strdup_printf("after %zu bytes, call %d", death->size, i);
    assert_echo(client, text);
  }
  /* The follower after a clean end needs no filling. */
  gint64 start = g_get_monotonic_time();
  g_autoptr(TtrpcClient) next = synced_client(death->port, FALSE);
  assert_echo(next, "the next");
  g_assert(g_get_monotonic_time() - start < 10 * G_TIME_SPAN_SECOND);
  return NULL;
}

static void run_deaths(Fixture *fixture, const guint8 *bytes, const gsize *cuts, gsize n_cuts) {
  g_autofree Death *deaths = g_new0(Death, n_cuts);
  g_autofree GThread **threads = g_new0(GThread *, n_cuts);
  for (gsize i = 0; i < n_cuts; i++) {
    deaths[i] = (Death){fixture, fixture_connect(fixture, TTRPC_STREAM_PORT), bytes, cuts[i]};
    threads[i] = g_thread_new("death", die_and_follow, &deaths[i]);
  }
  for (gsize i = 0; i < n_cuts; i++) {
    g_thread_join(threads[i]);
    close(deaths[i].port);
  }
}

static void test_requests_cut_anywhere(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  g_autoptr(TtrpcOutput) request = pack_check("thread", 1);
  g_autofree gsize *cuts = g_new(gsize, request->size);
  for (gsize i = 0; i < request->size; i++) cuts[i] = i;
  run_deaths(fixture, request->bytes, cuts, request->size);
  /* Four calls for each, and never the cut one. */
  assert_int_equal(fixture->handled, 4 * request->size);
  /* A whole one is executed, but its answer goes to nobody else. */
  gsize whole = request->size;
  run_deaths(fixture, request->bytes, &whole, 1);
  assert_int_equal(fixture->handled, 4 * request->size + 5);
}

static void test_long_requests_cut(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  const gsize sizes[] = {100000, TTRPC_MAX_BODY - 100};
  for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autoptr(TtrpcOutput) request = pack_write(sizes[i], 1);
    gsize size = request->size;
    /* About the header, the seal, and as many bytes before the end as SYNC (26) and the marker (16) have. */
    const gsize cuts[] = {9,         10,        11,        size / 2,  size - 42, size - 36, size - 27, size - 26,
                          size - 25, size - 17, size - 16, size - 15, size - 10, size - 9,  size - 8,  size - 1};
    run_deaths(fixture, request->bytes, cuts, i == 0 ? G_N_ELEMENTS(cuts) : 4);
  }
  assert_int_equal(fixture->written->len, 0);
}

/* The peer that was filling died, too, anywhere in it. */
static void test_fillings_cut(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  const gsize filler_size = TTRPC_MAX_BODY + 10;
  const gsize starts[] = {0, 5, 10, 30};
  g_autoptr(TtrpcOutput) request = pack_write(1000, 1);
  for (gsize i = 0; i < G_N_ELEMENTS(starts); i++) {
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint8 sync[TTRPC_SYNC_SIZE];
    ttrpc_sync_encode((const guint8 *)"a dying nonce...", sync);
    g_byte_array_append(bytes, request->bytes, (guint)starts[i]);
    g_byte_array_append(bytes, sync, sizeof(sync));
    gsize zeros = bytes->len;
    g_byte_array_set_size(bytes, (guint)(zeros + filler_size));
    memset(bytes->data + zeros, 0, filler_size);
    gsize marker = bytes->len;
    g_byte_array_append(bytes, TTRPC_MARKER, TTRPC_MARKER_SIZE);
    g_byte_array_append(bytes, sync, sizeof(sync));
    const gsize cuts[] = {zeros, zeros + 5, zeros + 70000, marker, marker + 1, marker + 15, marker + 16, marker + 30};
    run_deaths(fixture, bytes->data, cuts, G_N_ELEMENTS(cuts));
  }
  assert_int_equal(fixture->written->len, 0);
}

static void test_answers_cut_anywhere(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int port = fixture_connect(fixture, TTRPC_STREAM_PORT);
  /* An answer is 14 bytes long; the dead peer has read, or QEMU has lost, so many of two of them. */
  for (gsize cut = 0; cut <= 28; cut++) {
    assert_true(fd_set_nonblocking(port, FALSE, NULL));
    sync_by_hand(port);
    for (guint32 id = 1; id <= 3; id += 2) {
      g_autoptr(TtrpcOutput) request = pack_check("", id);
      raw_write(port, request->bytes, request->size);
    }
    guint8 lost[28];
    assert_int_equal(fd_read_all(port, lost, cut), cut);
    g_autoptr(TtrpcClient) client = synced_client(port, cut % 2 == 0);
    assert_echo(client, "mine");
  }
}

static void test_long_answers_cut(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int port = fixture_connect(fixture, TTRPC_STREAM_PORT);
  const gsize cuts[] = {0, 1, 10, 11, 5000, 1000000, 3000000};
  for (gsize i = 0; i < G_N_ELEMENTS(cuts); i++) {
    assert_true(fd_set_nonblocking(port, FALSE, NULL));
    sync_by_hand(port);
    Grpc__ReadStreamRequest ask = GRPC__READ_STREAM_REQUEST__INIT;
    ask.len = 4000000;
    g_autoptr(TtrpcOutput) request = pack("grpc.AgentService", "ReadStdout", &ask.base, 1);
    raw_write(port, request->bytes, request->size);
    g_autofree guint8 *lost = g_malloc(cuts[i] + 1);
    assert_int_equal(fd_read_all(port, lost, cuts[i]), cuts[i]);
    /* The rest of the answer does not fit into the socket: the guest's end is in the middle of writing it. */
    g_autoptr(TtrpcClient) client = synced_client(port, FALSE);
    assert_echo(client, "mine");
  }
}

static gpointer call_hold(gpointer client) {
  Grpc__HealthCheckResponse *reply = call_check(client, "hold", 20000, NULL);
  g_assert(reply != NULL);
  grpc__health_check_response__free_unpacked(reply, NULL);
  return NULL;
}

/* The dead peer's call and the new one's have the same stream id; each answer goes where it belongs. */
static void test_late_answers_go_nowhere(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int port = fixture_connect(fixture, TTRPC_STREAM_PORT);
  sync_by_hand(port);
  g_autoptr(TtrpcOutput) request = pack_check("hold", 1);
  raw_write(port, request->bytes, request->size);
  wait_for_held(fixture, 1);
  g_autoptr(TtrpcClient) client = synced_client(port, TRUE);
  assert_int_equal(fixture->gone, 1);
  GThread *thread = g_thread_new("holder", call_hold, client);
  wait_for_held(fixture, 2);
  fixture_release(fixture);
  assert_echo(client, "the wait goes on");
  assert_int_equal(fixture_count_calls(fixture), 1);
  fixture_release(fixture);
  g_thread_join(thread);
}

/* Zero-length packets are what read() gives as 0 without an end: so does a port whose host side is closed. */
static void test_hangup(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  fixture_add_stream(fixture, pair[1], TTRPC_STREAM_PORT);
  autofd int port = pair[0];
  g_autoptr(TtrpcOutput) request = pack_check("hold", 1);
  for (int i = 1; i <= 3; i++) {
    assert_true(fd_set_nonblocking(port, FALSE, NULL));
    guint8 sync[TTRPC_SYNC_SIZE], answer[TTRPC_SYNC_SIZE];
    ttrpc_sync_encode(dead_nonce, sync);
    raw_write(port, sync, sizeof(sync));
    assert_int_equal(read(port, answer, sizeof(answer)), sizeof(answer));
    raw_write(port, request->bytes, request->size);
    wait_for_held(fixture, 1);
    raw_write(port, request->bytes, request->size / 2);
    assert_int_equal(send(port, "", 0, 0), 0);
    wait_for_count(&fixture->gone, i);
    fixture_release(fixture);
    /* No half-read frame is left, so there is nothing to fill. */
    g_autoptr(TtrpcClient) client = synced_client(port, FALSE);
    assert_echo(client, "after the hang-up");
  }
  assert_int_equal(fixture->closed, 0);
  assert_int_equal(fixture_count_connections(fixture), 1);
}

/* A guest's kernel may learn that the host's side is open only after its first bytes have come: until then nothing can
 * be written, and reads say that it is closed. */
static void test_bytes_before_open(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  int pair[2];
  gsize n_full = 0;
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  while (send(pair[1], "full", 4, MSG_DONTWAIT) == 4) n_full++;
  autofd int port = pair[0];
  guint8 sync[TTRPC_SYNC_SIZE], answer[TTRPC_SYNC_SIZE];
  ttrpc_sync_encode(dead_nonce, sync);
  raw_write(port, sync, sizeof(sync));
  for (int i = 0; i < 3; i++) assert_int_equal(send(port, "", 0, 0), 0);
  fixture_add_stream(fixture, pair[1], TTRPC_STREAM_PORT);
  /* All three have been read when there is room for more again. */
  int unread = 1;
  for (int waited = 0; unread > 0 && waited < 20000; waited++) {
    assert_int_equal(ioctl(port, SIOCOUTQ, &unread), 0);
    g_usleep(G_TIME_SPAN_MILLISECOND);
  }
  assert_int_equal(unread, 0);
  for (gsize i = 0; i < n_full; i++) assert_int_equal(recv(port, answer, sizeof(answer), 0), 4);
  const struct timeval patience = {.tv_sec = 20};
  assert_int_equal(setsockopt(port, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  assert_int_equal(recv(port, answer, sizeof(answer), 0), sizeof(answer));
  assert_memory_equal(answer, sync, sizeof(sync));
}

static gint64 cpu_time_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * G_TIME_SPAN_SECOND + now.tv_nsec / 1000;
}

static void test_hangup_costs_nothing(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  int port = fixture_connect(fixture, TTRPC_STREAM_PORT);
  g_autoptr(TtrpcOutput) request = pack_check("hold", 1);
  sync_by_hand(port);
  raw_write(port, request->bytes, request->size);
  wait_for_held(fixture, 1);
  close(port);
  wait_for_count(&fixture->gone, 1);
  gint64 before = cpu_time_us();
  g_usleep(500000);
  assert_true(cpu_time_us() - before < 200000);
  assert_int_equal(fixture_count_connections(fixture), 1);
}

static gpointer close_later(gpointer client) {
  g_usleep(30000);
  ttrpc_client_close(client, "the guest is no more");
  return NULL;
}

static void test_sync_fails(void **state) {
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  g_autoptr(GError) error = NULL;
  g_autoptr(TtrpcClient) client = new_client(pair[0]);
  assert_false(ttrpc_client_sync(client, FALSE, 30, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_TIMEOUT));
  assert_string_equal(error->message, "the guest did not answer on the port within 30 ms");
  g_clear_error(&error);

  GThread *thread = g_thread_new("closer", close_later, client);
  assert_false(ttrpc_client_sync(client, FALSE, -1, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_UNAVAILABLE));
  assert_string_equal(error->message, "cannot get in step with the guest: the guest is no more");
  g_clear_error(&error);
  g_thread_join(thread);

  close(pair[1]);
  g_autoptr(TtrpcClient) late = ttrpc_client_new(pair[0], TTRPC_STREAM_PORT);
  assert_false(ttrpc_client_sync(late, FALSE, -1, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_UNAVAILABLE));
}

/* A guest that is not up yet, then a first attempt given up inside of the filling. */
static void test_sync_again(void **state) {
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  autofd int port = pair[0];
  g_autoptr(GError) error = NULL;
  g_autoptr(TtrpcClient) client = new_client(port);
  assert_false(ttrpc_client_sync(client, TRUE, 400, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_TIMEOUT));
  g_clear_error(&error);
  g_autoptr(Fixture) fixture = fixture_new();
  fixture_add_stream(fixture, pair[1], TTRPC_STREAM_PORT);
  assert_true(ttrpc_client_sync(client, FALSE, 20000, &error));
  assert_echo(client, "in step at last");
}

/* A guest so slow that it answers the first SYNC when the filling is already under way, among other noise. */
static gpointer answer_slowly(gpointer data) {
  int fd = GPOINTER_TO_INT(data);
  guint8 sync[TTRPC_SYNC_SIZE];
  const gsize filler_size = TTRPC_MAX_BODY + 10 + TTRPC_MARKER_SIZE;
  g_autofree guint8 *filler = g_malloc(filler_size);
  g_assert(fd_read_all(fd, sync, sizeof(sync)) == sizeof(sync));
  g_usleep(400000);
  g_assert(fd_write_all(fd, "noise", 5) && fd_write_all(fd, sync, sizeof(sync)));
  g_assert(fd_write_all(fd, sync, sizeof(sync) - 1));
  g_assert(fd_read_all(fd, filler, filler_size) == (gssize)filler_size);
  g_assert(filler[0] == 0 && filler[TTRPC_MAX_BODY + 9] == 0);
  g_assert(memcmp(filler + TTRPC_MAX_BODY + 10, TTRPC_MARKER, TTRPC_MARKER_SIZE) == 0);
  guint8 second[TTRPC_SYNC_SIZE];
  g_assert(fd_read_all(fd, second, sizeof(second)) == sizeof(second));
  g_assert(memcmp(sync, second, TTRPC_HEADER_SIZE) == 0);
  g_assert(memcmp(sync, second, TTRPC_SYNC_SIZE) != 0);
  g_assert(fd_write_all(fd, second, sizeof(second)));
  /* The first thing after the answer is the first call, with the seal of the second nonce. */
  g_auto(TtrpcFrame) frame = {0};
  g_assert(raw_read_frame(fd, &frame));
  g_assert(frame.stream_id == 1 && ttrpc_seal_check(second + TTRPC_HEADER_SIZE, frame.body, frame.length));
  raw_write_frame(fd, 1, TTRPC_FRAME_RESPONSE, NULL, 0);
  return NULL;
}

static void test_a_slow_guest(void **state) {
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  GThread *thread = g_thread_new("guest", answer_slowly, GINT_TO_POINTER(pair[1]));
  g_autoptr(TtrpcClient) client = ttrpc_client_new(pair[0], TTRPC_STREAM_PORT);
  g_autoptr(GError) error = NULL;
  assert_true(ttrpc_client_sync(client, TRUE, 20000, &error));
  Grpc__HealthCheckResponse *reply = call_check(client, "", 20000, &error);
  assert_non_null(reply);
  grpc__health_check_response__free_unpacked(reply, NULL);
  g_thread_join(thread);
  close(pair[1]);
}

/* Between a client and the port: passes so many bytes each way, then lets the client die. */
typedef struct {
  int client;
  int port;
  gsize to_port;
  gsize to_client;
} Relay;

static gboolean relay_some(int from, int to, gsize *left) {
  guint8 bytes[512];
  ssize_t count = recv(from, bytes, MIN(sizeof(bytes), *left), MSG_DONTWAIT);
  if (count <= 0) return FALSE;
  *left -= (gsize)count;
  return fd_write_all(to, bytes, (gsize)count);
}

static gpointer run_relay(gpointer data) {
  Relay *relay = data;
  gint64 end = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;
  while (relay->to_port > 0 && relay->to_client > 0 && g_get_monotonic_time() < end) {
    gboolean moved = relay_some(relay->client, relay->port, &relay->to_port);
    moved |= relay_some(relay->port, relay->client, &relay->to_client);
    if (!moved) g_usleep(50);
  }
  close(relay->client);
  return NULL;
}

#define BLOCK_SIZE 3000

static void test_many_deaths(void **state) {
  g_autoptr(Fixture) fixture = fixture_new();
  autofd int port = fixture_connect(fixture, TTRPC_STREAM_PORT);
  g_autoptr(GRand) random = g_rand_new_with_seed(7);
  for (int round = 0; round < 16; round++) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    /* Every other death is in what goes to the guest. */
    Relay relay = {.client = pair[1],
                   .port = port,
                   .to_port = (gsize)g_rand_int_range(random, 26, round % 4 == 0 ? 20000 : TTRPC_MAX_BODY + 20000),
                   .to_client = round % 2 == 0 ? G_MAXSIZE : (gsize)g_rand_int_range(random, 100, 400)};
    GThread *thread = g_thread_new("relay", run_relay, &relay);
    g_autoptr(TtrpcClient) client = ttrpc_client_new(pair[0], TTRPC_STREAM_PORT);
    gboolean alive = ttrpc_client_sync(client, TRUE, 20000, NULL);
    char block[BLOCK_SIZE];
    memset(block, 'a' + round % 26, sizeof(block));
    Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
    request.data.data = (guint8 *)block;
    request.data.len = sizeof(block);
    while (alive) {
      ProtobufCMessage *reply = NULL;
      alive = ttrpc_client_invoke(client, &grpc__agent_service__descriptor, "WriteStdin", &request.base, 20000, &reply,
                                  NULL);
      if (alive) assert_int_equal(((Grpc__WriteStreamResponse *)reply)->len, BLOCK_SIZE);
      if (reply != NULL) protobuf_c_message_free_unpacked(reply, NULL);
    }
    g_thread_join(thread);
  }
  g_autoptr(TtrpcClient) last = synced_client(port, TRUE);
  assert_echo(last, "alive");
  /* What arrived are whole blocks. */
  const GString *written = fixture->written;
  assert_true(written->len > 0);
  assert_int_equal(written->len % BLOCK_SIZE, 0);
  for (gsize i = 0; i < written->len; i++) assert_int_equal(written->str[i], written->str[i - i % BLOCK_SIZE]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sync_and_call),
      cmocka_unit_test(test_requests_without_the_seal),
      cmocka_unit_test(test_requests_cut_anywhere),
      cmocka_unit_test(test_long_requests_cut),
      cmocka_unit_test(test_fillings_cut),
      cmocka_unit_test(test_answers_cut_anywhere),
      cmocka_unit_test(test_long_answers_cut),
      cmocka_unit_test(test_late_answers_go_nowhere),
      cmocka_unit_test(test_hangup),
      cmocka_unit_test(test_bytes_before_open),
      cmocka_unit_test(test_hangup_costs_nothing),
      cmocka_unit_test(test_sync_fails),
      cmocka_unit_test(test_sync_again),
      cmocka_unit_test(test_a_slow_guest),
      cmocka_unit_test(test_many_deaths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
