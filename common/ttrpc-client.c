// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The client: callers wait, and one of those that wait reads for all. It hands
 * the reading over when its own answer has come or its time is up. Frames are
 * written one after the other, each together with the choice of its stream id.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ttrpc-frame.h"
#include "common/ttrpc-message.h"
#include "common/ttrpc-resync.h"
#include "common/ttrpc.h"

#define READ_SIZE (16u << 10)
/* What a peer says in an error is kept to this length. */
#define TEXT_LIMIT (16u << 10)
#define LAST_STREAM_ID G_MAXUINT32

/* A thread that waits: for an answer, for its turn to write, or for the end of the connection. */
typedef struct {
  GCond cond;
  gboolean is_waiting; /* in g_cond_wait() to read or to be answered: may be made the reader */
  GList link;          /* in client->sleepers while is_waiting */
  gboolean is_done;
  gboolean is_oversize;
  TtrpcFrame frame;
} Waiter;

struct TtrpcClient {
  gint refs;
  int fd;
  int stop_fd; /* readable once the client is closed, or when a writer should look around */
  gboolean is_socket;
  TtrpcStreamKind kind;
  gboolean must_fill; /* a sync that failed may have left the peer inside of a frame */
  gboolean is_synced;
  guint8 seal[TTRPC_SEAL_SIZE];

  GMutex lock; /* for all below, but for what only the reader touches */
  gboolean is_closed;
  char *close_reason;
  guint64 next_id;
  GHashTable *pending; /* stream id -> Waiter */
  GQueue sleepers;     /* of Waiter; any of them can become the reader */
  gboolean has_reader;
  gboolean is_writing;
  GCond write_free;
  gboolean writer_is_stuck; /* it polls for room and would rather read too */
  TtrpcOutput *unsent;      /* the rest of a frame whose caller's time was up; written before the next */

  /* the reader's */
  TtrpcParser parser;
  guint8 *buffer;
};

typedef struct {
  const char *service;
  const char *method;
  gint64 timeout_ms;
  gint64 deadline; /* monotonic, 0: none */
} CallInfo;

TtrpcClient *ttrpc_client_new(int fd, TtrpcStreamKind kind) {
  TtrpcClient *client = g_new0(TtrpcClient, 1);
  client->refs = 1;
  client->fd = fd;
  client->kind = kind;
  client->is_socket = ttrpc_is_socket(fd);
  client->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  client->next_id = 1;
  client->pending = g_hash_table_new(NULL, NULL);
  client->buffer = g_malloc(READ_SIZE);
  g_mutex_init(&client->lock);
  g_cond_init(&client->write_free);
  g_queue_init(&client->sleepers);
  ttrpc_parser_init(&client->parser, FALSE);
  fd_set_nonblocking(fd, TRUE, NULL);
  return client;
}

TtrpcClient *ttrpc_client_ref(TtrpcClient *client) {
  g_atomic_int_inc(&client->refs);
  return client;
}

void ttrpc_client_unref(TtrpcClient *client) {
  if (client == NULL || !g_atomic_int_dec_and_test(&client->refs)) return;
  fd_clear(&client->fd);
  fd_clear(&client->stop_fd);
  g_free(client->close_reason);
  g_hash_table_unref(client->pending);
  g_clear_pointer(&client->unsent, ttrpc_output_free);
  ttrpc_parser_clear(&client->parser);
  g_free(client->buffer);
  g_cond_clear(&client->write_free);
  g_mutex_clear(&client->lock);
  g_free(client);
}

static void poke_stop_fd(TtrpcClient *client) {
  const guint64 one = 1;
  if (write(client->stop_fd, &one, sizeof(one)) < 0) return; /* only when it is readable anyway */
}

/* Fails what is pending and all that comes. The lock must be held. */
static void close_locked(TtrpcClient *client, const char *reason) {
  if (client->is_closed) return;
  client->is_closed = TRUE;
  client->close_reason = g_strdup(reason);
  if (client->is_socket) shutdown(client->fd, SHUT_RDWR);
  poke_stop_fd(client);
  for (GList *item = client->sleepers.head; item != NULL; item = item->next)
    g_cond_signal(&((Waiter *)item->data)->cond);
  g_cond_broadcast(&client->write_free);
}

