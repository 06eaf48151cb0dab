// SPDX-License-Identifier: LGPL-2.1-or-later
/* Settings files. What is accepted must come back unchanged from being written and read again. */
#include <stdint.h>
#include <string.h>

#include "kata/context.h"
#include "lib/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(GError) error = NULL;
  /* As it is: not terminated, and with NUL bytes in it. */
  gboolean accepted = settings_load_text(settings, size > 0 ? (const char *)data : "", size, "fuzz", &error);
  g_assert(accepted == (error == NULL));
  if (!accepted) return 0;
  char *written = kata_settings_to_text(settings);
  g_autoptr(kata_settings) again = settings_new();
  g_assert(settings_load_text(again, written, strlen(written), "written", NULL));
  char *written_again = kata_settings_to_text(again);
  g_assert_cmpstr(written, ==, written_again);
  kata_free(written_again);
  kata_free(written);
  return 0;
}
