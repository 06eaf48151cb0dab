// SPDX-License-Identifier: LGPL-2.1-or-later
/* One call on the server's side: from a request's bytes to the answer. */
#include <stdarg.h>
#include <string.h>

#include "common/error.h"
#include "common/ttrpc-connection.h"

TtrpcCall *ttrpc_call_ref(TtrpcCall *call) {
  g_atomic_int_inc(&call->refs);
  return call;
}

void ttrpc_call_unref(TtrpcCall *call) {
  if (!g_atomic_int_dec_and_test(&call->refs)) return;
  g_clear_pointer(&call->deadline_source, g_source_unref);
  protobuf_c_message_free_unpacked(call->request, NULL);
  ttrpc_connection_unref(call->connection);
  g_free(call);
}

static void run_gone_func(TtrpcCall *call) {
  g_mutex_lock(&call->connection->lock);
  void (*func)(TtrpcCall *, gpointer) = call->is_answered ? NULL : call->gone_func;
  call->gone_func = NULL;
  g_mutex_unlock(&call->connection->lock);
  if (func != NULL) func(call, call->gone_data);
}

void ttrpc_calls_drop(GPtrArray *calls) {
  for (guint i = 0; i < calls->len; i++) {
    TtrpcCall *call = calls->pdata[i];
    if (call->deadline_source != NULL) g_source_destroy(call->deadline_source);
    run_gone_func(call);
    ttrpc_call_unref(call);
  }
}

static gboolean on_gone_late(gpointer data) {
  run_gone_func(data);
  return G_SOURCE_REMOVE;
}

void ttrpc_call_set_gone_func(TtrpcCall *call, void (*func)(TtrpcCall *, gpointer), gpointer user_data) {
  TtrpcConnection *connection = call->connection;
  g_mutex_lock(&connection->lock);
  call->gone_func = func;
  call->gone_data = user_data;
  gboolean is_late = call->is_gone && func != NULL;
  g_mutex_unlock(&connection->lock);
  if (!is_late) return;
  g_autoptr(GSource) source = g_idle_source_new();
  g_source_set_callback(source, on_gone_late, ttrpc_call_ref(call), (GDestroyNotify)ttrpc_call_unref);
  g_source_attach(source, connection->server->context);
}

/* Takes the call out of its connection. FALSE if the peer does not wait any more. */
static gboolean take_call_locked(TtrpcCall *call) {
  if (call->is_gone) return FALSE;
  call->is_gone = TRUE;
  g_hash_table_remove(call->connection->calls, GUINT_TO_POINTER(call->stream_id));
  ttrpc_call_unref(call); /* the table's reference, never the last one here */
  return TRUE;
}

/* Takes the output and the handler's reference of the call. */
static void finish_call_with(TtrpcCall *call, TtrpcOutput *output, const guint8 *data, gsize size) {
  TtrpcConnection *connection = call->connection;
  g_autoptr(TtrpcOutput) owned_output = output;
  if (call->deadline_source != NULL) g_source_destroy(call->deadline_source);
  g_mutex_lock(&connection->lock);
  gboolean was_paused = ttrpc_connection_is_paused_locked(connection);
  call->is_answered = TRUE;
  connection->n_unanswered--;
  if (take_call_locked(call)) ttrpc_connection_send_with_locked(connection, g_steal_pointer(&owned_output), data, size);
  ttrpc_connection_wake_locked(connection, was_paused);
  g_mutex_unlock(&connection->lock);
  g_atomic_int_add(&connection->server->n_calls, -1);
  ttrpc_call_unref(call);
}

static void finish_call(TtrpcCall *call, TtrpcOutput *output) { finish_call_with(call, output, NULL, 0); }

void ttrpc_call_reply(TtrpcCall *call, const ProtobufCMessage *reply) {
  if (reply == NULL || reply->descriptor != call->method->output) {
    ttrpc_call_fail(call, TTRPC_INTERNAL, "method '%s' answered with a message of type '%s' in place of '%s'",
                    call->method->name, reply != NULL ? reply->descriptor->name : "none", call->method->output->name);
    return;
  }
  finish_call(call, ttrpc_response_pack(call->stream_id, reply));
}

void ttrpc_call_reply_bytes(TtrpcCall *call, guint field, const guint8 *data, gsize size) {
  gsize length = 0;
  TtrpcOutput *begin = ttrpc_response_begin(call->stream_id, field, size, &length);
  if (begin != NULL) {
    finish_call_with(call, begin, data, size);
  } else {
    g_autofree char *text = ttrpc_oversize_text(length);
    ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "%s", text);
  }
}

void ttrpc_call_fail(TtrpcCall *call, int rpc_code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  finish_call(call, ttrpc_status_pack(call->stream_id, rpc_code == TTRPC_OK ? TTRPC_UNKNOWN : rpc_code, text));
}

void ttrpc_call_fail_error(TtrpcCall *call, const GError *error) {
  ttrpc_call_fail(call, error_to_rpc_code(error), "%s", error->message);
}