void ttrpc_client_close(TtrpcClient *client, const char *reason) {
  g_mutex_lock(&client->lock);
  close_locked(client, reason != NULL ? reason : "connection closed");
  g_mutex_unlock(&client->lock);
}

/* ---- reading ---- */

/* Gives the frame to the call it answers. Unknown ids belong to calls whose time was up. The lock must be held. */
static void deliver_locked(TtrpcClient *client, TtrpcFrame *frame, gboolean is_oversize) {
  if (frame->type == TTRPC_FRAME_SYNC && client->kind == TTRPC_STREAM_PORT) return;
  Waiter *waiter = g_hash_table_lookup(client->pending, GUINT_TO_POINTER(frame->stream_id));
  if (waiter == NULL) return;
  g_hash_table_remove(client->pending, GUINT_TO_POINTER(frame->stream_id));
  waiter->is_done = TRUE;
  waiter->is_oversize = is_oversize;
  waiter->frame = *frame;
  *frame = (TtrpcFrame){0};
  if (waiter->is_waiting) g_cond_signal(&waiter->cond);
}

static void feed_locked(TtrpcClient *client, const guint8 *bytes, gsize size) {
  gsize done = 0;
  for (;;) {
    g_auto(TtrpcFrame) frame = {0};
    gsize used = 0;
    TtrpcParseResult result = ttrpc_parser_feed(&client->parser, bytes + done, size - done, &used, &frame);
    done += used;
    if (result == TTRPC_PARSE_MORE) return;
    if (result == TTRPC_PARSE_BROKEN) {
      close_locked(client, "the peer sent something that is not ttRPC");
      return;
    }
    deliver_locked(client, &frame, result == TTRPC_PARSE_OVERSIZE);
  }
}

static int milliseconds_until(gint64 deadline) {
  if (deadline == 0) return -1;
  return (int)CLAMP((deadline - g_get_monotonic_time() + 999) / 1000, 0, G_MAXINT);
}

/* Waits for bytes or one of events, reads once, and delivers. Only the reader may call this, without the lock;
 * afterwards the lock is held. */
static void read_once_and_lock(TtrpcClient *client, short events, gint64 deadline) {
  struct pollfd fds[] = {{.fd = client->fd, .events = (short)(POLLIN | events)},
                         {.fd = client->stop_fd, .events = POLLIN}};
  int ready = poll(fds, G_N_ELEMENTS(fds), milliseconds_until(deadline));
  if (ready > 0 && fds[1].revents != 0) {
    guint64 count;
    g_mutex_lock(&client->lock);
    /* A poke that was meant for a writer; that of the close stays for everybody to see. */
    if (!client->is_closed && read(client->stop_fd, &count, sizeof(count)) < 0) return;
    return;
  }
  ssize_t count = -1;
  int read_errno = EAGAIN;
  gsize space = 0;
  guint8 *place = ttrpc_parser_get_space(&client->parser, &space);
  if (place == NULL || space < READ_SIZE) {
    place = client->buffer;
    space = READ_SIZE;
  }
  if (ready > 0 && (fds[0].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL))) {
    count = read(client->fd, place, space);
    read_errno = errno;
  }
  g_mutex_lock(&client->lock);
  if (count > 0) {
    feed_locked(client, place, (gsize)count);
  } else if (count == 0) {
    close_locked(client, "the peer has closed the connection");
  } else if (read_errno != EAGAIN && read_errno != EWOULDBLOCK && read_errno != EINTR) {
    g_autofree char *reason = g_strdup_printf("the connection to the peer is lost: %s", g_strerror(read_errno));
    close_locked(client, reason);
  }
}

/* Whoever leaves while nobody reads passes the reading on. */
static void hand_over_locked(TtrpcClient *client) {
  if (client->has_reader) return;
  if (client->sleepers.head != NULL)
    g_cond_signal(&((Waiter *)client->sleepers.head->data)->cond);
  else if (client->writer_is_stuck)
    poke_stop_fd(client);
}

