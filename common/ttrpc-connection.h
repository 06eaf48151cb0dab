/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of the ttRPC server: the server, its connections and their calls.
 *
 * All run in the thread of the server's context, but for the answering of
 * calls, which any thread may do: what that touches is under the
 * connection's lock. Locks are never held while foreign functions run.
 */
#pragma once

#include <glib.h>

#include "common/ttrpc-frame.h"
#include "common/ttrpc-message.h"
#include "common/ttrpc-resync.h"
#include "common/ttrpc.h"

/* A peer that does not read its answers, or leaves this many calls open, is not read from until it does. Calls that
 * wait for a process to end stay open for as long as it runs: one or two for each process of a sandbox. */
#define TTRPC_OUTPUT_LIMIT (16u << 20)
#define TTRPC_CALLS_LIMIT 4096
#define TTRPC_READ_SIZE (16u << 10)

typedef struct {
  const ProtobufCServiceDescriptor *descriptor;
  const TtrpcMethod *methods;
  gpointer user_data;
} TtrpcService;

typedef struct {
  gint refs;
  TtrpcServer *server;
  TtrpcStreamKind kind;
  pid_t peer_pid;
  GSource *source;
  gpointer fd_tag; /* NULL while a port's host side is closed */
  GIOCondition polled;
  gboolean is_dispatching;
  TtrpcParser parser;
  guint8 *buffer; /* TTRPC_READ_SIZE */
  gsize buffer_start, buffer_end;
  guint32 last_id;
  gboolean is_synced;
  guint8 nonce[TTRPC_NONCE_SIZE];

  GMutex lock; /* for all below */
  int fd;
  gboolean is_socket;
  gboolean is_closed;
  gboolean is_broken; /* writing failed: to be closed by the context's thread */
  GQueue output;      /* of TtrpcOutput */
  gsize output_size;
  const TtrpcOutput *sync_answer; /* in output; NULL: is none there */
  GHashTable *calls;              /* stream id -> TtrpcCall, those whose peer still waits */
  guint n_unanswered;             /* calls in the hands of handlers, the peer waiting or not */
} TtrpcConnection;

struct TtrpcServer {
  gint refs;
  gint n_calls;
  GMainContext *context;
  GHashTable *services; /* name -> TtrpcService */
  GPtrArray *listeners; /* of GSource */
  GPtrArray *connections;
  gboolean is_closed;
  void (*closed_func)(gpointer);
  gpointer closed_data;
};

struct TtrpcCall {
  gint refs;
  TtrpcConnection *connection;
  guint32 stream_id;
  const ProtobufCMethodDescriptor *method;
  ProtobufCMessage *request;
  gint64 deadline;
  GSource *deadline_source;
  /* under the connection's lock: */
  gboolean is_answered; /* by the handler */
  gboolean is_gone;     /* nobody waits any more */
  void (*gone_func)(TtrpcCall *, gpointer);
  gpointer gone_data;
};

void ttrpc_server_unref(TtrpcServer *server);
void ttrpc_server_forget_connection(TtrpcServer *server, TtrpcConnection *connection);

void ttrpc_connection_open(TtrpcServer *server, int fd, TtrpcStreamKind kind, pid_t peer_pid);
void ttrpc_connection_close(TtrpcConnection *connection);
TtrpcConnection *ttrpc_connection_ref(TtrpcConnection *connection);
void ttrpc_connection_unref(TtrpcConnection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TtrpcConnection, ttrpc_connection_unref)

/* Takes the output over and writes what can be written at once. The lock must be held. */
void ttrpc_connection_send_locked(TtrpcConnection *connection, TtrpcOutput *output);
/* The same, and then size bytes more, of which only those are copied that do not fit at once. */
void ttrpc_connection_send_with_locked(TtrpcConnection *connection, TtrpcOutput *output, const guint8 *data,
                                       gsize size);

/* Has the context's thread look at the connection again if that is needed now. The lock must be held. */
void ttrpc_connection_wake_locked(TtrpcConnection *connection, gboolean was_paused);
gboolean ttrpc_connection_is_paused_locked(const TtrpcConnection *connection);

/* Makes a call of a request and runs its handler; sends the refusal if it cannot. */
void ttrpc_call_start(TtrpcConnection *connection, const TtrpcFrame *frame);

/* The peer no longer waits for these; runs their gone functions. Takes one reference of each. */
void ttrpc_calls_drop(GPtrArray *calls);

TtrpcCall *ttrpc_call_ref(TtrpcCall *call);
void ttrpc_call_unref(TtrpcCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TtrpcCall, ttrpc_call_unref)
