// SPDX-License-Identifier: LGPL-2.1-or-later
/* Guests that stand by. */
#include "owner-program.h"

#define FLAG "-pool"

int cmd_pool_create(App *app, char **operands, GError **error) { return owner_program_run(app, FLAG, "create", error); }

int cmd_pool_list(App *app, char **operands, GError **error) { return owner_program_run(app, FLAG, "list", error); }

int cmd_pool_remove(App *app, char **operands, GError **error) { return owner_program_run(app, FLAG, "remove", error); }
