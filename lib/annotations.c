// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/annotations.h"

#include <glob.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "lib/settings-table.h"

#define PREFIX "io.katacontainers.config."
#define HYPERVISOR "hypervisor.qemu"
#define ALLOWED "enable_annotations"

static const struct {
  const char *word;
  const char *section;
} groups[] = {{"hypervisor.", HYPERVISOR}, {"runtime.", "runtime"}, {"agent.", "agent.kata"}};

/* As they would stand in the file, where texts are in quotes; parts of a list are parted by ";". */
static char *to_file_value(const SettingKey *key, const char *text) {
  if (key->type == SETTING_NUMBER || key->type == SETTING_BOOLEAN) return g_strdup(text);
  struct json_object *value = key->type == SETTING_LIST ? json_object_new_array() : json_object_new_string(text);
  g_auto(GStrv) parts = g_strsplit(key->type == SETTING_LIST ? text : "", ";", -1);
  for (char **part = parts; *part != NULL; part++)
    if (*g_strstrip(*part) != '\0') json_object_array_add(value, json_object_new_string(*part));
  char *written =
      g_strdup(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(value);
  return written;
}

static gboolean is_allowed(const kata_settings *settings, const char *key) {
  const char *const *pattern = settings_get_strv(settings, HYPERVISOR, ALLOWED);
  for (; pattern != NULL && *pattern != NULL; pattern++) {
    g_autofree char *whole = g_strdup_printf("^(?:%s)$", *pattern);
    if (g_regex_match_simple(whole, key, 0, 0)) return TRUE;
  }
  return FALSE;
}

/* Whether path is a file that pattern finds, links followed: "..", too, leads nowhere else. */
static gboolean is_found_by(const char *pattern, const char *path) {
  glob_t found = {0};
  gboolean is_found = FALSE;
  if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
    for (gsize i = 0; i < found.gl_pathc && !is_found; i++) {
      char *resolved = realpath(found.gl_pathv[i], NULL);
      is_found = resolved != NULL && strcmp(resolved, path) == 0;
      free(resolved);
    }
  }
  globfree(&found);
  return is_found;
}

/* Programs of the host need a word more than their key's name. */
static gboolean check_program(const kata_settings *allowed, const char *key, const char *text, GError **error) {
  const char *list = strcmp(key, "path") == 0               ? "valid_hypervisor_paths"
                     : strcmp(key, "virtio_fs_daemon") == 0 ? "valid_virtio_fs_daemon_paths"
                                                            : NULL;
  if (list == NULL) return TRUE;
  char *path = realpath(text, NULL);
  const char *const *pattern = settings_get_strv(allowed, HYPERVISOR, list);
  gboolean is_valid = FALSE;
  for (; path != NULL && *pattern != NULL && !is_valid; pattern++) is_valid = is_found_by(*pattern, path);
  free(path);
  if (is_valid) return TRUE;
  g_autofree char *shown = error_clean_text(text);
  g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "the setting " HYPERVISOR ".%s does not have '%s'", list, shown);
  return FALSE;
}

static gboolean set_key(kata_settings *settings, const kata_settings *allowed, const char *section, const char *key,
                        const char *text, const char *source, GError **error) {
  /* Upstream's name for it in annotations is not that in the file. */
  if (strcmp(key, "default_max_vcpus") == 0) key = "default_maxvcpus";
  int place = setting_find(section, key);
  if (place < 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "there is no setting '%s' in section [%s]", key, section);
    return FALSE;
  }
  gboolean is_of_limits = strcmp(key, ALLOWED) == 0 || g_str_has_prefix(key, "valid_");
  if (strcmp(section, HYPERVISOR) == 0 && (is_of_limits || !is_allowed(allowed, key))) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
                "a pod may not set '%s': the setting " HYPERVISOR "." ALLOWED " does not name it", key);
    return FALSE;
  }
  if (strcmp(section, HYPERVISOR) == 0 && !check_program(allowed, key, text, error)) return FALSE;
  g_autofree char *joined = NULL;
  if (strcmp(key, "kernel_params") == 0)
    text = joined = g_strjoin(" ", settings_get_string(settings, section, key), text, NULL);
  g_autofree char *value = to_file_value(&setting_keys[place], text);
  return settings_set_from(settings, section, key, value, source, error);
}

static gboolean apply(kata_settings *settings, const kata_settings *allowed, const char *name, const char *text,
                      GError **error) {
  const char *rest = name + strlen(PREFIX);
  g_autofree char *source = g_strconcat("annotation ", name, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(groups); i++)
    if (g_str_has_prefix(rest, groups[i].word))
      return set_key(settings, allowed, groups[i].section, rest + strlen(groups[i].word), text, source, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "after '" PREFIX "' comes hypervisor., runtime. or agent.");
  return FALSE;
}

gboolean annotations_apply(kata_settings *settings, const OciSpec *spec, GError **error) {
  g_autoptr(kata_settings) allowed = settings_copy(settings);
  for (size_t i = 0; i < spec->n_annotations; i++) {
    const char *name = spec->annotations[i]->key;
    if (!g_str_has_prefix(name, PREFIX)) continue;
    if (apply(settings, allowed, name, spec->annotations[i]->value, error)) continue;
    g_autofree char *shown = error_clean_text(name);
    g_prefix_error(error, "config.json: annotations: '%s': ", shown);
    return FALSE;
  }
  return TRUE;
}
