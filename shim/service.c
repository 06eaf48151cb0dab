// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/service.h"

#include <string.h>

#include "proto/google-protobuf.pb-c.h"

/* How long callers get to take their answers before the program ends. */
#define QUIT_TIMEOUT_MS 1000
#define QUIT_POLL_MS 5

typedef struct {
  ServiceJob job; /* first: what a method gets */
  const ServiceMethod *method;
} QueuedJob;

typedef struct {
  Owner *owner;
  const ServiceMethod *methods;
} ServiceTable;

static const ServiceMethod *find_method(const ServiceTable *table, const char *name) {
  for (const ServiceMethod *method = table->methods; method->name != NULL; method++)
    if (strcmp(method->name, name) == 0) return method;
  return NULL;
}

static void on_gone(TtrpcCall *call, gpointer user_data) {
  QueuedJob *queued = user_data;
  g_atomic_int_set(&queued->job.gone, 1);
  sandbox_cancel_start(queued->job.owner->sandbox);
}

static void dispatch(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const ServiceTable *table = user_data;
  QueuedJob *queued = g_new0(QueuedJob, 1);
  queued->job.owner = table->owner;
  queued->job.call = call;
  queued->job.request = request;
  queued->method = find_method(table, ttrpc_call_get_method(call));
  if (queued->method->undone_if_gone) {
    service_set_called(table->owner);
    ttrpc_call_set_gone_func(call, on_gone, queued);
  }
  g_thread_pool_push(table->owner->workers, queued, NULL);
}

static void work(gpointer data, gpointer user_data) {
  QueuedJob *queued = data;
  queued->method->func(&queued->job);
  /* In the main loop, after an on_gone() that may be under way there. */
  g_idle_add_once((GSourceOnceFunc)g_free, queued);
}

Owner *owner_new(Sandbox *sandbox) {
  Owner *owner = g_new0(Owner, 1);
  owner->sandbox = sandbox;
  owner->server = ttrpc_server_new(NULL);
  owner->loop = g_main_loop_new(NULL, FALSE);
  /* No limit: a call may wait long, and none may wait for another. */
  owner->workers = g_thread_pool_new(work, owner, -1, FALSE, NULL);
  return owner;
}

void service_add(Owner *owner, const ProtobufCServiceDescriptor *service, const ServiceMethod *methods) {
  ServiceTable *table = g_new0(ServiceTable, 1);
  table->owner = owner;
  table->methods = methods;
  gsize count = 0;
  while (methods[count].name != NULL) count++;
  TtrpcMethod *rpc_methods = g_new0(TtrpcMethod, count + 1);
  for (gsize i = 0; i < count; i++) {
    rpc_methods[i].name = methods[i].name;
    rpc_methods[i].func = dispatch;
  }
  ttrpc_server_add_service(owner->server, service, rpc_methods, table);
}

void service_set_called(Owner *owner) { g_atomic_int_set(&owner->called, 1); }

gboolean service_was_called(Owner *owner) { return g_atomic_int_get(&owner->called) != 0; }

void service_reply_empty(TtrpcCall *call) {
  Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
  ttrpc_call_reply(call, &empty.base);
}

typedef struct {
  Owner *owner;
  gint64 deadline;
} Quit;

static gboolean on_quit(gpointer user_data) {
  Quit *quit = user_data;
  gboolean busy =
      ttrpc_server_count_calls(quit->owner->server) > 0 || ttrpc_server_count_connections(quit->owner->server) > 0;
  if (busy && g_get_monotonic_time() < quit->deadline) return G_SOURCE_CONTINUE;
  g_main_loop_quit(quit->owner->loop);
  return G_SOURCE_REMOVE;
}

void service_quit(Owner *owner) {
  Quit *quit = g_new0(Quit, 1);
  quit->owner = owner;
  quit->deadline = g_get_monotonic_time() + QUIT_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
  g_timeout_add_full(G_PRIORITY_DEFAULT, QUIT_POLL_MS, on_quit, quit, g_free);
}
