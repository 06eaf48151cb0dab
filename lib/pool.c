// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/pool.h"

#include "lib/api.h"
#include "lib/owner-program.h"

#define FLAG "-pool"

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

static JsonObject *ask(const kata_context *ctx, const kata_settings *settings, uint32_t flags, const char *word,
                       json_type type, GError **error) {
  return api_check(ctx, "context", flags, 0, error) ? owner_program_ask(ctx, settings, FLAG, word, type, error) : NULL;
}

static void give_number(JsonObject *answer, const char *name, uint32_t *ret) {
  if (ret != NULL) *ret = (uint32_t)json_object_get_int64(json_object_object_get(answer, name));
}

int kata_pool_fill(kata_context *ctx, const kata_settings *settings, uint32_t flags, uint32_t *ret_made,
                   uint32_t *ret_ready, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(JsonObject) answer = ask(ctx, settings, flags, "create", json_type_object, &error);
  if (answer == NULL) return api_fail(err, error);
  give_number(answer, "made", ret_made);
  give_number(answer, "ready", ret_ready);
  return 0;
}

char *kata_pool_list(kata_context *ctx, const kata_settings *settings, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  JsonObject *answer = ask(ctx, settings, flags, "list", json_type_array, &error);
  return answer != NULL ? api_take_json(answer) : api_fail_null(err, error);
}

int kata_pool_empty(kata_context *ctx, const kata_settings *settings, uint32_t flags, uint32_t *ret_removed,
                    kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(JsonObject) answer = ask(ctx, settings, flags, "remove", json_type_object, &error);
  if (answer == NULL) return api_fail(err, error);
  give_number(answer, "removed", ret_removed);
  return 0;
}
