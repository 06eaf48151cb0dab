// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"
#include "state-json.h"

static gboolean as_json;
static const char *bundle;

const Option env_options[] = {
    {"json", 0, OPTION_FLAG, &as_json, NULL, "as JSON"},
    {"bundle", 'b', OPTION_TEXT, &bundle, "DIR", "with what the annotations of this bundle set"},
    OPTIONS_END};

static json_object *get(json_object *object, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

static char *describe(App *app, kata_error **err) {
  g_autoptr(kata_settings) settings = kata_context_load_settings(app->context, 0, err);
  if (settings == NULL || (bundle != NULL && kata_settings_load_annotations(settings, bundle, 0, err) < 0)) return NULL;
  return kata_context_describe(app->context, settings, 0, err);
}

/* With this program's own version, in front. */
static void add_own_version(json_object *document) {
  json_object *versions = json_object_new_object();
  json_object_object_add(versions, "katactl", json_object_new_string(KATA_VERSION));
  json_object_object_foreach(get(document, "versions"), name, version) {
    json_object_object_add(versions, name, json_object_get(version));
  }
  json_object_object_add(document, "versions", versions);
}

static json_object *collect(App *app, GError **error) {
  kata_error *err = NULL;
  autokatafree char *text = describe(app, &err);
  if (text == NULL) {
    app_take_error(err, error);
    return NULL;
  }
  json_object *document = json_tokener_parse(text);
  add_own_version(document);
  return document;
}

/* One line for each plain member; objects below are shown with their name before theirs. */
static void print_members(json_object *object, const char *above) {
  json_object_object_foreach(object, key, value) {
    g_autofree char *name = g_strdup_printf("%s%s", above, key);
    if (json_object_is_type(value, json_type_array)) continue;
    if (json_object_is_type(value, json_type_object)) {
      g_autofree char *prefix = g_strdup_printf("%s ", name);
      print_members(value, prefix);
    } else {
      printf("   %-20s %s\n", name, json_object_get_string(value));
    }
  }
}

static void print_checks(json_object *checks) {
  for (gsize i = 0; i < json_object_array_length(checks); i++) {
    json_object *check = json_object_array_get_idx(checks, i);
    printf("   %-20s %s\n", json_object_get_string(get(check, "name")), json_object_get_string(get(check, "text")));
  }
}

static void print_settings(json_object *settings) {
  const char *section = "";
  for (gsize i = 0; i < json_object_array_length(settings); i++) {
    json_object *setting = json_object_array_get_idx(settings, i);
    const char *own = json_object_get_string(get(setting, "section"));
    if (g_strcmp0(section, own) != 0) printf("\n[%s]\n", own);
    section = own;
    printf(
        "%s = %s  # %s\n", json_object_get_string(get(setting, "key")),
        json_object_to_json_string_ext(get(setting, "value"), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
        json_object_get_string(get(setting, "source")));
  }
}

static void print_ignored(json_object *ignored) {
  if (json_object_array_length(ignored) > 0) puts("\nWithout effect:");
  for (gsize i = 0; i < json_object_array_length(ignored); i++) {
    json_object *one = json_object_array_get_idx(ignored, i);
    printf("[%s] %s  # %s: %s\n", json_object_get_string(get(one, "section")), json_object_get_string(get(one, "key")),
           json_object_get_string(get(one, "source")), json_object_get_string(get(one, "why")));
  }
}

int cmd_env(App *app, char **operands, GError **error) {
  g_autoptr(json_object) document = collect(app, error);
  if (document == NULL) return 1;
  if (as_json) {
    puts(json_object_to_json_string_ext(
        document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
    return 0;
  }
  puts("Versions:");
  print_members(get(document, "versions"), "");
  puts("\nGuest:");
  print_members(get(document, "guest"), "");
  puts("\nHost:");
  print_members(get(document, "host"), "");
  print_checks(get(get(document, "host"), "checks"));
  printf("\nSettings, from '%s' and the conf.d beside it:\n", kata_context_get_config_file(app->context));
  print_settings(get(document, "settings"));
  print_ignored(get(document, "ignored"));
  return 0;
}
