// SPDX-License-Identifier: LGPL-2.1-or-later
#include "guest-settings.h"

#define PREFIX "io.katacontainers.config."

static gboolean has_annotations(const OciSpec *spec) {
  for (size_t i = 0; i < spec->n_annotations; i++)
    if (g_str_has_prefix(spec->annotations[i]->key, PREFIX)) return TRUE;
  return FALSE;
}

kata_settings *guest_settings_load(App *app, const OciSpec *spec, const char *bundle, GError **error) {
  if (!has_annotations(spec)) return NULL;
  kata_error *err = NULL;
  g_autoptr(kata_settings) settings = kata_context_load_settings(app->context, 0, &err);
  if (settings != NULL && kata_settings_load_annotations(settings, bundle, 0, &err) == 0)
    return g_steal_pointer(&settings);
  app_take_error(err, error);
  return NULL;
}
