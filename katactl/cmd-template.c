// SPDX-License-Identifier: LGPL-2.1-or-later
/* Saved guests. */
#include "commands.h"
#include "state-json.h"

int cmd_template_create(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  int is_new = 0;
  autokatafree char *key = kata_template_create(app->context, NULL, 0, &is_new, &err);
  if (key == NULL) {
    app_take_error(err, error);
    return 1;
  }
  printf("template %s %s\n", key, is_new ? "made" : "is there already");
  return 0;
}

static void print_template(json_object *template_) {
  json_object *key = json_object_object_get(template_, "key"), *bytes = json_object_object_get(template_, "bytes");
  json_object *used_at = json_object_object_get(template_, "used_at");
  json_object *failed_at = json_object_object_get(template_, "failed_at");
  if (failed_at != NULL) {
    printf("%-32s  failed      %s  %s\n", json_object_get_string(key), json_object_get_string(failed_at),
           json_object_get_string(json_object_object_get(template_, "why")));
    return;
  }
  printf("%-32s  %6.1f MiB  %s\n", json_object_get_string(key), json_object_get_double(bytes) / (1 << 20),
         json_object_get_string(used_at));
}

int cmd_template_list(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  autokatafree char *text = kata_template_list(app->context, NULL, 0, &err);
  if (text == NULL) {
    app_take_error(err, error);
    return 1;
  }
  g_autoptr(json_object) list = json_tokener_parse(text);
  for (gsize i = 0; i < json_object_array_length(list); i++) print_template(json_object_array_get_idx(list, i));
  return 0;
}

int cmd_template_remove(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  char **keys = kata_template_remove(app->context, NULL, 0, &err);
  if (keys == NULL) {
    app_take_error(err, error);
    return 1;
  }
  for (char **key = keys; *key != NULL; key++) printf("template %s removed\n", *key);
  kata_strv_free(keys);
  return 0;
}
