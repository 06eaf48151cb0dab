// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"
#include "state-json.h"

int cmd_state(App *app, char **operands, GError **error) {
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  if (container == NULL) return 1;
  kata_error *err = NULL;
  autokatafree char *document = kata_container_get_state(container, 0, &err);
  if (document == NULL) {
    app_take_error(err, error);
    return 1;
  }
  g_autoptr(json_object) state = state_json_build(document, NULL, error);
  if (state == NULL) return 1;
  fputs(state_json_print(state), stdout);
  return 0;
}