/* Sleeps until answered, closed, made the reader, or too late. FALSE: too late. first: at the head of the queue. */
static gboolean sleep_locked(TtrpcClient *client, Waiter *waiter, gint64 deadline, gboolean first) {
  gboolean in_time = TRUE;
  waiter->is_waiting = TRUE;
  waiter->link = (GList){.data = waiter};
  if (first)
    g_queue_push_head_link(&client->sleepers, &waiter->link);
  else
    g_queue_push_tail_link(&client->sleepers, &waiter->link);
  if (deadline == 0)
    g_cond_wait(&waiter->cond, &client->lock);
  else
    in_time = g_cond_wait_until(&waiter->cond, &client->lock, deadline);
  g_queue_unlink(&client->sleepers, &waiter->link);
  waiter->is_waiting = FALSE;
  return in_time;
}

/* Until the answer came, the connection closed, or the deadline passed; reads for all if nobody else does. */
static void wait_locked(TtrpcClient *client, Waiter *waiter, gint64 deadline) {
  while (!waiter->is_done && !client->is_closed && (deadline == 0 || g_get_monotonic_time() < deadline)) {
    if (client->has_reader) {
      sleep_locked(client, waiter, deadline, FALSE);
    } else {
      client->has_reader = TRUE;
      g_mutex_unlock(&client->lock);
      read_once_and_lock(client, 0, deadline);
      client->has_reader = FALSE;
    }
  }
  hand_over_locked(client);
}

void ttrpc_client_pump(TtrpcClient *client) {
  Waiter waiter = {0};
  g_cond_init(&waiter.cond);
  g_mutex_lock(&client->lock);
  while (!client->is_closed) {
    if (client->has_reader) {
      sleep_locked(client, &waiter, 0, TRUE);
    } else {
      client->has_reader = TRUE;
      g_mutex_unlock(&client->lock);
      read_once_and_lock(client, 0, 0);
      client->has_reader = FALSE;
    }
  }
  g_mutex_unlock(&client->lock);
  g_cond_clear(&waiter.cond);
}

/* ---- writing ---- */

/* Waits for room to write. Reads meanwhile if nobody else does: the peer may not read before it could write. */
static void wait_for_room_locked(TtrpcClient *client, gint64 deadline) {
  if (!client->has_reader) {
    client->has_reader = TRUE;
    g_mutex_unlock(&client->lock);
    read_once_and_lock(client, POLLOUT, deadline);
    client->has_reader = FALSE;
    return;
  }
  client->writer_is_stuck = TRUE;
  g_mutex_unlock(&client->lock);
  struct pollfd fds[] = {{.fd = client->fd, .events = POLLOUT}, {.fd = client->stop_fd, .events = POLLIN}};
  poll(fds, G_N_ELEMENTS(fds), milliseconds_until(deadline));
  g_mutex_lock(&client->lock);
  client->writer_is_stuck = FALSE;
}

typedef enum { WRITE_DONE, WRITE_LATE, WRITE_FAILED } WriteResult;

/* The lock must be held, and is_writing set by the caller; the lock is let go while waiting. */
static WriteResult write_output_locked(TtrpcClient *client, TtrpcOutput *output, gint64 deadline) {
  while (output->done < output->size) {
    if (client->is_closed) return WRITE_FAILED;
    gssize written =
        ttrpc_write(client->fd, client->is_socket, output->bytes + output->done, output->size - output->done);
    if (written < 0) {
      /* What the peer said before it went is still to be read; this call gets no answer in any case. */
      return WRITE_FAILED;
    }
    output->done += (gsize)written;
    if (written > 0) continue;
    if (deadline != 0 && g_get_monotonic_time() >= deadline) return WRITE_LATE;
    wait_for_room_locked(client, deadline);
  }
  return WRITE_DONE;
}

