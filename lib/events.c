// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events with a descriptor: one question to the owner is always under way, and its answer makes the connection
 * readable. The caller polls an epoll(7) descriptor around it, which stays the same when the connection is made anew.
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ttrpc-message.h"
#include "common/ttrpc.h"
#include "kata/event.h"
#include "lib/api.h"
#include "lib/container.h"
#include "lib/owner-client.h"
#include "lib/sandbox.h"
#include "proto/kata-v1.pb-c.h"

/* As long as the owner waits at most; then it answers that there was nothing, and is asked again. */
#define QUESTION_MS 30000
/* An owner that is asked for what there is now answers at once; so long is it waited for. */
#define PROMPT_MS 10000
#define READ_SIZE 4096

struct kata_events {
  gatomicrefcount refs;
  kata_sandbox *sandbox;
  guint64 position;   /* of the last event given */
  guint32 question;   /* its stream id */
  gboolean is_prompt; /* the owner answers it at once */
  int epoll;          /* what the caller polls */
  int owner;          /* the connection; -1: none */
  int trouble;        /* readable while there is no connection, so that the caller comes and asks */
  TtrpcParser parser;
};

static gboolean watch(int epoll, int fd, GError **error) {
  struct epoll_event event = {.events = EPOLLIN};
  if (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) return TRUE;
  error_set_errno(error, errno, "cannot wait for events");
  return FALSE;
}

static void disconnect(kata_events *events) {
  fd_clear(&events->owner);
  ttrpc_parser_clear(&events->parser);
  ttrpc_parser_init(&events->parser, FALSE);
  if (events->trouble >= 0) return;
  events->trouble = eventfd(1, EFD_CLOEXEC);
  watch(events->epoll, events->trouble, NULL);
}

static gboolean connect_to_owner(kata_events *events, GError **error) {
  if (events->owner >= 0) return TRUE;
  autofd int fd = owner_connect(events->sandbox->ctx, events->sandbox->id, error);
  if (fd < 0 || !watch(events->epoll, fd, error)) return FALSE;
  events->owner = fd_steal(&fd);
  events->question = 0;
  events->is_prompt = TRUE;
  fd_clear(&events->trouble);
  return TRUE;
}

/* A question is far smaller than a socket's buffer, which is empty: it is written whole or the owner is gone. */
static gboolean ask(kata_events *events, GError **error) {
  if (!connect_to_owner(events, error)) return FALSE;
  Kata__V1__NextEventRequest request = KATA__V1__NEXT_EVENT_REQUEST__INIT;
  request.after = events->position;
  request.timeout_ms = events->is_prompt ? 0 : QUESTION_MS;
  gsize length = 0;
  g_autoptr(TtrpcOutput) output =
      ttrpc_request_pack(kata__v1__owner__descriptor.name, "NextEvent", &request.base, 0, NULL, &length);
  events->question += events->question == 0 ? 1 : 2; /* odd ones are the client's */
  ttrpc_output_set_stream_id(output, events->question);
  if (ttrpc_write(events->owner, TRUE, output->bytes, output->size) == (gssize)output->size) return TRUE;
  disconnect(events);
  g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "the owner of sandbox '%s' has gone", events->sandbox->id);
  return FALSE;
}

/* ---- answers ---- */

static char *to_json(const Kata__V1__Event *event) {
  g_autofree char *when = container_time_to_text(event->time);
  struct json_object *json = json_object_new_object();
  json_object_object_add(json, "number", json_object_new_uint64(event->number));
  json_object_object_add(json, "type", json_object_new_string(event->type));
  json_object_object_add(json, "container", json_object_new_string(event->container_id));
  json_object_object_add(json, "time", json_object_new_string(when));
  if (g_str_equal(event->type, "exit"))
    json_object_object_add(json, "exit_status", json_object_new_int64(event->exit_status));
  return api_take_json(json);
}

/* NULL without an error: there was none in time. */
static char *take_answer(kata_events *events, const TtrpcFrame *frame, GError **error) {
  ProtobufCBinaryData payload = {0};
  Ttrpc__Response *response = frame->type == TTRPC_FRAME_RESPONSE ? ttrpc_response_unpack(frame, &payload) : NULL;
  Kata__V1__NextEventResponse *reply = NULL;
  char *json = NULL;
  if (response != NULL && response->status != NULL && response->status->code != TTRPC_OK)
    g_set_error(error, KATA_ERROR, error_code_from_rpc(response->status->code), "sandbox '%s': %s", events->sandbox->id,
                response->status->message);
  else if (response == NULL || (reply = (Kata__V1__NextEventResponse *)ttrpc_unpack(
                                    &kata__v1__next_event_response__descriptor, payload.data, payload.len)) == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_IO, "the owner of sandbox '%s' tells of events in a way nobody understands",
                events->sandbox->id);
  else if (reply->event != NULL) {
    events->position = reply->event->number;
    json = to_json(reply->event);
  }
  if (reply != NULL) kata__v1__next_event_response__free_unpacked(reply, NULL);
  if (response != NULL) ttrpc__response__free_unpacked(response, NULL);
  return json;
}

