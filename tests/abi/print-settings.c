// SPDX-License-Identifier: LGPL-2.1-or-later
/* Writes the part of kata.conf(5) that follows from the table of settings, as troff. */
#include <stdio.h>
#include <string.h>

#include <glib.h>

#include "lib/settings-table.h"

/* Characters troff would take for its own, and paths of this build for what they stand for. */
static void print_text(const char *text) {
  static const struct {
    const char *of_build;
    const char *of_page;
  } places[] = {{KATA_GUESTDIR, "GUESTDIR"},
                {KATA_CACHEDIR, "CACHEDIR/kata"},
                {KATA_QEMU_PATH, "QEMU"},
                {KATA_VIRTIOFSD_PATH, "VIRTIOFSD"}};
  g_autoptr(GString) page = g_string_new(text);
  for (gsize i = 0; i < G_N_ELEMENTS(places); i++) g_string_replace(page, places[i].of_build, places[i].of_page, 0);
  g_string_replace(page, "\\", "\\\\", 0);
  g_string_replace(page, "-", "\\-", 0);
  g_string_replace(page, "\"", "\\(dq", 0);
  fputs(page->str, stdout);
}

int main(void) {
  const char *section = "";
  for (gsize i = 0; i < n_setting_keys; i++) {
    const SettingKey *key = &setting_keys[i];
    if (strcmp(section, key->section) != 0) {
      section = key->section;
      printf(".SS [%s]\n", section);
    }
    g_autofree char *allowed = setting_describe(key);
    printf(".TP\n.B %s\n", key->key);
    print_text(key->doc);
    printf("\nTakes ");
    print_text(allowed);
    printf(".\nDefault: ");
    print_text(key->preset);
    printf(".\n");
  }
  return 0;
}
