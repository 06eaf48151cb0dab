/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ttRPC: containerd's remote procedure calls over a byte stream. Frames of a
 * 10-byte header and a protobuf body; calls run concurrently and are answered
 * in any order.
 *
 * The server lives in a GLib main context. The client needs no thread and no
 * main loop: of the callers that wait, one reads for all.
 */
#pragma once

#include <glib.h>
#include <protobuf-c/protobuf-c.h>
#include <sys/types.h>

/* Largest body of a frame, either direction (containerd/ttrpc: messageLengthMax). */
#define TTRPC_MAX_BODY (4u << 20)

/* gRPC status codes. */
enum {
  TTRPC_OK = 0,
  TTRPC_CANCELLED = 1,
  TTRPC_UNKNOWN = 2,
  TTRPC_INVALID_ARGUMENT = 3,
  TTRPC_DEADLINE_EXCEEDED = 4,
  TTRPC_NOT_FOUND = 5,
  TTRPC_ALREADY_EXISTS = 6,
  TTRPC_PERMISSION_DENIED = 7,
  TTRPC_RESOURCE_EXHAUSTED = 8,
  TTRPC_FAILED_PRECONDITION = 9,
  TTRPC_ABORTED = 10,
  TTRPC_OUT_OF_RANGE = 11,
  TTRPC_UNIMPLEMENTED = 12,
  TTRPC_INTERNAL = 13,
  TTRPC_UNAVAILABLE = 14,
  TTRPC_DATA_LOSS = 15,
  TTRPC_UNAUTHENTICATED = 16,
};

typedef enum {
  /* A socket: the stream begins with the connection and ends with it. */
  TTRPC_STREAM_SOCKET,
  /* A virtio-serial port: the stream goes on when the peer is replaced, so both
   * sides must find the start of a frame again (see ttrpc-resync.h). */
  TTRPC_STREAM_PORT,
} TtrpcStreamKind;

/* ---- server ----
 *
 * All functions of the server are for the thread that runs its context (or, before that runs, for any one thread),
 * those that answer a call for every thread. A peer that does not read its answers is not read from; a handler is not
 * called for requests that are malformed, unknown, or out of time. */

typedef struct TtrpcServer TtrpcServer;
typedef struct TtrpcCall TtrpcCall;

/* Handles one call, in the server's main context. request is valid until the
 * call is answered. The call is answered exactly once, now or later, by
 * ttrpc_call_reply() or ttrpc_call_fail(), from any thread. */
