// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/direct-volume.h"

#include <string.h>

#include "common/direct-volume.h"
#include "common/error.h"
#include "common/json-text.h"
#include "lib/api.h"
#include "lib/sandbox.h"

#define CALL_TIMEOUT_MS 60000

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

/* ---- what is left for guests ---- */

/* As it stands in a container's config.json, once that is read. */
static char *check_path(const kata_context *ctx, const char *path, uint32_t flags, GError **error) {
  if (!api_check(ctx, "context", flags, 0, error) || !api_check_argument(path, "volume_path", error)) return NULL;
  if (g_path_is_absolute(path)) return g_canonicalize_filename(path, "/");
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the volume path '%s' is not an absolute path", path);
  return NULL;
}

int kata_direct_volume_add(kata_context *ctx, const char *volume_path, const char *mount_info_json, uint32_t flags,
                           kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autofree char *path = check_path(ctx, volume_path, flags, &error);
  if (path == NULL || !api_check_argument(mount_info_json, "mount_info_json", &error) ||
      !direct_volume_add(path, mount_info_json, &error))
    return api_fail(err, error);
  return 0;
}

int kata_direct_volume_remove(kata_context *ctx, const char *volume_path, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autofree char *path = check_path(ctx, volume_path, flags, &error);
  return path != NULL && direct_volume_remove(path, &error) ? 0 : api_fail(err, error);
}

static JsonObject *list_users(const char *path) {
  JsonObject *users = json_object_new_array();
  g_auto(GStrv) names = direct_volume_list_users(path);
  for (char **name = names; name[0] != NULL; name += 2) {
    JsonObject *user = json_object_new_object();
    json_object_object_add(user, "sandbox", json_object_new_string(name[0]));
    json_object_object_add(user, "root", json_object_new_string(name[1]));
    json_object_array_add(users, user);
  }
  return users;
}

/* NULL: it has gone meanwhile, or was never whole. */
static JsonObject *describe(const char *path) {
  g_autofree char *json = direct_volume_read(path);
  JsonObject *info = json != NULL ? json_text_parse(json, strlen(json), DIRECT_VOLUME_LIMIT, path, NULL) : NULL;
  if (info == NULL) return NULL;
  JsonObject *volume = json_object_new_object();
  json_object_object_add(volume, "volume_path", json_object_new_string(path));
  json_object_object_add(volume, "mount_info", info);
  json_object_object_add(volume, "users", list_users(path));
  return volume;
}

char *kata_direct_volume_list(kata_context *ctx, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) paths = api_check(ctx, "context", flags, 0, &error) ? direct_volume_list(&error) : NULL;
  if (paths == NULL) return api_fail_null(err, error);
  JsonObject *volumes = json_object_new_array();
  for (char **path = paths; *path != NULL; path++) {
    JsonObject *volume = describe(*path);
    if (volume != NULL) json_object_array_add(volumes, volume);
  }
  return api_take_json(volumes);
}

/* ---- in the guest that has it ---- */

/* What goes wrong is no error of the caller's: the next user is tried. */
static kata_sandbox *open_in(const kata_context *ctx, const char *root, const char *id) {
  g_autoptr(kata_context) there = context_copy_for_root(ctx, root, NULL);
  g_autoptr(kata_sandbox) sandbox = there != NULL ? kata_sandbox_open(there, id, 0, NULL) : NULL;
  if (sandbox == NULL || kata_sandbox_get_status(sandbox, NULL) != KATA_SANDBOX_RUNNING) return NULL;
  return g_steal_pointer(&sandbox);
}

/* Below whatever root that lives: a driver does not know. */
static kata_sandbox *open_user(const kata_context *ctx, const char *path, GError **error) {
  g_auto(GStrv) users = direct_volume_list_users(path);
  for (char **user = users; user[0] != NULL; user += 2) {
    kata_sandbox *sandbox = open_in(ctx, user[1], user[0]);
    if (sandbox != NULL) return sandbox;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "no running sandbox has the direct-assigned volume '%s'", path);
  return NULL;
}

