// SPDX-License-Identifier: LGPL-2.1-or-later
#include <json-c/json.h>

#include "commands.h"
#include "state-json.h"

/* FILE alone, or what a sandbox would get: the settings file with its drop-ins. */
static kata_settings *load(App *app, const char *file, kata_error **err) {
  if (file == NULL) return kata_context_load_settings(app->context, 0, err);
  g_autoptr(kata_settings) settings = kata_settings_new(0, err);
  if (settings == NULL || kata_settings_load_file(settings, file, 0, err) != 0) return NULL;
  return g_steal_pointer(&settings);
}

static const char *get_text(json_object *object, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value) : "";
}

static gboolean print_ignored(const kata_settings *settings, kata_error **err) {
  autokatafree char *text = kata_settings_describe(settings, 0, err);
  if (text == NULL) return FALSE;
  g_autoptr(json_object) document = json_tokener_parse(text);
  json_object *ignored = NULL;
  json_object_object_get_ex(document, "ignored", &ignored);
  for (gsize i = 0; i < json_object_array_length(ignored); i++) {
    json_object *one = json_object_array_get_idx(ignored, i);
    printf("%s: warning: '%s' has no effect: %s\n", get_text(one, "source"), get_text(one, "key"),
           get_text(one, "why"));
  }
  return TRUE;
}

int cmd_config_check(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  g_autoptr(kata_settings) settings = load(app, operands[0], &err);
  if (settings == NULL || !print_ignored(settings, &err)) {
    app_take_error(err, error);
    return 1;
  }
  printf("%s: ok\n", operands[0] != NULL ? operands[0] : kata_context_get_config_file(app->context));
  return 0;
}