pid_t ttrpc_call_get_peer_pid(const TtrpcCall *call) { return call->connection->peer_pid; }

const char *ttrpc_call_get_method(const TtrpcCall *call) { return call->method->name; }

gint64 ttrpc_call_get_deadline(const TtrpcCall *call) { return call->deadline; }

static gboolean on_deadline(gpointer data) {
  TtrpcCall *call = data;
  TtrpcConnection *connection = call->connection;
  g_mutex_lock(&connection->lock);
  gboolean is_waited_for = take_call_locked(call);
  if (is_waited_for) {
    gboolean was_paused = ttrpc_connection_is_paused_locked(connection);
    ttrpc_connection_send_locked(connection,
                                 ttrpc_status_pack(call->stream_id, TTRPC_DEADLINE_EXCEEDED, TTRPC_TIMEOUT_TEXT));
    ttrpc_connection_wake_locked(connection, was_paused);
  }
  g_mutex_unlock(&connection->lock);
  if (is_waited_for) run_gone_func(call);
  return G_SOURCE_REMOVE;
}

static void set_deadline(TtrpcCall *call, gint64 timeout_ns) {
  call->deadline = g_get_monotonic_time() + timeout_ns / 1000 + 1;
  call->deadline_source = g_timeout_source_new(0);
  g_source_set_ready_time(call->deadline_source, call->deadline);
  g_source_set_callback(call->deadline_source, on_deadline, ttrpc_call_ref(call), (GDestroyNotify)ttrpc_call_unref);
  g_source_attach(call->deadline_source, call->connection->server->context);
}

static void refuse(TtrpcConnection *connection, guint32 stream_id, int rpc_code, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static void refuse(TtrpcConnection *connection, guint32 stream_id, int rpc_code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_mutex_lock(&connection->lock);
  ttrpc_connection_send_locked(connection, ttrpc_status_pack(stream_id, rpc_code, text));
  g_mutex_unlock(&connection->lock);
}

static const TtrpcMethod *find_method(const TtrpcService *service, const char *name,
                                      const ProtobufCMethodDescriptor **ret_descriptor) {
  *ret_descriptor = protobuf_c_service_descriptor_get_method_by_name(service->descriptor, name);
  if (*ret_descriptor == NULL) return NULL;
  for (const TtrpcMethod *method = service->methods; method->name != NULL; method++)
    if (strcmp(method->name, name) == 0) return method;
  return NULL;
}

void ttrpc_call_start(TtrpcConnection *connection, const TtrpcFrame *frame) {
  guint32 id = frame->stream_id;
  if (id <= connection->last_id) {
    refuse(connection, id, TTRPC_INVALID_ARGUMENT, "StreamID cannot be re-used and must increment");
    return;
  }
  connection->last_id = id;
  ProtobufCBinaryData payload = {0};
  Ttrpc__Request *envelope = ttrpc_request_unpack(frame, &payload);
  if (envelope == NULL) {
    refuse(connection, id, TTRPC_INVALID_ARGUMENT, "unmarshal request error: the body is not a ttrpc.Request");
    return;
  }
  const TtrpcService *service = g_hash_table_lookup(connection->server->services, envelope->service);
  const ProtobufCMethodDescriptor *descriptor = NULL;
  const TtrpcMethod *method = service != NULL ? find_method(service, envelope->method, &descriptor) : NULL;
  ProtobufCMessage *request = method != NULL ? ttrpc_unpack(descriptor->input, payload.data, payload.len) : NULL;
  gint64 timeout_ns = envelope->timeout_nano;
  if (service == NULL)
    refuse(connection, id, TTRPC_UNIMPLEMENTED, "service %s", envelope->service);
  else if (method == NULL)
    refuse(connection, id, TTRPC_UNIMPLEMENTED, "method %s", envelope->method);
  else if (request == NULL)
    refuse(connection, id, TTRPC_INTERNAL, "ttrpc: error unmarshalling payload: it is not a %s",
           descriptor->input->name);
  else if (timeout_ns < 0)
    refuse(connection, id, TTRPC_DEADLINE_EXCEEDED, TTRPC_TIMEOUT_TEXT);
  ttrpc__request__free_unpacked(envelope, NULL);
  if (request == NULL) return;
  if (timeout_ns < 0) {
    protobuf_c_message_free_unpacked(request, NULL);
    return;
  }

  g_autoptr(TtrpcCall) call = g_new0(TtrpcCall, 1);
  call->refs = 3; /* this function's, the table's, and the handler's */
  call->connection = ttrpc_connection_ref(connection);
  call->stream_id = id;
  call->method = descriptor;
  call->request = request;
  g_atomic_int_inc(&connection->server->n_calls);
  g_mutex_lock(&connection->lock);
  connection->n_unanswered++;
  g_hash_table_insert(connection->calls, GUINT_TO_POINTER(id), call);
  g_mutex_unlock(&connection->lock);
  if (timeout_ns > 0) set_deadline(call, timeout_ns);
  method->func(call, request, service->user_data);
}
