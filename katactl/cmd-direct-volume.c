// SPDX-License-Identifier: LGPL-2.1-or-later
/* Direct-assigned volumes, by the commands that CSI drivers know from kata-runtime. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "common/direct-volume.h"
#include "common/error.h"

#define CALL_TIMEOUT_MS 60000

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

static const char *volume_path, *mount_info, *size;

#define VOLUME_PATH \
  { "volume-path", 0, OPTION_TEXT, &volume_path, "PATH", "where the volume is published on the host" }

const Option direct_volume_options[] = {VOLUME_PATH, OPTIONS_END};

const Option direct_volume_add_options[] = {
    VOLUME_PATH,
    {"mount-info", 0, OPTION_TEXT, &mount_info, "JSON", "its volume-type, device, fstype, options and metadata"},
    OPTIONS_END};

const Option direct_volume_resize_options[] = {
    VOLUME_PATH, {"size", 0, OPTION_TEXT, &size, "BYTES", "the size that its device has by now"}, OPTIONS_END};

/* As it stands in a container's config.json, once that is read. */
static char *read_path(GError **error) {
  if (volume_path != NULL && g_path_is_absolute(volume_path)) return g_canonicalize_filename(volume_path, "/");
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "--volume-path: an absolute path is needed");
  return NULL;
}

int cmd_direct_volume_add(App *app, char **operands, GError **error) {
  g_autofree char *path = read_path(error);
  if (path == NULL) return 1;
  if (mount_info != NULL) return direct_volume_add(path, mount_info, error) ? 0 : 1;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "--mount-info: is needed");
  return 1;
}

int cmd_direct_volume_remove(App *app, char **operands, GError **error) {
  g_autofree char *path = read_path(error);
  return path != NULL && direct_volume_remove(path, error) ? 0 : 1;
}

/* ---- in the guest that has it ---- */

/* Wherever that lives: a driver does not know. */
static kata_sandbox *open_in(const char *root, const char *id) {
  g_autoptr(kata_context) context = kata_context_new(0, NULL);
  if (context == NULL || kata_context_set_root(context, root, NULL) < 0) return NULL;
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_open(context, id, 0, NULL);
  if (sandbox == NULL || kata_sandbox_get_status(sandbox, NULL) != KATA_SANDBOX_RUNNING) return NULL;
  return g_steal_pointer(&sandbox);
}

static kata_sandbox *open_user(const char *path, GError **error) {
  g_auto(GStrv) users = direct_volume_list_users(path);
  for (char **user = users; user[0] != NULL; user += 2) {
    kata_sandbox *sandbox = open_in(user[1], user[0]);
    if (sandbox != NULL) return sandbox;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "no running sandbox has the direct-assigned volume '%s'", path);
  return NULL;
}

static gboolean call(const char *path, const char *method, struct json_object *request, char **ret_reply,
                     GError **error) {
  g_autofree char *guest_path = direct_volume_guest_path(path);
  json_object_object_add(request, "volumeGuestPath", json_object_new_string(guest_path));
  g_autoptr(kata_sandbox) sandbox = open_user(path, error);
  kata_error *err = NULL;
  if (sandbox == NULL) return FALSE;
  if (kata_sandbox_call_agent(sandbox, method, json_object_to_json_string(request), CALL_TIMEOUT_MS, 0, ret_reply,
                              &err) == 0)
    return TRUE;
  app_take_error(err, error);
  return FALSE;
}

int cmd_direct_volume_resize(App *app, char **operands, GError **error) {
  guint64 bytes = 0;
  g_autofree char *path = read_path(error);
  if (path == NULL) return 1;
  if (size == NULL || !g_ascii_string_to_unsigned(size, 10, 1, G_MAXINT64, &bytes, NULL)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "--size: a number of bytes is needed");
    return 1;
  }
  g_autoptr(JsonObject) request = json_object_new_object();
  json_object_object_add(request, "size", json_object_new_uint64(bytes));
  return call(path, "AgentService.ResizeVolume", request, NULL, error) ? 0 : 1;
}

/* A number that protobuf's JSON has as a string, or leaves out if it is 0. */
static void add_number(struct json_object *to, const struct json_object *from, const char *name) {
  struct json_object *value = NULL;
  guint64 number = json_object_object_get_ex(from, name, &value) ? json_object_get_uint64(value) : 0;
  json_object_object_add(to, name, json_object_new_uint64(number));
}

static struct json_object *convert_usage(const struct json_object *from) {
  struct json_object *to = json_object_new_object(), *unit = NULL;
  const char *const names[] = {"available", "total", "used"};
  const char *word = json_object_object_get_ex(from, "unit", &unit) ? json_object_get_string(unit) : "";
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) add_number(to, from, names[i]);
  json_object_object_add(to, "unit",
                         json_object_new_int(strcmp(word, "BYTES") == 0    ? 1
                                             : strcmp(word, "INODES") == 0 ? 2
                                                                           : 0));
  return to;
}

/* The members of CSI's NodeGetVolumeStatsResponse, numbers as numbers, as drivers read it from kata-runtime. */
static void print_stats(struct json_object *reply) {
  g_autoptr(JsonObject) stats = json_object_new_object();
  struct json_object *usage = json_object_new_array(), *list = NULL, *from = NULL, *value = NULL;
  struct json_object *condition = json_object_new_object();
  json_object_object_get_ex(reply, "usage", &list);
  for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++)
    json_object_array_add(usage, convert_usage(json_object_array_get_idx(list, i)));
  json_object_object_get_ex(reply, "volumeCondition", &from);
  json_object_object_add(
      condition, "abnormal",
      json_object_new_boolean(json_object_object_get_ex(from, "abnormal", &value) && json_object_get_boolean(value)));
  json_object_object_add(
      condition, "message",
      json_object_new_string(json_object_object_get_ex(from, "message", &value) ? json_object_get_string(value) : ""));
  json_object_object_add(stats, "usage", usage);
  json_object_object_add(stats, "volume_condition", condition);
  puts(json_object_to_json_string_ext(stats, JSON_C_TO_STRING_PLAIN));
}

int cmd_direct_volume_stats(App *app, char **operands, GError **error) {
  g_autofree char *path = read_path(error);
  if (path == NULL) return 1;
  autokatafree char *text = NULL;
  g_autoptr(JsonObject) request = json_object_new_object();
  if (!call(path, "AgentService.GetVolumeStats", request, &text, error)) return 1;
  g_autoptr(JsonObject) reply = json_tokener_parse(text);
  print_stats(reply);
  return 0;
}