/* Writes the frame under a new stream id, the waiter registered for it. The lock must be held. */
static WriteResult send_locked(TtrpcClient *client, Waiter *waiter, TtrpcOutput **output, gint64 deadline,
                               guint32 *ret_id) {
  while (client->is_writing && !client->is_closed) {
    if (deadline == 0) {
      g_cond_wait(&client->write_free, &client->lock);
    } else if (!g_cond_wait_until(&client->write_free, &client->lock, deadline)) {
      g_cond_signal(&client->write_free); /* the turn may have been given to this one just now */
      return WRITE_LATE;
    }
  }
  if (client->is_closed) return WRITE_FAILED;
  if (client->next_id > LAST_STREAM_ID) {
    close_locked(client, "all stream ids are used up, a new connection is needed");
    return WRITE_FAILED;
  }
  client->is_writing = TRUE;
  WriteResult result = WRITE_DONE;
  if (client->unsent != NULL) result = write_output_locked(client, client->unsent, deadline);
  if (result == WRITE_DONE) {
    g_clear_pointer(&client->unsent, ttrpc_output_free);
    *ret_id = (guint32)client->next_id;
    client->next_id += 2;
    ttrpc_output_set_stream_id(*output, *ret_id);
    g_hash_table_insert(client->pending, GUINT_TO_POINTER(*ret_id), waiter);
    result = write_output_locked(client, *output, deadline);
    if (result == WRITE_LATE && (*output)->done > 0) client->unsent = g_steal_pointer(output);
  }
  client->is_writing = FALSE;
  g_cond_signal(&client->write_free);
  return result;
}

/* ---- calls ---- */

static gboolean set_late(const CallInfo *call, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "'%s/%s' was not answered within %" G_GINT64_FORMAT " ms",
              call->service, call->method, call->timeout_ms);
  return FALSE;
}

static gboolean set_too_long(const CallInfo *call, const char *what, gsize length, GError **error) {
  g_autofree char *text = ttrpc_oversize_text(length);
  g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "cannot %s '%s/%s': %s", what, call->service,
              call->method, text);
  return FALSE;
}

static gboolean set_status(const CallInfo *call, const Google__Rpc__Status *status, GError **error) {
  g_autofree char *text = g_utf8_make_valid(status->message, (gssize)strnlen(status->message, TEXT_LIMIT));
  kata_error_code code = error_code_from_rpc(status->code);
  /* The server has looked at the clock first, and says no more than that. */
  if (status->code == TTRPC_DEADLINE_EXCEEDED && call->timeout_ms > 0 && strcmp(text, TTRPC_TIMEOUT_TEXT) == 0)
    return set_late(call, error);
  if (*text != '\0')
    g_set_error_literal(error, KATA_ERROR, code, text);
  else
    g_set_error(error, KATA_ERROR, code, "'%s/%s' failed with status code %d", call->service, call->method,
                status->code);
  return FALSE;
}

/* Makes the reply of a frame. */
static gboolean take_reply(const CallInfo *call, const TtrpcFrame *frame, const ProtobufCMessageDescriptor *type,
                           ProtobufCMessage **ret_reply, GError **error) {
  ProtobufCBinaryData payload = {0};
  Ttrpc__Response *response = frame->type == TTRPC_FRAME_RESPONSE ? ttrpc_response_unpack(frame, &payload) : NULL;
  if (response == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_IO, "the answer to '%s/%s' is malformed", call->service, call->method);
    return FALSE;
  }
  gboolean ok = TRUE;
  if (response->status != NULL && response->status->code != TTRPC_OK) {
    ok = set_status(call, response->status, error);
  } else if (ret_reply != NULL) {
    ProtobufCMessage *reply = ttrpc_unpack(type, payload.data, payload.len);
    ok = reply != NULL;
    if (ok)
      *ret_reply = reply;
    else
      g_set_error(error, KATA_ERROR, KATA_ERR_IO, "the answer to '%s/%s' is not a %s", call->service, call->method,
                  type->name);
  }
  ttrpc__response__free_unpacked(response, NULL);
  return ok;
}

