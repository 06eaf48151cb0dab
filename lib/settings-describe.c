// SPDX-License-Identifier: LGPL-2.1-or-later
/* The settings as a document: value, default, source, what is allowed. */
#include <json-c/json.h>

#include "lib/api.h"
#include "lib/context.h"
#include "lib/settings-table.h"

static void add_text(struct json_object *object, const char *name, const char *text) {
  json_object_object_add(object, name, json_object_new_string(text));
}

/* Values are written as JSON is. */
static struct json_object *describe(const kata_settings *settings, const SettingKey *key) {
  struct json_object *object = json_object_new_object();
  g_autofree char *value = settings_get(settings, key->section, key->key, NULL);
  g_autofree char *allowed = setting_describe(key);
  add_text(object, "section", key->section);
  add_text(object, "key", key->key);
  json_object_object_add(object, "value", json_tokener_parse(value));
  json_object_object_add(object, "default", json_tokener_parse(key->preset));
  add_text(object, "source", settings_get_source(settings, key->section, key->key));
  add_text(object, "allowed", allowed);
  add_text(object, "meaning", key->doc);
  return object;
}

static struct json_object *describe_ignored(const kata_settings *settings) {
  struct json_object *list = json_object_new_array();
  GPtrArray *ignored = settings_get_ignored(settings);
  for (guint i = 0; i < ignored->len; i++) {
    const IgnoredSetting *one = ignored->pdata[i];
    struct json_object *object = json_object_new_object();
    add_text(object, "section", one->section);
    add_text(object, "key", one->key);
    add_text(object, "source", one->source);
    add_text(object, "why", one->why);
    json_object_array_add(list, object);
  }
  return list;
}

void settings_describe_to(const kata_settings *settings, struct json_object *document) {
  struct json_object *list = json_object_new_array();
  for (gsize i = 0; i < n_setting_keys; i++) json_object_array_add(list, describe(settings, &setting_keys[i]));
  json_object_object_add(document, "settings", list);
  json_object_object_add(document, "ignored", describe_ignored(settings));
}

char *kata_settings_describe(const kata_settings *settings, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(settings, "settings", flags, 0, &error)) return api_fail_null(err, error);
  struct json_object *document = json_object_new_object();
  settings_describe_to(settings, document);
  return api_take_json(document);
}

kata_settings *kata_context_load_settings(const kata_context *ctx, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  kata_settings *settings = NULL;
  if (!api_check(ctx, "context", flags, 0, &error) || (settings = context_load_settings(ctx, &error)) == NULL)
    return api_fail_null(err, error);
  return settings;
}
