// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/agent-calls.h"

#include <stddef.h>
#include <string.h>

#include "common/error.h"

static struct {
  char *own_id;
  char *guest_id;
} alias; /* set before the calls that need it, in one thread */

void agent_calls_set_alias(const char *own_id, const char *guest_id) {
  g_free(alias.own_id);
  g_free(alias.guest_id);
  alias.own_id = g_strdup(own_id);
  alias.guest_id = g_strdup(guest_id);
}

const char *agent_calls_own_id(const char *guest_id) {
  return g_strcmp0(alias.guest_id, guest_id) == 0 && guest_id != NULL ? alias.own_id : guest_id;
}

const ProtobufCMessage *agent_calls_translate(const ProtobufCMessage *request, void *buffer) {
  static const char *const names[] = {"container_id", "exec_id"}; /* the first process has the container's */
  const ProtobufCMessageDescriptor *type = request->descriptor;
  if (alias.own_id == NULL || type->sizeof_message > AGENT_CALLS_MESSAGE_MAX) return request;
  memcpy(buffer, request, type->sizeof_message);
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(type, names[i]);
    if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING) continue;
    char **value = (char **)(void *)((guint8 *)buffer + field->offset);
    if (g_strcmp0(*value, alias.own_id) == 0) *value = alias.guest_id;
  }
  return buffer;
}

static gboolean invoke(TtrpcClient *agent, const char *method, const ProtobufCMessage *request, gint64 timeout_ms,
                       ProtobufCMessage **ret_reply, GError **error) {
  if (agent == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "the guest has ended");
    return FALSE;
  }
  union {
    max_align_t align;
    guint8 bytes[AGENT_CALLS_MESSAGE_MAX];
  } buffer;
  request = agent_calls_translate(request, &buffer);
  return ttrpc_client_invoke(agent, &grpc__agent_service__descriptor, method, request, timeout_ms, ret_reply, error);
}

#define AGENT_DEFINE_PLAIN(name, method, request_type)                                                             \
  gboolean agent_call_##name(TtrpcClient *agent, const request_type *request, gint64 timeout_ms, GError **error) { \
    return invoke(agent, #method, &request->base, timeout_ms, NULL, error);                                        \
  }
#define AGENT_DEFINE_REPLY(name, method, request_type, reply_type)                               \
  gboolean agent_call_##name(TtrpcClient *agent, const request_type *request, gint64 timeout_ms, \
                             reply_type **ret_reply, GError **error) {                           \
    ProtobufCMessage *reply = NULL;                                                              \
    ProtobufCMessage **wanted = ret_reply != NULL ? &reply : NULL;                               \
    if (!invoke(agent, #method, &request->base, timeout_ms, wanted, error)) return FALSE;        \
    if (ret_reply != NULL) *ret_reply = (reply_type *)reply;                                     \
    return TRUE;                                                                                 \
  }
AGENT_CALLS(AGENT_DEFINE_PLAIN, AGENT_DEFINE_REPLY)