/* Reads what is there. FALSE: the owner has gone, or talks nonsense. */
static gboolean read_frame(kata_events *events, TtrpcFrame *ret_frame, gboolean *ret_whole) {
  *ret_whole = FALSE;
  for (;;) {
    /* No further than the frame's end: nothing of the next one is kept here. */
    guint8 bytes[READ_SIZE];
    gsize room = 0, used = 0;
    gboolean in_body = ttrpc_parser_get_space(&events->parser, &room) != NULL;
    gsize wanted = in_body                                   ? MIN(room, READ_SIZE)
                   : events->parser.state == TTRPC_AT_HEADER ? TTRPC_HEADER_SIZE - events->parser.done
                                                             : READ_SIZE;
    ssize_t got = recv(events->owner, bytes, wanted, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return TRUE;
    if (got <= 0) return FALSE;
    TtrpcParseResult result = ttrpc_parser_feed(&events->parser, bytes, (gsize)got, &used, ret_frame);
    if (result == TTRPC_PARSE_FRAME) return *ret_whole = TRUE;
    if (result != TTRPC_PARSE_MORE) return FALSE;
  }
}

/* FALSE: the owner was told that it may take its time. */
static gboolean wait_for_prompt(const kata_events *events) {
  struct pollfd fd = {.fd = events->owner, .events = POLLIN};
  return events->is_prompt && poll(&fd, 1, PROMPT_MS) != 0; /* a signal: look again */
}

/* An event if there is one now. NULL without an error: none. */
static char *take_event(kata_events *events, GError **error) {
  for (;;) {
    g_auto(TtrpcFrame) frame = {0};
    gboolean whole = FALSE;
    if (events->owner < 0 || !read_frame(events, &frame, &whole)) {
      disconnect(events);
      if (!ask(events, error)) return NULL;
      continue;
    }
    if (!whole && !wait_for_prompt(events)) return NULL;
    if (!whole) continue;
    g_autoptr(GError) problem = NULL;
    char *json = take_answer(events, &frame, &problem);
    if (problem != NULL) {
      disconnect(events);
      g_propagate_error(error, g_steal_pointer(&problem));
      return NULL;
    }
    /* If that fails the descriptor is readable, and the next call tells. */
    events->is_prompt = json != NULL;
    ask(events, NULL);
    if (json != NULL) return json;
  }
}

static char *next(kata_events *events, uint32_t timeout_ms, gboolean wait, GError **error) {
  gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
  for (;;) {
    g_autoptr(GError) problem = NULL;
    char *json = take_event(events, &problem);
    if (json != NULL) return json;
    if (problem != NULL) {
      g_propagate_error(error, g_steal_pointer(&problem));
      return NULL;
    }
    gint64 left = (deadline - g_get_monotonic_time() + 999) / G_TIME_SPAN_MILLISECOND;
    if (!wait || (timeout_ms != 0 && left <= 0)) {
      g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "nothing happened in sandbox '%s' within %u ms",
                  events->sandbox->id, wait ? timeout_ms : 0);
      return NULL;
    }
    struct pollfd fd = {.fd = events->epoll, .events = POLLIN};
    poll(&fd, 1, timeout_ms == 0 ? -1 : (int)MIN(left, G_MAXINT));
  }
}

/* ---- the calls ---- */

static kata_events *open_events(kata_sandbox *sandbox, uint64_t after, GError **error) {
  kata_events *events = g_new0(kata_events, 1);
  g_atomic_ref_count_init(&events->refs);
  events->sandbox = kata_sandbox_ref(sandbox);
  events->position = after;
  events->owner = events->trouble = -1;
  ttrpc_parser_init(&events->parser, FALSE);
  events->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (events->epoll < 0) {
    error_set_errno(error, errno, "cannot wait for events of sandbox '%s'", sandbox->id);
  } else if (ask(events, error)) {
    return events;
  }
  kata_events_unref(events);
  return NULL;
}

kata_events *kata_events_open(kata_sandbox *sandbox, uint64_t after, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  kata_events *events = api_check(sandbox, "sandbox", flags, 0, &error) ? open_events(sandbox, after, &error) : NULL;
  return events != NULL ? events : api_fail_null(err, error);
}

kata_events *kata_events_ref(kata_events *events) {
  if (events != NULL) g_atomic_ref_count_inc(&events->refs);
  return events;
}

void kata_events_unref(kata_events *events) {
  if (events == NULL || !g_atomic_ref_count_dec(&events->refs)) return;
  fd_clear(&events->owner);
  fd_clear(&events->trouble);
  fd_clear(&events->epoll);
  ttrpc_parser_clear(&events->parser);
  kata_sandbox_unref(events->sandbox);
  g_free(events);
}

int kata_events_get_fd(const kata_events *events) { return events != NULL ? events->epoll : -1; }

char *kata_events_next(kata_events *events, uint32_t timeout_ms, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  gboolean wait = (flags & KATA_EVENTS_NEXT_DONT_WAIT) == 0;
  char *json = api_check(events, "row of events", flags, KATA_EVENTS_NEXT_DONT_WAIT, &error)
                   ? next(events, timeout_ms, wait, &error)
                   : NULL;
  return json != NULL ? json : api_fail_null(err, error);
}