/* Sends and waits. On success *ret_frame is the answer. */
static gboolean exchange(TtrpcClient *client, const CallInfo *call, TtrpcOutput **output, TtrpcFrame *ret_frame,
                         GError **error) {
  Waiter waiter = {0};
  guint32 id = 0;
  g_autofree char *reason = NULL;
  g_cond_init(&waiter.cond);
  g_mutex_lock(&client->lock);
  WriteResult result = send_locked(client, &waiter, output, call->deadline, &id);
  if (result == WRITE_DONE)
    wait_locked(client, &waiter, call->deadline);
  else
    hand_over_locked(client);
  if (id != 0) g_hash_table_remove(client->pending, GUINT_TO_POINTER(id));
  gboolean is_lost = result == WRITE_FAILED || (!waiter.is_done && client->is_closed);
  if (is_lost) reason = g_strdup(client->is_closed ? client->close_reason : "the peer has closed the connection");
  g_mutex_unlock(&client->lock);
  g_cond_clear(&waiter.cond);

  g_auto(TtrpcFrame) frame = waiter.frame;
  if (waiter.is_done && waiter.is_oversize) return set_too_long(call, "take the answer to", frame.length, error);
  if (waiter.is_done) {
    *ret_frame = frame;
    frame.body = NULL;
    return TRUE;
  }
  if (!is_lost) return set_late(call, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "cannot call '%s/%s': %s", call->service, call->method, reason);
  return FALSE;
}

gboolean ttrpc_client_call(TtrpcClient *client, const char *service, const char *method,
                           const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply_type,
                           gint64 timeout_ms, ProtobufCMessage **ret_reply, GError **error) {
  CallInfo call = {.service = service, .method = method, .timeout_ms = timeout_ms};
  gint64 timeout_us = CLAMP(timeout_ms, 0, G_MAXINT64 / 4000) * 1000;
  if (timeout_us > 0) call.deadline = g_get_monotonic_time() + timeout_us;
  if (client->kind == TTRPC_STREAM_PORT && !client->is_synced) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot call '%s/%s': the port is not in step yet", service,
                method);
    return FALSE;
  }
  gsize length = 0;
  g_autoptr(TtrpcOutput) output =
      ttrpc_request_pack(service, method, request, timeout_us, client->is_synced ? client->seal : NULL, &length);
  if (output == NULL) return set_too_long(&call, "call", length, error);
  g_auto(TtrpcFrame) frame = {0};
  return exchange(client, &call, &output, &frame, error) && take_reply(&call, &frame, reply_type, ret_reply, error);
}

gboolean ttrpc_client_invoke(TtrpcClient *client, const ProtobufCServiceDescriptor *service, const char *method,
                             const ProtobufCMessage *request, gint64 timeout_ms, ProtobufCMessage **ret_reply,
                             GError **error) {
  const ProtobufCMethodDescriptor *descriptor = protobuf_c_service_descriptor_get_method_by_name(service, method);
  if (descriptor == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "service '%s' has no method '%s'", service->name, method);
    return FALSE;
  }
  if (request->descriptor != descriptor->input) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "'%s/%s' takes a '%s', not a '%s'", service->name, method,
                descriptor->input->name, request->descriptor->name);
    return FALSE;
  }
  return ttrpc_client_call(client, service->name, method, request, descriptor->output, timeout_ms, ret_reply, error);
}

gboolean ttrpc_client_sync(TtrpcClient *client, gboolean was_used, int timeout_ms, GError **error) {
  guint8 nonce[TTRPC_NONCE_SIZE];
  g_autoptr(GError) sync_error = NULL;
  if (!ttrpc_resync(client->fd, client->stop_fd, was_used || client->must_fill, timeout_ms, nonce, &sync_error)) {
    client->must_fill = TRUE;
    g_mutex_lock(&client->lock);
    if (client->is_closed)
      g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "cannot get in step with the guest: %s",
                  client->close_reason);
    else
      g_propagate_error(error, g_steal_pointer(&sync_error));
    g_mutex_unlock(&client->lock);
    return FALSE;
  }
  client->must_fill = FALSE;
  client->is_synced = TRUE;
  ttrpc_seal_encode(nonce, client->seal);
  return TRUE;
}
