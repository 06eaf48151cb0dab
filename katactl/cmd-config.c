// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"

/* FILE alone, or what a sandbox would get: the settings file with its drop-ins. */
static kata_settings *load(App *app, const char *file, kata_error **err) {
  if (file == NULL) return kata_context_load_settings(app->context, 0, err);
  g_autoptr(kata_settings) settings = kata_settings_new(0, err);
  if (settings == NULL || kata_settings_load_file(settings, file, 0, err) != 0) return NULL;
  return g_steal_pointer(&settings);
}

int cmd_config_check(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  g_autoptr(kata_settings) settings = load(app, operands[0], &err);
  if (settings == NULL) {
    app_take_error(err, error);
    return 1;
  }
  printf("%s: ok\n", operands[0] != NULL ? operands[0] : kata_context_get_config_file(app->context));
  return 0;
}
