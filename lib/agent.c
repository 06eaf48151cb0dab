// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/agent.h"

#include <json-c/json.h>
#include <limits.h>
#include <string.h>

#include "common/error.h"
#include "common/protobuf-json.h"
#include "common/ttrpc.h"
#include "lib/api.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"

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

/* "AgentService.Check" or "grpc.AgentService.Check". */
static const ProtobufCMethodDescriptor *find_method(const char *name, const ProtobufCServiceDescriptor **ret_service,
                                                    GError **error) {
  static const ProtobufCServiceDescriptor *const services[] = {&grpc__agent_service__descriptor,
                                                               &grpc__health__descriptor};
  const char *plain = g_str_has_prefix(name, "grpc.") ? name + strlen("grpc.") : name;
  for (gsize i = 0; i < G_N_ELEMENTS(services); i++) {
    gsize length = strlen(services[i]->short_name);
    if (strncmp(plain, services[i]->short_name, length) != 0 || plain[length] != '.') continue;
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(services[i], plain + length + 1);
    if (method == NULL) break;
    *ret_service = services[i];
    return method;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
              "the agent protocol has no method '%s' (AgentService.METHOD or Health.METHOD is needed)", name);
  return NULL;
}

static ProtobufCMessage *read_request(const ProtobufCMethodDescriptor *method, const char *text, GError **error) {
  if (text == NULL) text = "{}";
  if (strlen(text) > TTRPC_MAX_BODY * 2) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "the request is longer than %u bytes",
                TTRPC_MAX_BODY * 2);
    return NULL;
  }
  enum json_tokener_error problem = json_tokener_success;
  struct json_object *json = json_tokener_parse_verbose(text, &problem);
  if (problem != json_tokener_success || !json_object_is_type(json, json_type_object)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the request is not a JSON object%s%s",
                problem != json_tokener_success ? ": " : "",
                problem != json_tokener_success ? json_tokener_error_desc(problem) : "");
    json_object_put(json);
    return NULL;
  }
  ProtobufCMessage *request = protobuf_from_json(json, method->input, PROTOBUF_JSON_PROTO, "request", error);
  json_object_put(json);
  return request;
}

static gboolean call(TtrpcClient *client, const char *name, const char *request_json, gint64 timeout_ms,
                     char **ret_reply_json, GError **error) {
  const ProtobufCServiceDescriptor *service = NULL;
  const ProtobufCMethodDescriptor *method = find_method(name, &service, error);
  if (method == NULL) return FALSE;
  ProtobufCMessage *request = read_request(method, request_json, error);
  if (request == NULL) return FALSE;
  ProtobufCMessage *reply = NULL;
  gboolean ok = ttrpc_client_invoke(client, service, method->name, request, timeout_ms, &reply, error);
  protobuf_c_message_free_unpacked(request, NULL);
  if (!ok) return FALSE;
  if (ret_reply_json != NULL) {
    struct json_object *json = protobuf_to_json(reply, PROTOBUF_JSON_PROTO);
    *ret_reply_json =
        g_strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(json);
  }
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
