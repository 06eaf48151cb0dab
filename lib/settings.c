// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/settings.h"

#include <string.h>

#include "common/error.h"
#include "common/safe-path.h"
#include "lib/settings-file.h"
#include "lib/settings-table.h"
#include "lib/settings-upstream.h"
#include "lib/settings-value.h"

struct kata_settings {
  gatomicrefcount refs;
  SettingValue *values; /* one for each key of the table */
  gboolean *named;      /* which a file or a caller has named */
  char **sources;       /* where that was: "FILE:LINE", "annotation NAME", or NULL for a caller */
  GPtrArray *ignored;   /* of IgnoredSetting: what files say that has no effect here */
};

static void ignored_free(gpointer data) {
  IgnoredSetting *one = data;
  g_free(one->section);
  g_free(one->key);
  g_free(one->value);
  g_free(one->source);
  g_free(one);
}

/* A later file's word replaces an earlier one's. */
static void ignore(kata_settings *settings, const char *section, const char *key, const char *value, const char *source,
                   const char *why) {
  for (guint i = 0; i < settings->ignored->len; i++) {
    const IgnoredSetting *one = settings->ignored->pdata[i];
    if (strcmp(one->section, section) != 0 || strcmp(one->key, key) != 0) continue;
    g_ptr_array_remove_index(settings->ignored, i);
    break;
  }
  IgnoredSetting *one = g_new0(IgnoredSetting, 1);
  *one = (IgnoredSetting){g_strdup(section), g_strdup(key), g_strdup(value), g_strdup(source), why};
  g_ptr_array_add(settings->ignored, one);
}

kata_settings *settings_new(void) {
  kata_settings *settings = g_new0(kata_settings, 1);
  g_atomic_ref_count_init(&settings->refs);
  settings->values = g_new0(SettingValue, n_setting_keys);
  settings->named = g_new0(gboolean, n_setting_keys);
  settings->sources = g_new0(char *, n_setting_keys);
  settings->ignored = g_ptr_array_new_with_free_func(ignored_free);
  for (gsize i = 0; i < n_setting_keys; i++) {
    g_autoptr(GError) error = NULL;
    if (!setting_value_parse(&setting_keys[i], setting_keys[i].preset, &settings->values[i], &error))
      g_critical("%s", error->message); /* the table itself is wrong; a test parses it all */
  }
  return settings;
}

static void set_source(kata_settings *settings, gsize place, const char *source) {
  g_free(settings->sources[place]);
  settings->sources[place] = g_strdup(source);
}

kata_settings *settings_copy(const kata_settings *settings) {
  kata_settings *copy = settings_new();
  settings_merge(copy, settings, FALSE);
  memcpy(copy->named, settings->named, n_setting_keys * sizeof(gboolean));
  return copy;
}

void settings_merge(kata_settings *to, const kata_settings *from, gboolean only_named) {
  for (gsize i = 0; i < n_setting_keys; i++) {
    if (only_named && !from->named[i]) continue;
    setting_value_copy(&to->values[i], &from->values[i]);
    to->named[i] = to->named[i] || from->named[i];
    set_source(to, i, from->sources[i]);
  }
  for (guint i = 0; i < from->ignored->len; i++) {
    const IgnoredSetting *one = from->ignored->pdata[i];
    ignore(to, one->section, one->key, one->value, one->source, one->why);
  }
}

kata_settings *kata_settings_ref(kata_settings *settings) {
  if (settings != NULL) g_atomic_ref_count_inc(&settings->refs);
  return settings;
}

void kata_settings_unref(kata_settings *settings) {
  if (settings == NULL || !g_atomic_ref_count_dec(&settings->refs)) return;
  for (gsize i = 0; i < n_setting_keys; i++) {
    setting_value_clear(&settings->values[i]);
    g_free(settings->sources[i]);
  }
  g_free(settings->values);
  g_free(settings->sources);
  g_ptr_array_unref(settings->ignored);
  g_free(settings->named);
  g_free(settings);
}

