// SPDX-License-Identifier: LGPL-2.1-or-later
/* Guests that stand by. */
#include "commands.h"
#include "state-json.h"

int cmd_pool_create(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  uint32_t made = 0, ready = 0;
  if (kata_pool_fill(app->context, NULL, 0, &made, &ready, &err) < 0) {
    app_take_error(err, error);
    return 1;
  }
  printf("%u guests made, %u stand by\n", made, ready);
  return 0;
}

static const char *get_text(json_object *guest, const char *name) {
  return json_object_get_string(json_object_object_get(guest, name));
}

int cmd_pool_list(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  autokatafree char *text = kata_pool_list(app->context, NULL, 0, &err);
  if (text == NULL) {
    app_take_error(err, error);
    return 1;
  }
  g_autoptr(json_object) list = json_tokener_parse(text);
  for (gsize i = 0; i < json_object_array_length(list); i++) {
    json_object *guest = json_object_array_get_idx(list, i);
    printf("%-8s  %-32s  %7s  %s\n", get_text(guest, "name"), get_text(guest, "template"), get_text(guest, "pid"),
           get_text(guest, "made_at"));
  }
  return 0;
}

int cmd_pool_remove(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  uint32_t removed = 0;
  if (kata_pool_empty(app->context, NULL, 0, &removed, &err) < 0) {
    app_take_error(err, error);
    return 1;
  }
  printf("%u guests removed\n", removed);
  return 0;
}
