/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about the standard streams of processes. */
#include "agent/rpc.h"
#include "common/error.h"

/* ---- read ---- */

typedef struct {
  TtrpcCall *call;
  StreamReader *reader; /* answers all who wait before it goes */
} Read;

/* Of grpc.ReadStreamResponse, which has nothing else: its bytes go to the port from where they were read. */
#define DATA_FIELD 1

static void answer_read(TtrpcCall *call, const guint8 *data, gsize size) {
  Grpc__ReadStreamResponse reply = GRPC__READ_STREAM_RESPONSE__INIT;
  if (size > 0)
    ttrpc_call_reply_bytes(call, DATA_FIELD, data, size);
  else
    ttrpc_call_reply(call, &reply.base);
}

static void read_done(const guint8 *data, gsize size, const GError *error, gpointer user_data) {
  g_autofree Read *wait = user_data;
  if (error)
    ttrpc_call_fail_error(wait->call, error);
  else
    answer_read(wait->call, data, size);
}

/* What nobody has read stays for the next who asks. */
static void read_gone(TtrpcCall *call, gpointer user_data) {
  g_autofree Read *wait = user_data;
  stream_reader_cancel(wait->reader, wait);
  ttrpc_call_fail(call, TTRPC_CANCELLED, "the caller is gone");
}

static void read_stream(TtrpcCall *call, Sandbox *sandbox, const Grpc__ReadStreamRequest *asked, gboolean is_err) {
  Process *process = rpc_find_process(call, sandbox, asked->container_id, asked->exec_id);
  if (!process) return;
  StreamReader *reader = is_err ? process->err : process->out;
  if (asked->len == 0) {
    ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "a read of no bytes could not be told from the end");
  } else if (!reader && is_err && process->has_terminal) {
    /* With a terminal all output is standard output. */
    answer_read(call, NULL, 0);
  } else if (!reader) {
    ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "process '%s' has not started yet", process->id);
  } else {
    Read *wait = g_new(Read, 1);
    *wait = (Read){call, reader};
    ttrpc_call_set_gone_func(call, read_gone, wait);
    stream_reader_read(reader, asked->len, read_done, wait);
  }
}

void rpc_read_stdout(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  read_stream(call, user_data, (const Grpc__ReadStreamRequest *)request, FALSE);
}

void rpc_read_stderr(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  read_stream(call, user_data, (const Grpc__ReadStreamRequest *)request, TRUE);
}

/* ---- write ---- */

typedef struct {
  TtrpcCall *call;
  StreamWriter *writer;
  guint32 size;
} Write;

static void answer_write(TtrpcCall *call, guint32 size) {
  Grpc__WriteStreamResponse reply = GRPC__WRITE_STREAM_RESPONSE__INIT;
  reply.len = size;
  ttrpc_call_reply(call, &reply.base);
}

/* Whatever a write fails of is an internal error to the protocol. */
static void write_done(const GError *error, gpointer user_data) {
  g_autofree Write *wait = user_data;
  if (error)
    ttrpc_call_fail(wait->call, TTRPC_INTERNAL, "%s", error->message);
  else
    answer_write(wait->call, wait->size);
}

static void write_gone(TtrpcCall *call, gpointer user_data) {
  g_autofree Write *wait = user_data;
  stream_writer_cancel(wait->writer, wait);
  ttrpc_call_fail(call, TTRPC_CANCELLED, "the caller is gone");
}

void rpc_write_stdin(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__WriteStreamRequest *asked = (const Grpc__WriteStreamRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INTERNAL);
  if (!container) return;
  Process *process = container_find_process(container, asked->exec_id);
  if (!process || !process->in) {
    ttrpc_call_fail(call, TTRPC_INTERNAL, "cannot write: no such process in container '%s', or it has not started yet",
                    container->id);
  } else if (asked->data.len == 0) {
    stream_writer_close(process->in);
    answer_write(call, 0);
  } else {
    Write *wait = g_new(Write, 1);
    *wait = (Write){call, process->in, (guint32)asked->data.len};
    ttrpc_call_set_gone_func(call, write_gone, wait);
    stream_writer_write(process->in, asked->data.data, asked->data.len, write_done, wait);
  }
}

void rpc_close_stdin(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__CloseStdinRequest *asked = (const Grpc__CloseStdinRequest *)request;
  Process *process = rpc_find_process(call, user_data, asked->container_id, asked->exec_id);
  if (!process) return;
  if (process->in) stream_writer_close(process->in);
  rpc_reply_empty(call);
}
