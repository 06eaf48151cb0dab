// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/template.h"

#include "lib/api.h"
#include "lib/owner-program.h"

#define FLAG "-template"

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

static JsonObject *ask(const kata_context *ctx, const kata_settings *settings, uint32_t flags, const char *word,
                       json_type type, GError **error) {
  return api_check(ctx, "context", flags, 0, error) ? owner_program_ask(ctx, settings, FLAG, word, type, error) : NULL;
}

char *kata_template_create(kata_context *ctx, const kata_settings *settings, uint32_t flags, int *ret_is_new,
                           kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(JsonObject) answer = ask(ctx, settings, flags, "create", json_type_object, &error);
  if (answer == NULL) return api_fail_null(err, error);
  if (ret_is_new != NULL) *ret_is_new = json_object_get_boolean(json_object_object_get(answer, "is_new"));
  const char *key = json_object_get_string(json_object_object_get(answer, "key"));
  return g_strdup(key != NULL ? key : "");
}

char *kata_template_list(kata_context *ctx, const kata_settings *settings, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  JsonObject *answer = ask(ctx, settings, flags, "list", json_type_array, &error);
  return answer != NULL ? api_take_json(answer) : api_fail_null(err, error);
}

char **kata_template_remove(kata_context *ctx, const kata_settings *settings, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(JsonObject) answer = ask(ctx, settings, flags, "remove", json_type_array, &error);
  if (answer == NULL) return api_fail_null(err, error);
  g_autoptr(GStrvBuilder) keys = g_strv_builder_new();
  for (size_t i = 0; i < json_object_array_length(answer); i++)
    g_strv_builder_add(keys, json_object_get_string(json_object_array_get_idx(answer, i)));
  return g_strv_builder_end(keys);
}
