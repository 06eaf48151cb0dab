// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/protobuf-text.h"

void protobuf_set_string(char **field, const char *value) {
  char *old = *field;
  *field = value == NULL || *value == '\0' ? (char *)protobuf_c_empty_string : g_strdup(value);
  if (old != (char *)protobuf_c_empty_string) g_free(old);
}

void protobuf_append_string(char ***list, size_t *n_list, const char *value) {
  *list = g_renew(char *, *list, *n_list + 1);
  (*list)[(*n_list)++] = g_strdup(value);
}
