// SPDX-License-Identifier: LGPL-2.1-or-later
#include <json-c/json.h>

#include "lib/api.h"
#include "lib/context.h"
#include "lib/host.h"

static struct json_object *finding_to_json(const HostFinding *finding) {
  struct json_object *json = json_object_new_object();
  json_object_object_add(json, "name", json_object_new_string(finding->name));
  json_object_object_add(json, "ok", json_object_new_boolean(finding->ok));
  json_object_object_add(json, "warning", json_object_new_boolean(finding->warning));
  json_object_object_add(json, "text", json_object_new_string(finding->text));
  json_object_object_add(json, "remedy", json_object_new_string(finding->remedy != NULL ? finding->remedy : ""));
  return json;
}

struct json_object *host_check_to_json(const kata_settings *settings) {
  g_autoptr(GPtrArray) findings = host_check(settings);
  struct json_object *json = json_object_new_array();
  for (guint i = 0; i < findings->len; i++) json_object_array_add(json, finding_to_json(findings->pdata[i]));
  return json;
}

char *kata_host_check(kata_context *ctx, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(kata_settings) settings = NULL;
  if (!api_check(ctx, "context", flags, 0, &error) || (settings = context_load_settings(ctx, &error)) == NULL)
    return api_fail_null(err, error);
  return api_take_json(host_check_to_json(settings));
}
