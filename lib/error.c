// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/error.h"

#include <json-c/json.h>
#include <string.h>

#include "lib/api.h"

struct kata_error {
  kata_error_code code;
  char *message;
  char *detail;
};

/* By code. */
static const char *const code_names[] = {
    "none",
    "internal",
    "invalid-argument",
    "not-found",
    "already-exists",
    "invalid-state",
    "permission-denied",
    "unsupported",
    "timeout",
    "unavailable",
    "resource-exhausted",
    "io",
    "config",
    "host",
    "guest",
    "cancelled",
};

kata_error_code kata_error_get_code(const kata_error *err) { return err != NULL ? err->code : KATA_ERR_NONE; }

const char *kata_error_get_message(const kata_error *err) { return err != NULL ? err->message : "no error"; }

const char *kata_error_get_detail(const kata_error *err) { return err != NULL ? err->detail : ""; }

const char *kata_error_code_name(kata_error_code code) {
  return (gsize)code < G_N_ELEMENTS(code_names) ? code_names[code] : "unknown";
}

void kata_error_free(kata_error *err) {
  if (err == NULL) return;
  g_free(err->message);
  g_free(err->detail);
  g_free(err);
}

kata_error_code api_code_from_name(const char *name) {
  for (gsize i = 0; i < G_N_ELEMENTS(code_names); i++) {
    if (strcmp(name, code_names[i]) == 0) return (kata_error_code)i;
  }
  return KATA_ERR_NONE;
}

gboolean api_check(const void *handle, const char *what, uint32_t flags, uint32_t known_flags, GError **error) {
  if (handle == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "no %s was given: the handle is NULL", what);
    return FALSE;
  }
  if ((flags & ~known_flags) == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "unknown flags 0x%x for a %s", flags & ~known_flags, what);
  return FALSE;
}

gboolean api_check_argument(const void *argument, const char *name, GError **error) {
  if (argument != NULL) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the argument '%s' is NULL", name);
  return FALSE;
}

int api_fail(kata_error **err, const GError *error) {
  if (err == NULL) return -1;
  const char *text = error != NULL ? error->message : "a call failed without saying why";
  gsize length = strcspn(text, "\n");
  kata_error *made = g_new0(kata_error, 1);
  made->code = error != NULL ? error_get_code(error) : KATA_ERR_INTERNAL;
  made->message = g_strndup(text, length);
  made->detail = g_strdup(text[length] != '\0' ? text + length + 1 : "");
  *err = made;
  return -1;
}

void *api_fail_null(kata_error **err, const GError *error) {
  api_fail(err, error);
  return NULL;
}

char *api_take_json(struct json_object *json) {
  char *text = g_strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(json);
  return text;
}