/* The key's place in the table; an error tells of a near name, or of the section that has it. */
static int find_key(const char *section, const char *key, GError **error) {
  int place = setting_find(section, key);
  if (place >= 0) return place;
  gboolean known_section = setting_section_exists(section);
  const char *near = setting_suggest(known_section ? section : NULL, known_section ? key : section);
  g_autofree char *hint = near != NULL ? g_strdup_printf(", did you mean '%s'", near) : g_strdup("");
  g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
              known_section ? "no key '%s' in section [%s]%s" : "key '%s' in unknown section [%s]%s", key, section,
              hint);
  return -1;
}

gboolean settings_set_from(kata_settings *settings, const char *section, const char *key, const char *value,
                           const char *source, GError **error) {
  int place = find_key(section, key, error);
  if (place < 0 || !setting_value_parse(&setting_keys[place], value, &settings->values[place], error)) return FALSE;
  settings->named[place] = TRUE;
  set_source(settings, (gsize)place, source);
  return TRUE;
}

gboolean settings_set(kata_settings *settings, const char *section, const char *key, const char *value,
                      GError **error) {
  return settings_set_from(settings, section, key, value, NULL, error);
}

const char *settings_get_source(const kata_settings *settings, const char *section, const char *key) {
  int place = setting_find(section, key);
  g_return_val_if_fail(place >= 0, NULL);
  if (!settings->named[place]) return "default";
  return settings->sources[place] != NULL ? settings->sources[place] : "caller";
}

char *settings_get(const kata_settings *settings, const char *section, const char *key, GError **error) {
  int place = find_key(section, key, error);
  return place < 0 ? NULL : setting_value_to_text(&setting_keys[place], &settings->values[place]);
}

GPtrArray *settings_get_ignored(const kata_settings *settings) { return settings->ignored; }

typedef struct {
  kata_settings *settings;
  const char *where;
} Loading;

/* What upstream knows and we have no use for; some values would promise what is not kept. */
static gboolean take_upstream_key(kata_settings *settings, const UpstreamKey *upstream, const char *section,
                                  const char *key, const char *value, const char *source, GError **error) {
  g_autofree char *written = g_strdup(value);
  /* A comment may follow; what matters has no "#" in it. */
  if (upstream->only != NULL) g_strchomp(g_strdelimit(written, "#", '\0'));
  if (upstream->only != NULL && strcmp(written, upstream->only) != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "'%s' can only be %s here: %s", key, upstream->only, upstream->why);
    return FALSE;
  }
  ignore(settings, section, key, value, source, upstream->why);
  return TRUE;
}

static gboolean set_from_file(const char *section, const char *key, const char *value, guint line, gpointer user_data,
                              GError **error) {
  const Loading *loading = user_data;
  g_autofree char *source = g_strdup_printf("%s:%u", loading->where, line);
  const UpstreamKey *upstream = setting_find(section, key) < 0 ? upstream_key_find(section, key) : NULL;
  if (upstream != NULL) return take_upstream_key(loading->settings, upstream, section, key, value, source, error);
  return settings_set_from(loading->settings, section, key, value, source, error);
}

gboolean settings_load_text(kata_settings *settings, const char *text, gsize length, const char *where,
                            GError **error) {
  g_autoptr(kata_settings) loaded = settings_new();
  Loading loading = {loaded, where};
  if (!settings_file_parse(text, length, where, set_from_file, &loading, error)) return FALSE;
  settings_merge(settings, loaded, TRUE);
  return TRUE;
}

gboolean settings_load_file(kata_settings *settings, const char *path, GError **error) {
  gsize length = 0;
  g_autofree char *text = safe_read_file(path, SETTINGS_FILE_LIMIT, &length, error);
  if (text == NULL) {
    g_prefix_error(error, "cannot read the settings: ");
    return FALSE;
  }
  return settings_load_text(settings, text, length, path, error);
}

static int compare_names(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Paths of the *.conf files of a directory, sorted; none if there is no such directory. */
static GPtrArray *list_drop_ins(const char *directory) {
  g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
    if (g_str_has_suffix(name, ".conf") && *name != '.')
      g_ptr_array_add(paths, g_build_filename(directory, name, NULL));
  }
  g_ptr_array_sort(paths, compare_names);
  return g_steal_pointer(&paths);
}

