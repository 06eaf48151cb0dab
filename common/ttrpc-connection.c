// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/ttrpc-connection.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fds.h"

/* One connection does so much in its turn before others have theirs. */
#define FRAMES_PER_TURN 64
#define READS_PER_TURN 16
/* How often a port whose host side is closed is looked at: poll() would return at once for as long as it is so. */
#define HANGUP_RECHECK_US (50 * G_TIME_SPAN_MILLISECOND)

/* Derived from GSource: the file descriptor's events, and "ready time 0" as the call from other threads. */
typedef struct {
  GSource source;
  TtrpcConnection *connection;
} ConnectionSource;

TtrpcConnection *ttrpc_connection_ref(TtrpcConnection *connection) {
  g_atomic_int_inc(&connection->refs);
  return connection;
}

void ttrpc_connection_unref(TtrpcConnection *connection) {
  if (!g_atomic_int_dec_and_test(&connection->refs)) return;
  g_source_unref(connection->source);
  ttrpc_parser_clear(&connection->parser);
  g_hash_table_unref(connection->calls);
  g_mutex_clear(&connection->lock);
  g_free(connection->buffer);
  ttrpc_server_unref(connection->server);
  g_free(connection);
}

static void clear_output_locked(TtrpcConnection *connection) {
  g_queue_clear_full(&connection->output, (GDestroyNotify)ttrpc_output_free);
  connection->output_size = 0;
  connection->sync_answer = NULL;
}

/* The peer is gone: its calls, their references included, are the caller's to drop once the lock is released. */
static GPtrArray *take_calls_locked(TtrpcConnection *connection) {
  GPtrArray *calls = g_ptr_array_new();
  GHashTableIter iter;
  gpointer call;
  g_hash_table_iter_init(&iter, connection->calls);
  while (g_hash_table_iter_next(&iter, NULL, &call)) {
    ((TtrpcCall *)call)->is_gone = TRUE;
    g_ptr_array_add(calls, call);
    g_hash_table_iter_steal(&iter);
  }
  return calls;
}

void ttrpc_connection_close(TtrpcConnection *connection) {
  g_autoptr(TtrpcConnection) held = ttrpc_connection_ref(connection);
  g_mutex_lock(&held->lock);
  gboolean was_closed = held->is_closed;
  held->is_closed = TRUE;
  clear_output_locked(held);
  g_autoptr(GPtrArray) calls = take_calls_locked(held);
  fd_clear(&held->fd);
  g_mutex_unlock(&held->lock);
  if (was_closed) return;
  g_source_destroy(held->source);
  ttrpc_calls_drop(calls);
  ttrpc_server_forget_connection(held->server, held);
}

/* A port's peer is gone, the port stays. */
static void forget_peer(TtrpcConnection *connection) {
  g_mutex_lock(&connection->lock);
  clear_output_locked(connection);
  g_autoptr(GPtrArray) calls = take_calls_locked(connection);
  g_mutex_unlock(&connection->lock);
  connection->last_id = 0;
  connection->is_synced = FALSE;
  ttrpc_calls_drop(calls);
}

gboolean ttrpc_connection_is_paused_locked(const TtrpcConnection *connection) {
  return connection->output_size >= TTRPC_OUTPUT_LIMIT || connection->n_unanswered >= TTRPC_CALLS_LIMIT;
}

static gboolean is_paused(TtrpcConnection *connection) {
  g_mutex_lock(&connection->lock);
  gboolean paused = ttrpc_connection_is_paused_locked(connection);
  g_mutex_unlock(&connection->lock);
  return paused;
}

static void flush_locked(TtrpcConnection *connection) {
  TtrpcOutput *output;
  while ((output = g_queue_peek_head(&connection->output)) != NULL) {
    gssize written =
        ttrpc_write(connection->fd, connection->is_socket, output->bytes + output->done, output->size - output->done);
    if (written == 0) return;
    if (written < 0) {
      connection->is_broken = TRUE;
      clear_output_locked(connection);
      return;
    }
    output->done += (gsize)written;
    connection->output_size -= (gsize)written;
    if (output->done < output->size) continue;
    if (output == connection->sync_answer) connection->sync_answer = NULL;
    ttrpc_output_free(g_queue_pop_head(&connection->output));
  }
}

