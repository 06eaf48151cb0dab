// SPDX-License-Identifier: LGPL-2.1-or-later
/* What goes on in a container: its processes, its counters, its events. */
#include <json-c/json.h>

#include "common/error.h"
#include "common/protobuf-json.h"
#include "lib/api.h"
#include "lib/container.h"
#include "proto/agent.pb-c.h"

#define OWNER_SERVICE (&kata__v1__owner__descriptor)
/* One call's wait; who waits longer calls again, so that an owner never waits long for a caller that has gone. */
#define EVENT_WAIT_MS 20000

/* Takes json over. */
static char *print(struct json_object *json) {
  return api_take_json(json);
}

static char *stats_to_json(const ProtobufCBinaryData *packed, const char *id, GError **error) {
  ProtobufCMessage *stats =
      protobuf_c_message_unpack(&grpc__stats_container_response__descriptor, NULL, packed->len, packed->data);
  if (stats == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_GUEST, "the guest's counters of container '%s' are not well-formed", id);
    return NULL;
  }
  char *text = print(protobuf_to_json(stats, PROTOBUF_JSON_PROTO));
  protobuf_c_message_free_unpacked(stats, NULL);
  return text;
}

char *kata_container_get_stats(kata_container *container, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OwnerReply) reply = NULL;
  Kata__V1__AgentStatsRequest request = KATA__V1__AGENT_STATS_REQUEST__INIT;
  if (!api_check(container, "container", flags, 0, &error)) return api_fail_null(err, error);
  request.id = container->id;
  char *json = NULL;
  if (!owner_ask(container->ctx, container->sandbox_id, OWNER_SERVICE, "AgentStats", &request.base, 0, &reply,
                 &error) ||
      (json = stats_to_json(&((Kata__V1__AgentStatsResponse *)reply)->stats, container->id, &error)) == NULL)
    return api_fail_null(err, error);
  return json;
}

char *kata_container_get_processes(kata_container *container, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OwnerReply) reply = NULL;
  Kata__V1__ProcessesRequest request = KATA__V1__PROCESSES_REQUEST__INIT;
  if (!api_check(container, "container", flags, 0, &error)) return api_fail_null(err, error);
  request.id = container->id;
  if (!owner_ask(container->ctx, container->sandbox_id, OWNER_SERVICE, "Processes", &request.base, 0, &reply, &error))
    return api_fail_null(err, error);
  const Kata__V1__ListProcessesResponse *list = (Kata__V1__ListProcessesResponse *)reply;
  struct json_object *json = json_object_new_array();
  for (gsize i = 0; i < list->n_processes; i++)
    json_object_array_add(json, protobuf_to_json(&list->processes[i]->base, PROTOBUF_JSON_PROTO));
  return print(json);
}

static char *event_to_json(const Kata__V1__Event *event) {
  g_autofree char *when = container_time_to_text(event->time);
  struct json_object *json = json_object_new_object();
  json_object_object_add(json, "type", json_object_new_string(event->type));
  json_object_object_add(json, "time", json_object_new_string(when));
  if (g_str_equal(event->type, "exit"))
    json_object_object_add(json, "exit_status", json_object_new_int64(event->exit_status));
  return print(json);
}

/* NULL without an error: none came in time. */
static char *next_event(const kata_container *container, uint64_t *position, guint wait_ms, GError **error) {
  Kata__V1__NextEventRequest request = KATA__V1__NEXT_EVENT_REQUEST__INIT;
  request.id = container->id;
  request.after = *position;
  request.timeout_ms = wait_ms;
  g_autoptr(OwnerReply) reply = NULL;
  if (!owner_ask(container->ctx, container->sandbox_id, OWNER_SERVICE, "NextEvent", &request.base,
                 wait_ms + OWNER_QUICK_MS, &reply, error))
    return NULL;
  const Kata__V1__NextEventResponse *response = (Kata__V1__NextEventResponse *)reply;
  if (response->event == NULL) return NULL;
  *position = response->event->number;
  return event_to_json(response->event);
}

char *kata_container_next_event(kata_container *container, uint64_t *position, uint32_t timeout_ms, uint32_t flags,
                                kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", flags, 0, &error) || !api_check_argument(position, "position", &error))
    return api_fail_null(err, error);
  gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
  for (;;) {
    gint64 left = timeout_ms == 0 ? EVENT_WAIT_MS : (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
    char *event = next_event(container, position, (guint)CLAMP(left, 0, EVENT_WAIT_MS), &error);
    if (event != NULL) return event;
    if (error != NULL) return api_fail_null(err, error);
    if (timeout_ms == 0 || left > EVENT_WAIT_MS) continue;
    g_set_error(&error, KATA_ERROR, KATA_ERR_TIMEOUT, "nothing happened to container '%s' within %u ms", container->id,
                timeout_ms);
    return api_fail_null(err, error);
  }
}