gboolean settings_load_default(kata_settings *settings, const char *path, gboolean must_exist, GError **error) {
  g_autoptr(kata_settings) loaded = settings_new();
  if ((must_exist || g_file_test(path, G_FILE_TEST_EXISTS)) && !settings_load_file(loaded, path, error)) return FALSE;
  g_autofree char *parent = g_path_get_dirname(path);
  g_autofree char *directory = g_build_filename(parent, "conf.d", NULL);
  g_autoptr(GPtrArray) drop_ins = list_drop_ins(directory);
  for (guint i = 0; i < drop_ins->len; i++) {
    if (!settings_load_file(loaded, drop_ins->pdata[i], error)) return FALSE;
  }
  settings_merge(settings, loaded, TRUE);
  return TRUE;
}

/* What was named in a section, below its name; what has no effect stays, so that who reads it can say so. */
static void append_section(GString *text, const kata_settings *settings, const char *section) {
  g_autoptr(GString) lines = g_string_new(NULL);
  for (gsize i = 0; i < n_setting_keys; i++) {
    if (!settings->named[i] || strcmp(setting_keys[i].section, section) != 0) continue;
    g_autofree char *value = setting_value_to_text(&setting_keys[i], &settings->values[i]);
    g_string_append_printf(lines, "%s = %s\n", setting_keys[i].key, value);
  }
  for (guint i = 0; i < settings->ignored->len; i++) {
    const IgnoredSetting *one = settings->ignored->pdata[i];
    if (strcmp(one->section, section) == 0) g_string_append_printf(lines, "%s = %s\n", one->key, one->value);
  }
  if (lines->len > 0) g_string_append_printf(text, "%s[%s]\n%s", text->len > 0 ? "\n" : "", section, lines->str);
}

char *settings_to_text(const kata_settings *settings) {
  GString *text = g_string_new(NULL);
  g_autoptr(GHashTable) done = g_hash_table_new(g_str_hash, g_str_equal);
  for (gsize i = 0; i < n_setting_keys; i++) {
    if (g_hash_table_add(done, (gpointer)setting_keys[i].section))
      append_section(text, settings, setting_keys[i].section);
  }
  for (guint i = 0; i < settings->ignored->len; i++) {
    const IgnoredSetting *one = settings->ignored->pdata[i];
    if (g_hash_table_add(done, one->section)) append_section(text, settings, one->section);
  }
  return g_string_free(text, FALSE);
}

static const SettingValue *get_value(const kata_settings *settings, const char *section, const char *key) {
  int place = setting_find(section, key);
  g_return_val_if_fail(place >= 0, NULL);
  return &settings->values[place];
}

const char *settings_get_string(const kata_settings *settings, const char *section, const char *key) {
  const SettingValue *value = get_value(settings, section, key);
  return value != NULL ? value->text : NULL;
}

gint64 settings_get_int(const kata_settings *settings, const char *section, const char *key) {
  const SettingValue *value = get_value(settings, section, key);
  return value != NULL ? value->number : 0;
}

gboolean settings_get_bool(const kata_settings *settings, const char *section, const char *key) {
  return settings_get_int(settings, section, key) != 0;
}

const char *const *settings_get_strv(const kata_settings *settings, const char *section, const char *key) {
  const SettingValue *value = get_value(settings, section, key);
  return value != NULL ? (const char *const *)value->list : NULL;
}

Accelerator settings_get_accelerator(const kata_settings *settings) {
  const char *word = settings_get_string(settings, "hypervisor.qemu", "accelerator");
  if (strcmp(word, "kvm") == 0) return ACCELERATOR_KVM;
  return strcmp(word, "tcg") == 0 ? ACCELERATOR_TCG : ACCELERATOR_AUTO;
}

AgentChannel settings_get_channel(const kata_settings *settings) {
  const char *word = settings_get_string(settings, "hypervisor.qemu", "agent_channel");
  if (strcmp(word, "vsock") == 0) return CHANNEL_VSOCK;
  if (strcmp(word, "serial") == 0) return CHANNEL_SERIAL;
  /* A machine with a vsock device cannot be saved: templates and the pool want the other one. */
  gboolean are_saved = settings_get_bool(settings, "factory", "enable_template") ||
                       settings_get_int(settings, "factory", "vm_cache_number") > 0;
  return are_saved ? CHANNEL_SERIAL : CHANNEL_AUTO;
}
