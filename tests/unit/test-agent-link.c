// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a restored guest is told before anything else, against a server of our own. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/agent-link.h"
#include "tests/unit/ttrpc-fixture.h"

#define TIMEOUT_MS 60000

typedef struct {
  Fixture *fixture;
  TtrpcServer *server;
  int fd; /* the server's end */
  TtrpcClient *client;
  GString *calls; /* r: ReseedRandomDev, d: SetGuestDateTime */
  GPtrArray *seeds;
  gint64 date; /* in microseconds */
  gboolean refuses_seed;
} Guest;

static gint randomness_fails;

/* In place of the C library's. */
ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
  if (g_atomic_int_get(&randomness_fails) == 0) return syscall(SYS_getrandom, buffer, length, flags);
  errno = ENOSYS;
  return -1;
}

static void reseed(TtrpcCall *call, const ProtobufCMessage *message, gpointer data) {
  const Grpc__ReseedRandomDevRequest *request = (const void *)message;
  Guest *guest = data;
  g_string_append_c(guest->calls, 'r');
  g_ptr_array_add(guest->seeds, g_bytes_new(request->data.data, request->data.len));
  Google__Protobuf__Empty reply = GOOGLE__PROTOBUF__EMPTY__INIT;
  if (guest->refuses_seed)
    ttrpc_call_fail(call, TTRPC_INTERNAL, "no seed today");
  else
    ttrpc_call_reply(call, &reply.base);
}

static void set_date(TtrpcCall *call, const ProtobufCMessage *message, gpointer data) {
  const Grpc__SetGuestDateTimeRequest *request = (const void *)message;
  Guest *guest = data;
  g_string_append_c(guest->calls, 'd');
  guest->date = request->sec * G_USEC_PER_SEC + request->usec;
  Google__Protobuf__Empty reply = GOOGLE__PROTOBUF__EMPTY__INIT;
  ttrpc_call_reply(call, &reply.base);
}

static void serve(Fixture *fixture, gpointer data) {
  static const TtrpcMethod methods[] = {{"ReseedRandomDev", reseed}, {"SetGuestDateTime", set_date}, {NULL, NULL}};
  Guest *guest = data;
  guest->server = ttrpc_server_new(fixture->context);
  ttrpc_server_add_service(guest->server, &grpc__agent_service__descriptor, methods, guest);
  ttrpc_server_add_stream(guest->server, guest->fd, TTRPC_STREAM_SOCKET);
}

static void end(Fixture *fixture, gpointer data) { ttrpc_server_free(((Guest *)data)->server); }

static int set_up(void **state) {
  Guest *guest = g_new0(Guest, 1);
  guest->fixture = fixture_new();
  guest->calls = g_string_new(NULL);
  guest->seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  guest->fd = pair[1];
  fixture_run(guest->fixture, serve, guest);
  guest->client = ttrpc_client_new(pair[0], TTRPC_STREAM_SOCKET);
  *state = guest;
  return 0;
}

static int tear_down(void **state) {
  Guest *guest = *state;
  ttrpc_client_unref(guest->client);
  fixture_run(guest->fixture, end, guest);
  fixture_free(guest->fixture);
  g_ptr_array_unref(guest->seeds);
  g_string_free(guest->calls, TRUE);
  g_free(guest);
  return 0;
}

static void test_renewed(void **state) {
  Guest *guest = *state;
  g_autoptr(GError) error = NULL;
  gint64 before = g_get_real_time();
  for (int i = 0; i < 2; i++)
    if (!agent_renew_guest(guest->client, TIMEOUT_MS, &error)) fail_msg("%s", error->message);
  assert_string_equal(guest->calls->str, "rdrd");
  assert_in_range(guest->date, before, g_get_real_time());
  /* The kernel's generator takes a key of 32 bytes. */
  assert_true(g_bytes_get_size(guest->seeds->pdata[0]) >= 32);
  assert_false(g_bytes_equal(guest->seeds->pdata[0], guest->seeds->pdata[1]));
}

/* A guest that keeps its old numbers does not go on. */
static void test_no_numbers(void **state) {
  Guest *guest = *state;
  g_autoptr(GError) error = NULL;
  g_atomic_int_set(&randomness_fails, 1);
  gboolean done = agent_renew_guest(guest->client, TIMEOUT_MS, &error);
  g_atomic_int_set(&randomness_fails, 0);
  assert_false(done);
  assert_string_equal(error->message, "cannot get random numbers for the guest: Function not implemented");
  assert_string_equal(guest->calls->str, "");
}

static void test_refused(void **state) {
  Guest *guest = *state;
  g_autoptr(GError) error = NULL;
  guest->refuses_seed = TRUE;
  assert_false(agent_renew_guest(guest->client, TIMEOUT_MS, &error));
  assert_non_null(strstr(error->message, "no seed today"));
  assert_string_equal(guest->calls->str, "r");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_renewed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_no_numbers, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("agent-link", tests, NULL, NULL);
}
