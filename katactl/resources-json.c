// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources-json.h"

#include <json-c/json.h>
#include <string.h>

#include "common/error.h"

static gboolean fail_size(const char *text, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "invalid size: '%s' (expected a number of bytes, with k, m, g, t or p behind it, or -1)", text);
  return FALSE;
}

gboolean resources_parse_size(const char *text, gint64 *ret, GError **error) {
  static const char suffixes[] = "kmgtp";
  if (strcmp(text, "-1") == 0) {
    *ret = -1;
    return TRUE;
  }
  char *end = NULL;
  if (!g_ascii_isdigit(*text) || strspn(text, "0123456789.") == 0) return fail_size(text, error);
  double number = g_ascii_strtod(text, &end);
  if ((gsize)(end - text) != strspn(text, "0123456789.")) return fail_size(text, error); /* no exponents */
  if (*end == ' ') end++;
  g_autofree char *unit = g_ascii_strdown(end, -1);
  const char *suffix = *unit != '\0' ? strchr(suffixes, *unit) : NULL;
  const char *rest = suffix != NULL ? unit + 1 : unit;
  if (strcmp(rest, "") != 0 && strcmp(rest, "b") != 0 && (suffix == NULL || strcmp(rest, "ib") != 0))
    return fail_size(text, error);
  for (gsize i = 0; suffix != NULL && i <= (gsize)(suffix - suffixes); i++) number *= 1024;
  if (number >= (double)G_MAXINT64) return fail_size(text, error);
  *ret = (gint64)number;
  return TRUE;
}

static json_object *parse_value(const ResourceChange *change, GError **error) {
  g_autoptr(GError) why = NULL;
  gint64 number = 0;
  guint64 positive = 0;
  switch (change->kind) {
    case RESOURCE_TEXT:
      return json_object_new_string(change->value);
    case RESOURCE_SIZE:
      if (resources_parse_size(change->value, &number, &why)) return json_object_new_int64(number);
      break;
    case RESOURCE_SIGNED:
      if (g_ascii_string_to_signed(change->value, 10, G_MININT64, G_MAXINT64, &number, &why))
        return json_object_new_int64(number);
      break;
    case RESOURCE_UNSIGNED:
      if (g_ascii_string_to_unsigned(change->value, 10, 0, G_MAXUINT64, &positive, &why))
        return json_object_new_uint64(positive);
      break;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid value for %s: %s", change->option, why->message);
  return NULL;
}

char *resources_json_build(const ResourceChange *changes, GError **error) {
  json_object *resources = json_object_new_object();
  for (const ResourceChange *change = changes; change->option != NULL; change++) {
    if (change->value == NULL) continue;
    json_object *value = parse_value(change, error);
    if (value == NULL) {
      json_object_put(resources);
      return NULL;
    }
    json_object *object = NULL;
    if (!json_object_object_get_ex(resources, change->object, &object)) {
      object = json_object_new_object();
      json_object_object_add(resources, change->object, object);
    }
    json_object_object_add(object, change->member, value);
  }
  char *text = g_strdup(json_object_to_json_string_ext(resources, JSON_C_TO_STRING_PLAIN));
  json_object_put(resources);
  return text;
}