void ttrpc_connection_send_locked(TtrpcConnection *connection, TtrpcOutput *output) {
  if (connection->is_closed || connection->is_broken) {
    ttrpc_output_free(output);
    return;
  }
  gboolean was_empty = g_queue_is_empty(&connection->output);
  connection->output_size += output->size;
  g_queue_push_tail(&connection->output, output);
  if (was_empty) flush_locked(connection);
}

void ttrpc_connection_send_with_locked(TtrpcConnection *connection, TtrpcOutput *output, const guint8 *data,
                                       gsize size) {
  ttrpc_connection_send_locked(connection, output);
  while (size > 0 && g_queue_is_empty(&connection->output) && !connection->is_closed && !connection->is_broken) {
    gssize written = ttrpc_write(connection->fd, connection->is_socket, data, size);
    if (written == 0) break;
    if (written < 0) {
      connection->is_broken = TRUE;
      return;
    }
    data += written;
    size -= (gsize)written;
  }
  if (size == 0) return;
  TtrpcOutput *rest = g_new0(TtrpcOutput, 1);
  rest->size = size;
  rest->bytes = g_memdup2(data, size);
  ttrpc_connection_send_locked(connection, rest);
}

void ttrpc_connection_wake_locked(TtrpcConnection *connection, gboolean was_paused) {
  if (connection->is_closed) return;
  gboolean is_resumed = was_paused && !ttrpc_connection_is_paused_locked(connection);
  if (connection->is_broken || is_resumed || !g_queue_is_empty(&connection->output))
    g_source_set_ready_time(connection->source, 0);
}

static void answer_sync(TtrpcConnection *connection, const guint8 *nonce) {
  forget_peer(connection);
  memcpy(connection->nonce, nonce, TTRPC_NONCE_SIZE);
  connection->is_synced = TRUE;
  TtrpcOutput *answer = g_new0(TtrpcOutput, 1);
  answer->size = TTRPC_SYNC_SIZE;
  answer->bytes = g_malloc(TTRPC_SYNC_SIZE);
  ttrpc_sync_encode(nonce, answer->bytes);
  g_mutex_lock(&connection->lock);
  connection->sync_answer = answer;
  ttrpc_connection_send_locked(connection, answer);
  g_mutex_unlock(&connection->lock);
}

static void send_status(TtrpcConnection *connection, guint32 stream_id, int rpc_code, const char *text) {
  g_mutex_lock(&connection->lock);
  ttrpc_connection_send_locked(connection, ttrpc_status_pack(stream_id, rpc_code, text));
  g_mutex_unlock(&connection->lock);
}

/* No method here streams, so Data has no call to belong to. A running call of that id gets this as its only answer. */
static void refuse_data(TtrpcConnection *connection, guint32 stream_id) {
  g_autoptr(GPtrArray) calls = g_ptr_array_new();
  g_mutex_lock(&connection->lock);
  gpointer call = NULL;
  if (g_hash_table_steal_extended(connection->calls, GUINT_TO_POINTER(stream_id), NULL, &call)) {
    ((TtrpcCall *)call)->is_gone = TRUE;
    g_ptr_array_add(calls, call);
  }
  g_mutex_unlock(&connection->lock);
  send_status(connection, stream_id, TTRPC_INVALID_ARGUMENT, "StreamID is no longer active");
  ttrpc_calls_drop(calls);
}

static void handle_frame(TtrpcConnection *connection, const TtrpcFrame *frame, gboolean is_oversize) {
  if (connection->kind == TTRPC_STREAM_PORT) {
    if (frame->type == TTRPC_FRAME_SYNC) {
      answer_sync(connection, frame->body);
      return;
    }
    gboolean is_sealed = connection->is_synced && ttrpc_seal_check(connection->nonce, frame->body, frame->length);
    if (frame->type != TTRPC_FRAME_REQUEST || !is_sealed) return;
  }
  if (is_oversize) {
    g_autofree char *text = ttrpc_oversize_text(frame->length);
    send_status(connection, frame->stream_id, TTRPC_RESOURCE_EXHAUSTED, text);
  } else if (frame->type != TTRPC_FRAME_REQUEST && frame->type != TTRPC_FRAME_DATA) {
    return;
  } else if (frame->stream_id % 2 == 0) {
    send_status(connection, frame->stream_id, TTRPC_INVALID_ARGUMENT,
                "StreamID must be odd for client initiated streams");
  } else if (frame->type == TTRPC_FRAME_DATA) {
    refuse_data(connection, frame->stream_id);
  } else {
    ttrpc_call_start(connection, frame);
  }
}

