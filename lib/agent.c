// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/agent.h"

#include <limits.h>

#include "common/error.h"
#include "common/ttrpc.h"
#include "lib/agent-methods.h"
#include "lib/api.h"

struct kata_agent {
  gatomicrefcount refs;
  TtrpcClient *client;
};

kata_agent *kata_agent_connect(const char *address, uint32_t timeout_ms, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  int fd = -1;
  if (!api_check(address, "agent address", flags, 0, &error) ||
      (fd = ttrpc_dial(address, (int)MIN(timeout_ms, INT_MAX), &error)) < 0)
    return api_fail_null(err, error);
  kata_agent *agent = g_new0(kata_agent, 1);
  g_atomic_ref_count_init(&agent->refs);
  agent->client = ttrpc_client_new(fd, TTRPC_STREAM_SOCKET);
  return agent;
}

kata_agent *kata_agent_ref(kata_agent *agent) {
  if (agent != NULL) g_atomic_ref_count_inc(&agent->refs);
  return agent;
}

void kata_agent_unref(kata_agent *agent) {
  if (agent == NULL || !g_atomic_ref_count_dec(&agent->refs)) return;
  ttrpc_client_unref(agent->client);
  g_free(agent);
}

static gboolean call(TtrpcClient *client, const char *name, const char *request_json, gint64 timeout_ms,
                     char **ret_reply_json, GError **error) {
  const kata_agent_method *method = agent_method_find(name, error);
  ProtobufCMessage *request = method != NULL ? agent_method_read_request(method, request_json, error) : NULL;
  if (request == NULL) return FALSE;
  ProtobufCMessage *reply = NULL;
  gboolean ok =
      ttrpc_client_invoke(client, method->service, method->descriptor->name, request, timeout_ms, &reply, error);
  protobuf_c_message_free_unpacked(request, NULL);
  if (!ok) return FALSE;
  if (ret_reply_json != NULL) *ret_reply_json = agent_method_write_reply(reply);
  protobuf_c_message_free_unpacked(reply, NULL);
  return TRUE;
}

int kata_agent_call(kata_agent *agent, const char *method, const char *request_json, uint32_t timeout_ms,
                    uint32_t flags, char **ret_reply_json, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(agent, "agent", flags, 0, &error) || !api_check_argument(method, "method", &error) ||
      !call(agent->client, method, request_json, timeout_ms, ret_reply_json, &error))
    return api_fail(err, error);
  return 0;
}
