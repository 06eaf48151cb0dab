// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>

#include "commands.h"

/* The library indents by two blanks, runc by four. */
static void print_indented(const char *text) {
  for (const char *c = text; *c != '\0'; c++) {
    putchar(*c);
    if (*c != '\n') continue;
    for (; c[1] == ' '; c++) fputs("  ", stdout);
  }
  putchar('\n');
}

int cmd_features(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  autokatafree char *text = kata_oci_features(0, &err);
  if (text == NULL) {
    app_take_error(err, error);
    return 1;
  }
  print_indented(text);
  return 0;
}
