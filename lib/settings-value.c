// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/settings-value.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <string.h>

#include "common/error.h"

/* A list in a value is one level deep; one more tells a nested list from broken text. */
#define JSON_DEPTH 4

typedef struct json_object JsonObject;
typedef struct json_tokener JsonTokener;
static void json_object_release(JsonObject *object) { json_object_put(object); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_release)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonTokener, json_tokener_free)

void setting_value_clear(SettingValue *value) {
  g_clear_pointer(&value->text, g_free);
  g_clear_pointer(&value->list, g_strfreev);
  value->number = 0;
}

void setting_value_copy(SettingValue *to, const SettingValue *from) {
  SettingValue copy = {from->number, g_strdup(from->text), g_strdupv(from->list)};
  setting_value_clear(to);
  *to = copy;
}

/* What is wrong, what was found, what is allowed. */
static gboolean refuse(const SettingKey *key, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static gboolean refuse(const SettingKey *key, GError **error, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *problem = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *allowed = setting_describe(key);
  g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "%s, but '%s' takes %s", problem, key->key, allowed);
  return FALSE;
}

static gboolean only_comment(const char *rest) {
  rest += strspn(rest, " \t");
  return *rest == '\0' || *rest == '#';
}

/* Only what is shown in an error: never the whole of a long value. */
static char *shorten(const char *text) {
  enum { SHOWN = 60 };
  if (strlen(text) <= SHOWN) return g_strdup(text);
  g_autofree char *head = g_strndup(text, SHOWN);
  /* The cut may have parted a character. */
  g_autofree char *valid = g_utf8_make_valid(head, -1);
  return g_strconcat(valid, "...", NULL);
}

static JsonObject *parse_json(const SettingKey *key, const char *text, GError **error) {
  g_autofree char *shown = shorten(text);
  if (strlen(text) > SETTING_TEXT_MAX * 4) {
    refuse(key, error, "the value is longer than %d bytes", SETTING_TEXT_MAX * 4);
    return NULL;
  }
  g_autoptr(JsonTokener) tokener = json_tokener_new_ex(JSON_DEPTH);
  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS | JSON_TOKENER_VALIDATE_UTF8);
  /* The closing NUL ends a number. */
  g_autoptr(JsonObject) object = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
  if (json_tokener_get_error(tokener) != json_tokener_success) {
    refuse(key, error, "the value is '%s'", shown);
    return NULL;
  }
  gsize end = json_tokener_get_parse_end(tokener);
  if (end < strlen(text) && !only_comment(text + end)) {
    refuse(key, error, "the value is '%s'", shown);
    return NULL;
  }
  if (object == NULL) refuse(key, error, "the value is '%s'", shown); /* null */
  return g_steal_pointer(&object);
}

/* A JSON text without control characters and within the limit; NULL if it is anything else. */
static const char *plain_text(JsonObject *object) {
  if (!json_object_is_type(object, json_type_string)) return NULL;
  const char *text = json_object_get_string(object);
  gsize length = (gsize)json_object_get_string_len(object);
  if (length > SETTING_TEXT_MAX || strlen(text) != length || !g_utf8_validate(text, (gssize)length, NULL)) return NULL;
  for (gsize i = 0; i < length; i++) {
    if (g_ascii_iscntrl(text[i])) return NULL;
  }
  return text;
}

static gboolean is_word(const char *words, const char *text) {
  g_auto(GStrv) list = g_strsplit(words, "|", -1);
  return g_strv_contains((const char *const *)list, text);
}

static gboolean take_text(const SettingKey *key, JsonObject *object, const char *shown, SettingValue *value,
                          GError **error) {
  const char *text = plain_text(object);
  gboolean fits = text != NULL && (key->words == NULL || is_word(key->words, text)) &&
                  (key->type != SETTING_PATH || *text == '\0' || g_path_is_absolute(text));
  if (!fits) return refuse(key, error, "the value is '%s'", shown);
  value->text = g_strdup(text);
  return TRUE;
}

static gboolean take_list(const SettingKey *key, JsonObject *object, const char *shown, SettingValue *value,
                          GError **error) {
  if (!json_object_is_type(object, json_type_array)) return refuse(key, error, "the value is '%s'", shown);
  gsize length = json_object_array_length(object);
  if (length > SETTING_LIST_MAX) return refuse(key, error, "the list is longer than %d", SETTING_LIST_MAX);
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
  for (gsize i = 0; i < length; i++) {
    const char *text = plain_text(json_object_array_get_idx(object, i));
    if (text == NULL) return refuse(key, error, "the value is '%s'", shown);
    g_ptr_array_add(list, g_strdup(text));
  }
  g_ptr_array_add(list, NULL);
  value->list = (char **)g_ptr_array_free(g_steal_pointer(&list), FALSE);
  return TRUE;
}

gboolean setting_value_parse(const SettingKey *key, const char *text, SettingValue *ret, GError **error) {
  g_autoptr(JsonObject) object = parse_json(key, text, error);
  if (object == NULL) return FALSE;
  g_autofree char *shown = shorten(text);
  SettingValue value = {0};
  switch (key->type) {
    case SETTING_STRING:
    case SETTING_PATH:
      if (!take_text(key, object, shown, &value, error)) return FALSE;
      break;
    case SETTING_LIST:
      if (!take_list(key, object, shown, &value, error)) return FALSE;
      break;
    case SETTING_NUMBER:
      value.number = json_object_get_int64(object);
      if (!json_object_is_type(object, json_type_int) || value.number < key->min || value.number > key->max)
        return refuse(key, error, "the value is '%s'", shown);
      break;
    case SETTING_BOOLEAN:
      if (!json_object_is_type(object, json_type_boolean)) return refuse(key, error, "the value is '%s'", shown);
      value.number = json_object_get_boolean(object);
      break;
  }
  setting_value_clear(ret);
  *ret = value;
  return TRUE;
}

char *setting_value_to_text(const SettingKey *key, const SettingValue *value) {
  g_autoptr(JsonObject) object = NULL;
  switch (key->type) {
    case SETTING_STRING:
    case SETTING_PATH:
      object = json_object_new_string(value->text);
      break;
    case SETTING_NUMBER:
      object = json_object_new_int64(value->number);
      break;
    case SETTING_BOOLEAN:
      object = json_object_new_boolean(value->number != 0);
      break;
    case SETTING_LIST:
      object = json_object_new_array();
      for (char **text = value->list; *text != NULL; text++)
        json_object_array_add(object, json_object_new_string(*text));
      break;
  }
  return g_strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}
