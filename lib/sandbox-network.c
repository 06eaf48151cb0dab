// SPDX-License-Identifier: LGPL-2.1-or-later
/* The guest's interfaces and routes. */
#include <json-c/json.h>
#include <stdlib.h>

#include "common/error.h"
#include "common/protobuf-json.h"
#include "lib/api.h"
#include "lib/owner-client.h"
#include "lib/sandbox.h"
#include "proto/kata-v1.pb-c.h"

/* The owner waits for the guest, twice at most: for its card, and to get rid of one. */
#define CHANGE_TIMEOUT_MS 120000
#define AGENT_TIMEOUT_MS 60000u

static ProtobufCMessage *read_interface(const char *text, GError **error) {
  struct json_object *json = json_tokener_parse(text);
  if (json == NULL || json_object_get_type(json) != json_type_object) {
    json_object_put(json);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "the interface is not a JSON object such as {\"device\": \"eth1\"}");
    return NULL;
  }
  ProtobufCMessage *message =
      protobuf_from_json(json, &types__interface__descriptor, PROTOBUF_JSON_CANONICAL, "interface", error);
  json_object_put(json);
  return message;
}

static gboolean change(const kata_sandbox *sandbox, const char *method, const char *text, GError **error) {
  ProtobufCMessage *interface = read_interface(text, error);
  if (interface == NULL) return FALSE;
  Kata__V1__InterfaceRequest request = KATA__V1__INTERFACE_REQUEST__INIT;
  request.interface = (Types__Interface *)interface;
  gboolean done = owner_call(sandbox->ctx, sandbox->id, &kata__v1__owner__descriptor, method, &request.base,
                             CHANGE_TIMEOUT_MS, NULL, error);
  protobuf_c_message_free_unpacked(interface, NULL);
  return done;
}

static int change_checked(const kata_sandbox *sandbox, const char *method, const char *text, uint32_t flags,
                          kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (api_check(sandbox, "sandbox", flags, 0, &error) && api_check_argument(text, "interface_json", &error) &&
      change(sandbox, method, text, &error))
    return 0;
  return api_fail(err, error);
}

int kata_sandbox_add_interface(kata_sandbox *sandbox, const char *interface_json, uint32_t flags, kata_error **err) {
  return change_checked(sandbox, "AddInterface", interface_json, flags, err);
}

int kata_sandbox_remove_interface(kata_sandbox *sandbox, const char *interface_json, uint32_t flags, kata_error **err) {
  return change_checked(sandbox, "RemoveInterface", interface_json, flags, err);
}

/* ---- what the agent knows ---- */

/* The list in the agent's answer. */
static char *take_list(const char *reply, const char *member) {
  struct json_object *json = json_tokener_parse(reply), *list = NULL;
  const char *text =
      json_object_object_get_ex(json, member, &list)
          ? json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)
          : "[]";
  char *copy = g_strdup(text);
  json_object_put(json);
  return copy;
}

static char *call(kata_sandbox *sandbox, const char *method, const char *request, const char *member, uint32_t flags,
                  kata_error **err) {
  char *reply = NULL;
  if (kata_sandbox_call_agent(sandbox, method, request, AGENT_TIMEOUT_MS, flags, &reply, err) != 0) return NULL;
  char *list = take_list(reply, member);
  kata_free(reply);
  return list;
}

char *kata_sandbox_list_interfaces(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  return call(sandbox, "AgentService.ListInterfaces", "{}", "Interfaces", flags, err);
}

char *kata_sandbox_list_routes(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  return call(sandbox, "AgentService.ListRoutes", "{}", "Routes", flags, err);
}

char *kata_sandbox_update_routes(kata_sandbox *sandbox, const char *routes_json, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) || !api_check_argument(routes_json, "routes_json", &error))
    return api_fail_null(err, error);
  struct json_object *list = json_tokener_parse(routes_json);
  if (list == NULL || json_object_get_type(list) != json_type_array) {
    json_object_put(list);
    g_set_error(&error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the routes are not a JSON array");
    return api_fail_null(err, error);
  }
  g_autofree char *request = g_strdup_printf("{\"routes\": {\"Routes\": %s}}", json_object_to_json_string(list));
  json_object_put(list);
  return call(sandbox, "AgentService.UpdateRoutes", request, "Routes", flags, err);
}