typedef void (*TtrpcMethodFunc)(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

typedef struct {
  const char *name; /* NULL ends a table */
  TtrpcMethodFunc func;
} TtrpcMethod;

/* context: NULL for the default one. */
TtrpcServer *ttrpc_server_new(GMainContext *context);

/* Closes listeners and connections, and so runs gone functions; calls not yet answered stay valid until they are. */
void ttrpc_server_free(TtrpcServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TtrpcServer, ttrpc_server_free)

/* Serves the methods named in the table; others of the service answer Unimplemented.
 * service and methods must outlive the server. */
void ttrpc_server_add_service(TtrpcServer *server, const ProtobufCServiceDescriptor *service,
                              const TtrpcMethod *methods, gpointer user_data);

/* Accepts connections on listen_fd, which the server owns from now on.
 * same_uid: refuse unix peers of another user. */
void ttrpc_server_listen(TtrpcServer *server, int listen_fd, gboolean same_uid);

/* Serves one stream on fd, which the server owns from now on. */
void ttrpc_server_add_stream(TtrpcServer *server, int fd, TtrpcStreamKind kind);

/* Connections open now, and calls not yet answered. */
guint ttrpc_server_count_connections(const TtrpcServer *server);
guint ttrpc_server_count_calls(const TtrpcServer *server);

/* Called in the server's context each time a connection closes; for idle time-outs. */
void ttrpc_server_set_closed_func(TtrpcServer *server, void (*func)(gpointer), gpointer user_data);

/* Answer and release the call. Thread-safe. An answer above TTRPC_MAX_BODY turns into RESOURCE_EXHAUSTED. */
void ttrpc_call_reply(TtrpcCall *call, const ProtobufCMessage *reply);
/* The same with a message that has nothing but bytes, in the field of that number below 16: many of them are not copied
 * on their way. */
void ttrpc_call_reply_bytes(TtrpcCall *call, guint field, const guint8 *data, gsize size);
void ttrpc_call_fail(TtrpcCall *call, int rpc_code, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The error's code by error_to_rpc_code(), its whole text. */
void ttrpc_call_fail_error(TtrpcCall *call, const GError *error);

/* The unix peer's process id, 0 if there is none. */
pid_t ttrpc_call_get_peer_pid(const TtrpcCall *call);
const char *ttrpc_call_get_method(const TtrpcCall *call);
/* Monotonic time in microseconds after which the caller no longer waits, 0: none. */
gint64 ttrpc_call_get_deadline(const TtrpcCall *call);
/* func runs once, in the server's context, if nobody waits for the answer any more: the peer went away, or the call's
 * deadline passed (the server has then answered DEADLINE_EXCEEDED by itself). The call must still be answered, that
 * answer is dropped. It never begins to run after the call was answered, but may be running while another thread
 * answers. Set it from within the handler, or at any later time before the answer. */
void ttrpc_call_set_gone_func(TtrpcCall *call, void (*func)(TtrpcCall *, gpointer), gpointer user_data);

/* ---- client ---- */

typedef struct TtrpcClient TtrpcClient;

/* fd is owned by the client from now on. */
TtrpcClient *ttrpc_client_new(int fd, TtrpcStreamKind kind);
TtrpcClient *ttrpc_client_ref(TtrpcClient *client);
void ttrpc_client_unref(TtrpcClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TtrpcClient, ttrpc_client_unref)

/* Only for TTRPC_STREAM_PORT: waits until the peer's side of the port is in
 * step. timeout_ms: -1 for ever. was_used: somebody may have left the peer in
 * the middle of a frame. Must come before any call; may be tried again after it failed by KATA_ERR_TIMEOUT.
 * ttrpc_client_close() from another thread ends it, as does the end of the connection: KATA_ERR_UNAVAILABLE. */
gboolean ttrpc_client_sync(TtrpcClient *client, gboolean was_used, int timeout_ms, GError **error);

/* Calls service/method and waits. timeout_ms: 0 for none; also sent to the peer.
 * *ret_reply: to be freed with protobuf_c_message_free_unpacked(reply, NULL); ret_reply may be NULL.
 * Errors: the peer's status mapped by error_code_from_rpc(); KATA_ERR_TIMEOUT;
 * KATA_ERR_UNAVAILABLE when the peer is gone; KATA_ERR_RESOURCE_EXHAUSTED above TTRPC_MAX_BODY.
 * Any number of threads may call at once. */
gboolean ttrpc_client_call(TtrpcClient *client, const char *service, const char *method,
                           const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply_type,
                           gint64 timeout_ms, ProtobufCMessage **ret_reply, GError **error);

/* The same with the message taken from a service descriptor: checks that method exists
 * and that request has its type. */
gboolean ttrpc_client_invoke(TtrpcClient *client, const ProtobufCServiceDescriptor *service, const char *method,
                             const ProtobufCMessage *request, gint64 timeout_ms, ProtobufCMessage **ret_reply,
                             GError **error);

/* Reads for everybody until the peer is gone or the client is closed; for a
 * thread that has nothing else to do and wants to know of the peer's end at once. */
void ttrpc_client_pump(TtrpcClient *client);

/* Shuts the connection and fails every pending and later call with the given reason (NULL: "connection closed").
 * Thread-safe, idempotent. */
void ttrpc_client_close(TtrpcClient *client, const char *reason);

/* ---- addresses ---- */

/* Connects to unix:///PATH (or a bare absolute path), vsock://CID:PORT or hvsock:///PATH:PORT, trying again until the
 * peer is there or timeout_ms has passed (0: try once; a peer that is there has ten seconds to answer).
 * Returns a connected, close-on-exec, non-blocking descriptor or -1: KATA_ERR_UNAVAILABLE when nobody is there and
 * timeout_ms was 0, KATA_ERR_TIMEOUT when nobody came in time. */
int ttrpc_dial(const char *address, int timeout_ms, GError **error);

/* Listens on unix:///PATH (mode 0600, an old socket nobody answers on is replaced) or
 * vsock://-1:PORT. Returns the descriptor or -1. */
int ttrpc_listen(const char *address, GError **error);