static gboolean call(const kata_context *ctx, const char *path, const char *method, JsonObject *request,
                     char **ret_reply, GError **error) {
  g_autofree char *guest_path = direct_volume_guest_path(path);
  json_object_object_add(request, "volumeGuestPath", json_object_new_string(guest_path));
  g_autoptr(kata_sandbox) sandbox = open_user(ctx, path, error);
  return sandbox != NULL &&
         sandbox_call_agent(sandbox, method, json_object_to_json_string(request), CALL_TIMEOUT_MS, ret_reply, error);
}

static gboolean resize(const kata_context *ctx, const char *path, uint64_t bytes, GError **error) {
  if (bytes == 0 || bytes > G_MAXINT64) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "a volume cannot have %" G_GUINT64_FORMAT " bytes",
                (guint64)bytes);
    return FALSE;
  }
  g_autoptr(JsonObject) request = json_object_new_object();
  json_object_object_add(request, "size", json_object_new_uint64(bytes));
  return call(ctx, path, "AgentService.ResizeVolume", request, NULL, error);
}

int kata_direct_volume_resize(kata_context *ctx, const char *volume_path, uint64_t bytes, uint32_t flags,
                              kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autofree char *path = check_path(ctx, volume_path, flags, &error);
  return path != NULL && resize(ctx, path, bytes, &error) ? 0 : api_fail(err, error);
}

/* A number that protobuf's JSON has as a string, or leaves out if it is 0. */
static void add_number(JsonObject *to, const JsonObject *from, const char *name) {
  JsonObject *value = NULL;
  guint64 number = json_object_object_get_ex(from, name, &value) ? json_object_get_uint64(value) : 0;
  json_object_object_add(to, name, json_object_new_uint64(number));
}

static JsonObject *convert_usage(const JsonObject *from) {
  JsonObject *to = json_object_new_object(), *unit = NULL;
  const char *const names[] = {"available", "total", "used"};
  const char *word = json_object_object_get_ex(from, "unit", &unit) ? json_object_get_string(unit) : "";
  int number = strcmp(word, "BYTES") == 0 ? 1 : strcmp(word, "INODES") == 0 ? 2 : 0;
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) add_number(to, from, names[i]);
  json_object_object_add(to, "unit", json_object_new_int(number));
  return to;
}

/* The agent's answer with numbers as numbers, in the words that drivers read from kata-runtime. */
static JsonObject *convert_stats(const JsonObject *reply) {
  JsonObject *stats = json_object_new_object(), *usage = json_object_new_array();
  JsonObject *list = NULL, *from = NULL, *value = NULL, *condition = json_object_new_object();
  json_object_object_get_ex(reply, "usage", &list);
  for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++)
    json_object_array_add(usage, convert_usage(json_object_array_get_idx(list, i)));
  json_object_object_get_ex(reply, "volumeCondition", &from);
  gboolean abnormal = json_object_object_get_ex(from, "abnormal", &value) && json_object_get_boolean(value);
  const char *message = json_object_object_get_ex(from, "message", &value) ? json_object_get_string(value) : "";
  json_object_object_add(condition, "abnormal", json_object_new_boolean(abnormal));
  json_object_object_add(condition, "message", json_object_new_string(message));
  json_object_object_add(stats, "usage", usage);
  json_object_object_add(stats, "volume_condition", condition);
  return stats;
}

char *kata_direct_volume_get_stats(kata_context *ctx, const char *volume_path, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL, *path = check_path(ctx, volume_path, flags, &error);
  g_autoptr(JsonObject) request = json_object_new_object();
  if (path == NULL || !call(ctx, path, "AgentService.GetVolumeStats", request, &text, &error))
    return api_fail_null(err, error);
  g_autoptr(JsonObject) reply = json_tokener_parse(text);
  return api_take_json(convert_stats(reply));
}
