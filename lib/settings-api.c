// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/annotations.h"
#include "lib/api.h"
#include "lib/settings.h"

kata_settings *kata_settings_new(uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(kata_settings) settings = settings_new();
  if (!api_check(settings, "settings", flags, 0, &error)) return api_fail_null(err, error);
  return g_steal_pointer(&settings);
}

int kata_settings_load_file(kata_settings *settings, const char *path, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(settings, "settings", flags, 0, &error) || !api_check_argument(path, "path", &error) ||
      !settings_load_file(settings, path, &error))
    return api_fail(err, error);
  return 0;
}

int kata_settings_load_annotations(kata_settings *settings, const char *bundle, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OciSpec) spec = NULL;
  g_autoptr(kata_settings) trial = NULL;
  if (!api_check(settings, "settings", flags, 0, &error) || !api_check_argument(bundle, "bundle", &error) ||
      (spec = oci_spec_load(bundle, &error)) == NULL ||
      !annotations_apply(trial = settings_copy(settings), spec, &error))
    return api_fail(err, error);
  annotations_apply(settings, spec, NULL);
  return 0;
}

static gboolean check_key(const kata_settings *settings, const char *section, const char *key, GError **error) {
  return api_check(settings, "settings", 0, 0, error) && api_check_argument(section, "section", error) &&
         api_check_argument(key, "key", error);
}

int kata_settings_set(kata_settings *settings, const char *section, const char *key, const char *value,
                      kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!check_key(settings, section, key, &error) || !api_check_argument(value, "value", &error) ||
      !settings_set(settings, section, key, value, &error))
    return api_fail(err, error);
  return 0;
}

char *kata_settings_get(const kata_settings *settings, const char *section, const char *key, kata_error **err) {
  g_autoptr(GError) error = NULL;
  char *text = NULL;
  if (!check_key(settings, section, key, &error) || (text = settings_get(settings, section, key, &error)) == NULL)
    return api_fail_null(err, error);
  return text;
}

char *kata_settings_to_text(const kata_settings *settings) {
  return settings != NULL ? settings_to_text(settings) : g_strdup("");
}
