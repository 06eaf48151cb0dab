// SPDX-License-Identifier: LGPL-2.1-or-later
#include "json-text.h"

#include <string.h>

#include "error.h"

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)
typedef struct json_tokener JsonTokener;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonTokener, json_tokener_free)

static void set_syntax_error(GError **error, const char *where, const char *text, gsize offset, const char *reason) {
  guint line = 1;
  const char *line_start = text;
  for (const char *at = text; at < text + offset; at++) {
    if (*at == '\n') line++, line_start = at + 1;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: line %u, column %u: not valid JSON: %s", where, line,
              (guint)(text + offset - line_start) + 1, reason);
}

/* NULs end C strings early, names of members included, so that two readers could see two documents. */
static const char *find_nul(const char *text, gsize length) {
  const char *raw = memchr(text, '\0', length);
  const char *end = text + length;
  for (const char *at = memchr(text, '\\', length); at != NULL; at = memchr(at, '\\', end - at)) {
    if (raw != NULL && raw < at) return raw;
    if (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0) return at;
    at += MIN(2, end - at);
  }
  return raw;
}

struct json_object *json_text_parse(const char *text, gsize length, gsize limit, const char *where, GError **error) {
  if (length > limit) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                "%s: %" G_GSIZE_FORMAT " bytes long, at most %" G_GSIZE_FORMAT " are allowed", where, length, limit);
    return NULL;
  }
  if (length == 0) text = "";
  const char *nul = find_nul(text, length);
  if (nul != NULL) {
    set_syntax_error(error, where, text, nul - text, "a NUL character is not allowed");
    return NULL;
  }
  g_autoptr(JsonTokener) tokener = json_tokener_new_ex(JSON_TEXT_DEPTH_LIMIT);
  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
  g_autoptr(JsonObject) json = json_tokener_parse_ex(tokener, text, (int)length);
  gsize offset = json_tokener_get_parse_end(tokener);
  /* A number or a cut document is only at its end when a NUL says so. */
  if (json_tokener_get_error(tokener) == json_tokener_continue) json = json_tokener_parse_ex(tokener, "", 1);
  enum json_tokener_error reason = json_tokener_get_error(tokener);
  if (reason != json_tokener_success) {
    set_syntax_error(error, where, text, MIN(offset, length),
                     reason == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(reason));
    return NULL;
  }
  if (json == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: expected an object, found null", where);
  }
  return g_steal_pointer(&json);
}