typedef enum { READ_BYTES, READ_NOTHING, READ_END } ReadResult;

/* Into the body of a long frame directly, else into the buffer; *ret_bytes tells where the bytes are. */
static ReadResult read_bytes(TtrpcConnection *connection, const guint8 **ret_bytes, gsize *ret_size) {
  gsize size = 0;
  guint8 *place = ttrpc_parser_get_space(&connection->parser, &size);
  if (place == NULL || size < TTRPC_READ_SIZE) {
    place = connection->buffer;
    size = TTRPC_READ_SIZE;
  }
  ssize_t count;
  do {
    count = read(connection->fd, place, size);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return READ_NOTHING;
  if (count <= 0) return READ_END;
  *ret_bytes = place;
  *ret_size = (gsize)count;
  return READ_BYTES;
}

/* Bytes that a pause leaves over stay in the buffer. Those read into a body's place are never left over: they end at
 * the frame's end at most. */
static void feed(TtrpcConnection *connection, const guint8 *bytes, gsize size, guint *frames) {
  gsize done = 0;
  do {
    g_auto(TtrpcFrame) frame = {0};
    gsize used = 0;
    TtrpcParseResult result = ttrpc_parser_feed(&connection->parser, bytes + done, size - done, &used, &frame);
    done += used;
    if (result == TTRPC_PARSE_MORE) return;
    if (result == TTRPC_PARSE_BROKEN) {
      ttrpc_connection_close(connection);
      return;
    }
    (*frames)++;
    handle_frame(connection, &frame, result == TTRPC_PARSE_OVERSIZE);
  } while (!connection->is_closed && *frames < FRAMES_PER_TURN && !is_paused(connection));
  if (done == size) return;
  connection->buffer_start = (gsize)(bytes + done - connection->buffer);
  connection->buffer_end = connection->buffer_start + (size - done);
}

static void watch_fd(TtrpcConnection *connection, gboolean watch) {
  if (watch == (connection->fd_tag != NULL)) return;
  if (watch) {
    connection->polled = G_IO_IN | G_IO_HUP | G_IO_ERR;
    connection->fd_tag = g_source_add_unix_fd(connection->source, connection->fd, connection->polled);
  } else {
    g_source_remove_unix_fd(connection->source, connection->fd_tag);
    connection->fd_tag = NULL;
  }
}

/* Nothing was asked since, and the peer waits for the answer. */
static gboolean has_only_sync_answer(TtrpcConnection *connection) {
  g_mutex_lock(&connection->lock);
  gboolean has = connection->sync_answer && g_queue_get_length(&connection->output) == 1 &&
                 g_queue_peek_head(&connection->output) == connection->sync_answer;
  g_mutex_unlock(&connection->lock);
  return has;
}

/* The end of a socket ends the connection. That of a port means that the host's side is closed for now, or that the
 * kernel does not know yet that it is open: the host's first bytes may come before that does, and nothing can be
 * written meanwhile. Should the peer be gone indeed, the next one looks past an answer that is not his. */
static void handle_end(TtrpcConnection *connection) {
  if (connection->kind == TTRPC_STREAM_SOCKET) {
    ttrpc_connection_close(connection);
    return;
  }
  if (!has_only_sync_answer(connection)) forget_peer(connection);
  ttrpc_parser_reset(&connection->parser);
  watch_fd(connection, FALSE);
  g_source_set_ready_time(connection->source, g_get_monotonic_time() + HANGUP_RECHECK_US);
}

static void read_frames(TtrpcConnection *connection) {
  guint frames = 0;
  guint reads = 0;
  while (!connection->is_closed && frames < FRAMES_PER_TURN && !is_paused(connection)) {
    const guint8 *bytes = connection->buffer + connection->buffer_start;
    gsize size = connection->buffer_end - connection->buffer_start;
    gboolean is_read = size == 0;
    if (is_read) {
      ReadResult result = read_bytes(connection, &bytes, &size);
      if (result == READ_END)
        handle_end(connection);
      else
        watch_fd(connection, TRUE);
      if (result != READ_BYTES) return;
    }
    connection->buffer_start = connection->buffer_end = 0;
    feed(connection, bytes, size, &frames);
    /* Fewer bytes than there was room for: most likely there are no more, and the poll will tell. */
    if (is_read && (size < TTRPC_READ_SIZE || ++reads == READS_PER_TURN)) break;
  }
}

/* Polls for what can be done next. */
static void update_source(TtrpcConnection *connection) {
  if (connection->is_closed || connection->fd_tag == NULL) return;
  g_mutex_lock(&connection->lock);
  gboolean paused = ttrpc_connection_is_paused_locked(connection);
  gboolean has_output = !g_queue_is_empty(&connection->output);
  gboolean is_broken = connection->is_broken;
  g_mutex_unlock(&connection->lock);
  if (is_broken) {
    ttrpc_connection_close(connection);
    return;
  }
  GIOCondition wanted = G_IO_HUP | G_IO_ERR;
  if (!paused) wanted |= G_IO_IN;
  if (has_output) wanted |= G_IO_OUT;
  if (wanted != connection->polled) g_source_modify_unix_fd(connection->source, connection->fd_tag, wanted);
  connection->polled = wanted;
  if (!paused && connection->buffer_start < connection->buffer_end) g_source_set_ready_time(connection->source, 0);
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer user_data) {
  g_autoptr(TtrpcConnection) connection = ttrpc_connection_ref(((ConnectionSource *)source)->connection);
  g_source_set_ready_time(source, -1);
  if (connection->is_dispatching) {
    /* A handler runs the main loop; polled for again once it returns. */
    connection->polled = G_IO_HUP | G_IO_ERR;
    if (connection->fd_tag != NULL) g_source_modify_unix_fd(source, connection->fd_tag, connection->polled);
    return G_SOURCE_CONTINUE;
  }
  connection->is_dispatching = TRUE;
  GIOCondition ready = connection->fd_tag != NULL ? g_source_query_unix_fd(source, connection->fd_tag) : G_IO_IN;
  g_mutex_lock(&connection->lock);
  flush_locked(connection);
  gboolean is_broken = connection->is_broken;
  gboolean paused = ttrpc_connection_is_paused_locked(connection);
  g_mutex_unlock(&connection->lock);
  gboolean is_lost = is_broken || (paused && (ready & (G_IO_HUP | G_IO_ERR)));
  if (is_lost && (is_broken || connection->kind == TTRPC_STREAM_SOCKET))
    ttrpc_connection_close(connection);
  else if (is_lost)
    forget_peer(connection);
  if (!connection->is_closed) read_frames(connection);
  connection->is_dispatching = FALSE;
  update_source(connection);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = dispatch};

void ttrpc_connection_open(TtrpcServer *server, int fd, TtrpcStreamKind kind, pid_t peer_pid) {
  TtrpcConnection *connection = g_new0(TtrpcConnection, 1);
  connection->refs = 1;
  connection->server = server;
  g_atomic_int_inc(&server->refs);
  connection->kind = kind;
  connection->peer_pid = peer_pid;
  connection->fd = fd;
  connection->is_socket = ttrpc_is_socket(fd);
  connection->buffer = g_malloc(TTRPC_READ_SIZE);
  connection->calls = g_hash_table_new(NULL, NULL);
  ttrpc_parser_init(&connection->parser, kind == TTRPC_STREAM_PORT);
  g_mutex_init(&connection->lock);
  g_queue_init(&connection->output);
  fd_set_nonblocking(fd, TRUE, NULL);
  connection->source = g_source_new(&source_funcs, sizeof(ConnectionSource));
  ((ConnectionSource *)connection->source)->connection = connection;
  /* Otherwise GLib wakes itself up by two writes to its eventfd around every dispatch. */
  g_source_set_can_recurse(connection->source, TRUE);
  watch_fd(connection, TRUE);
  g_ptr_array_add(server->connections, connection);
  g_source_attach(connection->source, server->context);
}
