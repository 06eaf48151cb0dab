// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/agent-calls.h"

#include "common/error.h"

static gboolean invoke(TtrpcClient *agent, const char *method, const ProtobufCMessage *request, gint64 timeout_ms,
                       ProtobufCMessage **ret_reply, GError **error) {
  if (agent == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "the guest has ended");
    return FALSE;
  }
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
