// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/agent-methods.h"

#include <json-c/json.h>
#include <string.h>

#include "common/error.h"
#include "common/json-text.h"
#include "common/protobuf-json.h"
#include "common/ttrpc.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "lib/api.h"

#define PACKAGE "grpc."
/* base64 takes four characters for three bytes; names and white space come on top. */
#define REQUEST_TEXT_MAX (TTRPC_MAX_BODY * 2)

/* ---- the list ---- */

static gpointer make_methods(gpointer unused) {
  static const ProtobufCServiceDescriptor *const services[] = {&grpc__agent_service__descriptor,
                                                               &grpc__health__descriptor};
  GArray *methods = g_array_new(TRUE, TRUE, sizeof(kata_agent_method));
  for (gsize i = 0; i < G_N_ELEMENTS(services); i++)
    for (unsigned k = 0; k < services[i]->n_methods; k++) {
      const ProtobufCMethodDescriptor *descriptor = &services[i]->methods[k];
      kata_agent_method method = {.service = services[i],
                                  .descriptor = descriptor,
                                  .name = g_strconcat(services[i]->short_name, ".", descriptor->name, NULL)};
      g_array_append_val(methods, method);
    }
  return g_array_free(methods, FALSE);
}

/* Ends with one that has no name. Made once, and kept. */
static const kata_agent_method *get_methods(void) {
  static GOnce once = G_ONCE_INIT;
  return g_once(&once, make_methods, NULL);
}

const kata_agent_method *kata_agent_method_next(const kata_agent_method *previous) {
  const kata_agent_method *next = previous != NULL ? previous + 1 : get_methods();
  return next->name != NULL ? next : NULL;
}

const char *kata_agent_method_get_name(const kata_agent_method *method) { return method != NULL ? method->name : NULL; }

const char *kata_agent_method_get_request_type(const kata_agent_method *method) {
  return method != NULL ? method->descriptor->input->name : NULL;
}

const char *kata_agent_method_get_reply_type(const kata_agent_method *method) {
  return method != NULL ? method->descriptor->output->name : NULL;
}

const kata_agent_method *agent_method_find(const char *name, GError **error) {
  g_autofree char *wanted = g_strdup(g_str_has_prefix(name, PACKAGE) ? name + strlen(PACKAGE) : name);
  g_strdelimit(wanted, "/", '.');
  for (const kata_agent_method *method = get_methods(); method->name != NULL; method++)
    if (strcmp(wanted, method->name) == 0 || strcmp(wanted, method->descriptor->name) == 0) return method;
  g_autofree char *shown = error_clean_text(name);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
              "the agent protocol has no method '%s' (AgentService.METHOD or Health.METHOD is needed)", shown);
  return NULL;
}

/* ---- messages ---- */

ProtobufCMessage *agent_method_read_request(const kata_agent_method *method, const char *json, GError **error) {
  if (json == NULL) json = "{}";
  struct json_object *object = json_text_parse(json, strlen(json), REQUEST_TEXT_MAX, "request", error);
  if (object == NULL) return NULL;
  ProtobufCMessage *request =
      protobuf_from_json(object, method->descriptor->input, PROTOBUF_JSON_CANONICAL, "request", error);
  json_object_put(object);
  return request;
}

char *agent_method_write_reply(const ProtobufCMessage *reply) {
  struct json_object *json = protobuf_to_json(reply, PROTOBUF_JSON_CANONICAL);
  return api_take_json(json);
}
