// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ids.h"

#include <string.h>

#include "error.h"

#define ID_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-"

gboolean id_check(const char *id, const char *what, GError **error) {
  const char *reason = NULL;
  if (id == NULL || *id == '\0') {
    reason = "it is empty";
  } else if (strnlen(id, ID_MAX + 1) > ID_MAX) {
    reason = "it is longer than " G_STRINGIFY(ID_MAX) " characters";
  } else if (id[strspn(id, ID_CHARACTERS)] != '\0') {
    reason = "only letters, digits and '_', '+', '.', '-' may be used";
  } else if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0) {
    reason = "it names a directory";
  }
  if (reason == NULL) return TRUE;
  g_autofree char *shown = error_clean_text(id);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid %s ID format: '%s': %s", what, shown, reason);
  return FALSE;
}

char *id_key(const char *id) {
  char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, id, -1);
  sum[ID_KEY_LENGTH] = '\0';
  return sum;
}
