// SPDX-License-Identifier: LGPL-2.1-or-later
#include "guest-assets.h"

#include <string.h>

#include "state-json.h"

/* The elements of the domain XML, the keys of [hypervisor.qemu], and our names. */
static const struct {
  const char *element;
  const char *key;
  const char *name;
  const char *latest_name; /* NULL: not compared */
} assets[] = {{"emulator", "path", "hypervisor", NULL},
              {"kernel", "kernel", "kernel", "latest_kernel"},
              {"initrd", "initrd", "image", "latest_image"}};

/* ---- the domain XML ---- */

static void on_text(GMarkupParseContext *context, const char *text, gsize length, gpointer state, GError **error) {
  const char *element = g_markup_parse_context_get_element(context);
  for (gsize i = 0; i < G_N_ELEMENTS(assets); i++)
    if (g_strcmp0(element, assets[i].element) == 0)
      json_object_object_add(state, assets[i].name, json_object_new_string_len(text, (int)length));
}

static void add_current(App *app, json_object *state, const char *sandbox_id) {
  static const GMarkupParser parser = {.text = on_text};
  for (gsize i = 0; i < G_N_ELEMENTS(assets); i++)
    json_object_object_add(state, assets[i].name, json_object_new_string(""));
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_open(app->context, sandbox_id, 0, NULL);
  autokatafree char *xml = sandbox != NULL ? kata_sandbox_get_domain_xml(sandbox, 0, NULL) : NULL;
  g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, state, NULL);
  if (xml != NULL) g_markup_parse_context_parse(context, xml, -1, NULL);
}

/* ---- the settings ---- */

/* Texts stand in quotes there. */
static json_object *get_latest(const kata_settings *settings, const char *key) {
  autokatafree char *value = kata_settings_get(settings, "hypervisor.qemu", key, NULL);
  json_object *text = value != NULL ? json_tokener_parse(value) : NULL;
  return text != NULL ? text : json_object_new_string("");
}

static const char *get_text(json_object *state, const char *name) {
  json_object *value = NULL;
  return json_object_object_get_ex(state, name, &value) ? json_object_get_string(value) : "";
}

void guest_assets_add(App *app, json_object *state, const char *sandbox_id) {
  add_current(app, state, sandbox_id);
  g_autoptr(kata_settings) settings = kata_context_load_settings(app->context, 0, NULL);
  json_object *stale = json_object_new_array();
  for (gsize i = 0; i < G_N_ELEMENTS(assets); i++) {
    if (assets[i].latest_name == NULL) continue;
    json_object *latest = settings != NULL ? get_latest(settings, assets[i].key) : json_object_new_string("");
    const char *current = get_text(state, assets[i].name);
    if (*current != '\0' && strcmp(current, json_object_get_string(latest)) != 0)
      json_object_array_add(stale, json_object_new_string(assets[i].name));
    json_object_object_add(state, assets[i].latest_name, latest);
  }
  json_object_object_add(state, "stale_assets", stale);
}
