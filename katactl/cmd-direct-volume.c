// SPDX-License-Identifier: LGPL-2.1-or-later
/* Direct-assigned volumes, by the commands that CSI drivers know from kata-runtime. */
#include <stdio.h>

#include "commands.h"
#include "common/error.h"
#include "state-json.h"

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

static gboolean is_given(const char *value, const char *option, GError **error) {
  if (value != NULL) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: is needed", option);
  return FALSE;
}

static int finish(int result, kata_error *err, GError **error) {
  if (result == 0) return 0;
  app_take_error(err, error);
  return 1;
}

int cmd_direct_volume_add(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  if (!is_given(volume_path, "--volume-path", error) || !is_given(mount_info, "--mount-info", error)) return 1;
  int result = kata_direct_volume_add(app->context, volume_path, mount_info, 0, &err);
  return finish(result, err, error);
}

int cmd_direct_volume_remove(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  if (!is_given(volume_path, "--volume-path", error)) return 1;
  int result = kata_direct_volume_remove(app->context, volume_path, 0, &err);
  return finish(result, err, error);
}

static void print_volume(json_object *volume) {
  json_object *device = NULL, *users = json_object_object_get(volume, "users");
  json_object_object_get_ex(json_object_object_get(volume, "mount_info"), "device", &device);
  printf("%s  %s", json_object_get_string(json_object_object_get(volume, "volume_path")),
         json_object_get_string(device));
  for (gsize i = 0; i < json_object_array_length(users); i++) {
    json_object *sandbox = json_object_object_get(json_object_array_get_idx(users, i), "sandbox");
    printf("  %s", json_object_get_string(sandbox));
  }
  putchar('\n');
}

int cmd_direct_volume_list(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  autokatafree char *text = kata_direct_volume_list(app->context, 0, &err);
  if (text == NULL) return finish(-1, err, error);
  g_autoptr(json_object) list = json_tokener_parse(text);
  if (list == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "the list of volumes cannot be read");
    return 1;
  }
  for (gsize i = 0; i < json_object_array_length(list); i++) print_volume(json_object_array_get_idx(list, i));
  return 0;
}

int cmd_direct_volume_resize(App *app, char **operands, GError **error) {
  guint64 bytes = 0;
  kata_error *err = NULL;
  if (!is_given(volume_path, "--volume-path", error)) return 1;
  if (size == NULL || !g_ascii_string_to_unsigned(size, 10, 1, G_MAXINT64, &bytes, NULL)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "--size: a number of bytes is needed");
    return 1;
  }
  int result = kata_direct_volume_resize(app->context, volume_path, bytes, 0, &err);
  return finish(result, err, error);
}

int cmd_direct_volume_stats(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  if (!is_given(volume_path, "--volume-path", error)) return 1;
  autokatafree char *text = kata_direct_volume_get_stats(app->context, volume_path, 0, &err);
  if (text == NULL) return finish(-1, err, error);
  puts(text);
  return 0;
}
