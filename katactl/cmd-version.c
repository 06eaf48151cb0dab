// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"

#define OCI_VERSION_MAX "1.2.0"

int cmd_version(App *app, char **operands, GError **error) {
  printf("katactl version %s\nspec: %s\nlibkata: %s\n", KATA_VERSION, OCI_VERSION_MAX, kata_version());
  return 0;
}
