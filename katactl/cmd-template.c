// SPDX-License-Identifier: LGPL-2.1-or-later
/* Saved guests. */
#include "owner-program.h"

#define FLAG "-template"

int cmd_template_create(App *app, char **operands, GError **error) {
  return owner_program_run(app, FLAG, "create", error);
}

int cmd_template_list(App *app, char **operands, GError **error) { return owner_program_run(app, FLAG, "list", error); }

int cmd_template_remove(App *app, char **operands, GError **error) {
  return owner_program_run(app, FLAG, "remove", error);
}
