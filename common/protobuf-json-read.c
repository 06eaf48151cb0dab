// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "protobuf-json-names.h"

/* Doubles hold whole numbers exactly up to here. */
#define EXACT_DOUBLE_MAX 9007199254740992.0

typedef struct {
  ProtobufJsonNames names;
  const char *where;
  GString *path; /* of the value at hand: process.args[2] */
  GError **error;
} Reader;

static void fail(Reader *reader, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Sets the error once, with the path of the value at hand. Text from the document comes in cleaned. */
static void fail(Reader *reader, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *path = error_clean_text(reader->path->str);
  g_set_error(reader->error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: %s%s%s", reader->where, path,
              *path != '\0' ? ": " : "", text);
}

static void fail_type(Reader *reader, const char *expected, struct json_object *found) {
  static const char *const names[] = {
      [json_type_null] = "null",       [json_type_boolean] = "a boolean", [json_type_double] = "a fraction",
      [json_type_int] = "a number",    [json_type_object] = "an object",  [json_type_array] = "an array",
      [json_type_string] = "a string",
  };
  fail(reader, "expected %s, found %s", expected, names[json_object_get_type(found)]);
}

/* ---- single values; each writes *value only if all is well ---- */

typedef struct {
  gboolean is_negative;
  guint64 magnitude;
} Whole;

static gboolean whole_from_text(const char *text, Whole *whole) {
  whole->is_negative = *text == '-';
  const char *digits = text + (whole->is_negative ? 1 : 0);
  if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0') return FALSE;
  return g_ascii_string_to_unsigned(digits, 10, 0, G_MAXUINT64, &whole->magnitude, NULL);
}

static gboolean whole_from_double(double number, Whole *whole) {
  /* Not trunc(3), which is a call into libm unless the compiler optimizes. */
  if (!(fabs(number) <= EXACT_DOUBLE_MAX) || (double)(gint64)number != number) return FALSE;
  whole->is_negative = number < 0;
  whole->magnitude = (guint64)fabs(number);
  return TRUE;
}

static gboolean read_whole(Reader *reader, struct json_object *json, Whole *whole) {
  switch (json_object_get_type(json)) {
    case json_type_int:
      whole->is_negative = json_object_get_int64(json) < 0;
      whole->magnitude = whole->is_negative ? -(guint64)json_object_get_int64(json) : json_object_get_uint64(json);
      return TRUE;
    case json_type_double:
      if (whole_from_double(json_object_get_double(json), whole)) return TRUE;
      fail(reader, "expected a whole number, found %s", json_object_get_string(json));
      return FALSE;
    case json_type_string:
      if (reader->names != PROTOBUF_JSON_OCI) {
        if (whole_from_text(json_object_get_string(json), whole)) return TRUE;
        g_autofree char *shown = error_clean_text(json_object_get_string(json));
        fail(reader, "expected a whole number, found '%s'", shown);
        return FALSE;
      }
      break;
    default:
      break;
  }
  fail_type(reader, "a number", json);
  return FALSE;
}

/* A whole number between -below and above. */
static gboolean read_in_range(Reader *reader, struct json_object *json, guint64 below, guint64 above, guint64 *value) {
  Whole whole;
  if (!read_whole(reader, json, &whole)) return FALSE;
  if (whole.magnitude > (whole.is_negative ? below : above)) {
    fail(reader, "%s%" G_GUINT64_FORMAT " is out of range, which is %s%" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
         whole.is_negative ? "-" : "", whole.magnitude, below > 0 ? "-" : "", below, above);
    return FALSE;
  }
  *value = whole.is_negative ? -whole.magnitude : whole.magnitude;
  return TRUE;
}

static gboolean read_double(Reader *reader, struct json_object *json, double *value) {
  enum json_type type = json_object_get_type(json);
  if (type == json_type_int || type == json_type_double) {
    *value = json_object_get_double(json);
    return TRUE;
  }
  const char *text = type == json_type_string ? json_object_get_string(json) : "";
  if (strcmp(text, "NaN") == 0) return *value = (double)NAN, TRUE;
  if (strcmp(text, "Infinity") == 0) return *value = HUGE_VAL, TRUE;
  if (strcmp(text, "-Infinity") == 0) return *value = -HUGE_VAL, TRUE;
  fail_type(reader, "a number", json);
  return FALSE;
}

static gboolean read_float(Reader *reader, struct json_object *json, float *value) {
  double number;
  if (!read_double(reader, json, &number)) return FALSE;
  if (isfinite(number) && fabs(number) > (double)FLT_MAX) {
    fail(reader, "%g is out of range", number);
    return FALSE;
  }
  *value = (float)number;
  return TRUE;
}

static gboolean read_bool(Reader *reader, struct json_object *json, protobuf_c_boolean *value) {
  if (!json_object_is_type(json, json_type_boolean)) {
    fail_type(reader, "a boolean", json);
    return FALSE;
  }
  *value = json_object_get_boolean(json);
  return TRUE;
}

static gboolean read_enum(Reader *reader, struct json_object *json, const ProtobufCEnumDescriptor *type, int *value) {
  if (json_object_is_type(json, json_type_int)) {
    guint64 number;
    if (!read_in_range(reader, json, (guint64)G_MAXINT32 + 1, G_MAXINT32, &number)) return FALSE;
    *value = (int)(gint64)number;
    return TRUE;
  }
  if (!json_object_is_type(json, json_type_string)) {
    fail_type(reader, "a name", json);
    return FALSE;
  }
  const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value_by_name(type, json_object_get_string(json));
  if (known == NULL) {
    g_autofree char *shown = error_clean_text(json_object_get_string(json));
    fail(reader, "'%s' is not one of the names of %s", shown, type->short_name);
    return FALSE;
  }
  *value = known->value;
  return TRUE;
}

static gboolean read_string(Reader *reader, struct json_object *json, char **value) {
  if (!json_object_is_type(json, json_type_string)) {
    fail_type(reader, "a string", json);
    return FALSE;
  }
  const char *text = json_object_get_string(json);
  gsize length = json_object_get_string_len(json);
  if (memchr(text, '\0', length) != NULL) {
    fail(reader, "a string may not have a NUL character in it");
    return FALSE;
  }
  if (!g_utf8_validate(text, length, NULL)) {
    fail(reader, "a string must be UTF-8");
    return FALSE;
  }
  *value = g_strdup(text);
  return TRUE;
}

/* base64 of either alphabet, padded or not, as protobuf's JSON form has it. */
static gboolean read_bytes(Reader *reader, struct json_object *json, ProtobufCBinaryData *value) {
  g_autofree char *text = NULL;
  if (!read_string(reader, json, &text)) return FALSE;
  g_strdelimit(text, "-", '+');
  g_strdelimit(text, "_", '/');
  gsize length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
  gsize n_padding = strspn(text + length, "=");
  if (text[length + n_padding] != '\0' || length % 4 == 1 || (n_padding > 0 && (length + n_padding) % 4 != 0) ||
      n_padding > 2) {
    fail(reader, "not valid base64");
    return FALSE;
  }
  text[length] = '\0';
  g_autofree char *padded = g_strconcat(text, length % 4 == 2 ? "==" : length % 4 == 3 ? "=" : "", NULL);
  gsize size;
  guchar *data = g_base64_decode(padded, &size);
  if (size == 0) g_clear_pointer(&data, g_free);
  *value = (ProtobufCBinaryData){.len = size, .data = data};
  return TRUE;
}

static ProtobufCMessage *read_message(Reader *reader, struct json_object *json, const ProtobufCMessageDescriptor *type);

static gboolean read_value(Reader *reader, struct json_object *json, const ProtobufCFieldDescriptor *field,
                           void *value) {
  guint64 number = 0;
  switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
      if (!read_in_range(reader, json, (guint64)G_MAXINT32 + 1, G_MAXINT32, &number)) return FALSE;
      *(gint32 *)value = (gint32)(gint64)number;
      return TRUE;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
      if (!read_in_range(reader, json, 0, G_MAXUINT32, &number)) return FALSE;
      *(guint32 *)value = (guint32)number;
      return TRUE;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
      if (!read_in_range(reader, json, (guint64)G_MAXINT64 + 1, G_MAXINT64, &number)) return FALSE;
      *(gint64 *)value = (gint64)number;
      return TRUE;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
      return read_in_range(reader, json, 0, G_MAXUINT64, value);
    case PROTOBUF_C_TYPE_FLOAT:
      return read_float(reader, json, value);
    case PROTOBUF_C_TYPE_DOUBLE:
      return read_double(reader, json, value);
    case PROTOBUF_C_TYPE_BOOL:
      return read_bool(reader, json, value);
    case PROTOBUF_C_TYPE_ENUM:
      return read_enum(reader, json, field->descriptor, value);
    case PROTOBUF_C_TYPE_STRING:
      return read_string(reader, json, value);
    case PROTOBUF_C_TYPE_BYTES:
      return read_bytes(reader, json, value);
    case PROTOBUF_C_TYPE_MESSAGE:
      break;
  }
  ProtobufCMessage *message = read_message(reader, json, field->descriptor);
  if (message != NULL) *(ProtobufCMessage **)value = message;
  return message != NULL;
}

/* ---- lists and maps; what was read so far belongs to the message, also when the next one is bad ---- */

/* Room for n values at the field's list, which has none yet. */
static char *prepare_list(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, gsize n_values) {
  char *values = g_malloc0_n(n_values, json_name_get_value_size(field));
  *(void **)((char *)message + field->offset) = values;
  return values;
}

static gboolean check_length(Reader *reader, gsize n_values) {
  if (n_values <= PROTOBUF_JSON_LIST_LIMIT) return TRUE;
  fail(reader, "has %" G_GSIZE_FORMAT " entries, at most %u are allowed", n_values, PROTOBUF_JSON_LIST_LIMIT);
  return FALSE;
}

static gboolean read_list(Reader *reader, struct json_object *json, const ProtobufCFieldDescriptor *field,
                          ProtobufCMessage *message) {
  if (!json_object_is_type(json, json_type_array)) {
    fail_type(reader, "an array", json);
    return FALSE;
  }
  gsize n_values = json_object_array_length(json);
  if (n_values == 0) return TRUE;
  if (!check_length(reader, n_values)) return FALSE;
  char *values = prepare_list(message, field, n_values);
  size_t *n_read = (size_t *)((char *)message + field->quantifier_offset);
  gsize path_length = reader->path->len;
  for (gsize i = 0; i < n_values; i++) {
    g_string_append_printf(reader->path, "[%" G_GSIZE_FORMAT "]", i);
    void *value = values + i * json_name_get_value_size(field);
    if (!read_value(reader, json_object_array_get_idx(json, i), field, value)) return FALSE;
    g_string_truncate(reader->path, path_length);
    ++*n_read;
  }
  return TRUE;
}

static gboolean read_map_key(Reader *reader, const char *key, const ProtobufCFieldDescriptor *field,
                             ProtobufCMessage *entry) {
  void *value = (char *)entry + field->offset;
  if (field->type == PROTOBUF_C_TYPE_BOOL) {
    *(protobuf_c_boolean *)value = strcmp(key, "true") == 0;
    if (strcmp(key, "true") == 0 || strcmp(key, "false") == 0) return TRUE;
    fail(reader, "expected 'true' or 'false' as the key");
    return FALSE;
  }
  struct json_object *json = json_object_new_string(key);
  Reader lenient = *reader;
  /* Numbers as keys are always strings. */
  lenient.names = PROTOBUF_JSON_PROTO;
  gboolean is_fine = read_value(&lenient, json, field, value);
  json_object_put(json);
  return is_fine;
}

static gboolean read_map(Reader *reader, struct json_object *json, const ProtobufCFieldDescriptor *field,
                         ProtobufCMessage *message) {
  if (!json_object_is_type(json, json_type_object)) {
    fail_type(reader, "an object", json);
    return FALSE;
  }
  gsize n_entries = json_object_object_length(json);
  if (n_entries == 0) return TRUE;
  if (!check_length(reader, n_entries)) return FALSE;
  const ProtobufCMessageDescriptor *type = field->descriptor;
  ProtobufCMessage **entries = (ProtobufCMessage **)(void *)prepare_list(message, field, n_entries);
  size_t *n_read = (size_t *)((char *)message + field->quantifier_offset);
  gsize path_length = reader->path->len;
  json_object_object_foreach(json, key, value) {
    g_string_append_printf(reader->path, "['%s']", key);
    ProtobufCMessage *entry = g_malloc0(type->sizeof_message);
    type->message_init(entry);
    entries[(*n_read)++] = entry;
    if (!read_map_key(reader, key, &type->fields[0], entry)) return FALSE;
    if (!read_value(reader, value, &type->fields[1], (char *)entry + type->fields[1].offset)) return FALSE;
    g_string_truncate(reader->path, path_length);
  }
  return TRUE;
}

/* ---- messages ---- */

/* Claims the field's place before its value is read: a oneof has room for one. */
static gboolean claim(Reader *reader, const ProtobufCFieldDescriptor *field, ProtobufCMessage *message) {
  if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
    guint32 *chosen = (guint32 *)(void *)((char *)message + field->quantifier_offset);
    if (*chosen != 0) {
      fail(reader, "excludes another member that is given too");
      return FALSE;
    }
    memset((char *)message + field->offset, 0, json_name_get_value_size(field));
    *chosen = field->id;
  } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING &&
             field->type != PROTOBUF_C_TYPE_MESSAGE) {
    *(protobuf_c_boolean *)(void *)((char *)message + field->quantifier_offset) = TRUE;
  }
  return TRUE;
}

static gboolean read_field(Reader *reader, struct json_object *json, const ProtobufCFieldDescriptor *field,
                           ProtobufCMessage *message) {
  if (json_name_is_map(field)) return read_map(reader, json, field, message);
  if (field->label == PROTOBUF_C_LABEL_REPEATED) return read_list(reader, json, field, message);
  return claim(reader, field, message) && read_value(reader, json, field, (char *)message + field->offset);
}

/* Finds the field's member; a null counts as none. FALSE if it is there under both of its names. */
static gboolean find_member(Reader *reader, struct json_object *json, const ProtobufCMessageDescriptor *type,
                            const ProtobufCFieldDescriptor *field, struct json_object **member, const char **name,
                            char buffer[JSON_NAME_MAX]) {
  *member = NULL;
  *name = json_name_of_field(type, field, reader->names, buffer);
  gboolean is_there = *name != NULL && json_object_object_get_ex(json, *name, member);
  if (reader->names == PROTOBUF_JSON_OCI) return TRUE;
  const char *other = reader->names == PROTOBUF_JSON_CANONICAL ? field->name : json_name_in_camel_case(field, buffer);
  if (strcmp(other, *name) == 0 || !json_object_object_get_ex(json, other, NULL)) return TRUE;
  if (is_there) {
    fail(reader, "'%s' and '%s' are the same member", *name, other);
    return FALSE;
  }
  *name = other;
  json_object_object_get_ex(json, other, member);
  return TRUE;
}

static gboolean check_members_are_known(Reader *reader, struct json_object *json,
                                        const ProtobufCMessageDescriptor *type) {
  if (reader->names == PROTOBUF_JSON_OCI) return TRUE;
  json_object_object_foreach(json, key, value) {
    (void)value;
    gboolean is_known = FALSE;
    for (unsigned i = 0; i < type->n_fields && !is_known; i++) {
      char buffer[JSON_NAME_MAX];
      is_known =
          strcmp(type->fields[i].name, key) == 0 || strcmp(json_name_in_camel_case(&type->fields[i], buffer), key) == 0;
    }
    if (is_known) continue;
    g_autofree char *shown = error_clean_text(key);
    fail(reader, "%s has no member '%s'", type->short_name, shown);
    return FALSE;
  }
  return TRUE;
}

static gboolean fill_message(Reader *reader, struct json_object *json, ProtobufCMessage *message) {
  const ProtobufCMessageDescriptor *type = message->descriptor;
  gsize path_length = reader->path->len;
  for (unsigned i = 0; i < type->n_fields; i++) {
    char buffer[JSON_NAME_MAX];
    struct json_object *member;
    const char *name;
    if (!find_member(reader, json, type, &type->fields[i], &member, &name, buffer)) return FALSE;
    if (member == NULL) continue;
    g_string_append_printf(reader->path, "%s%s", path_length > 0 ? "." : "", name);
    if (!read_field(reader, member, &type->fields[i], message)) return FALSE;
    g_string_truncate(reader->path, path_length);
  }
  return TRUE;
}

static ProtobufCMessage *read_message(Reader *reader, struct json_object *json,
                                      const ProtobufCMessageDescriptor *type) {
  if (!json_object_is_type(json, json_type_object)) {
    fail_type(reader, "an object", json);
    return NULL;
  }
  if (!check_members_are_known(reader, json, type)) return NULL;
  /* g_malloc() is malloc(), and the message is freed with free(). */
  ProtobufCMessage *message = g_malloc0(type->sizeof_message);
  type->message_init(message);
  if (fill_message(reader, json, message)) return message;
  protobuf_c_message_free_unpacked(message, NULL);
  return NULL;
}

ProtobufCMessage *protobuf_from_json(struct json_object *json, const ProtobufCMessageDescriptor *type,
                                     ProtobufJsonNames names, const char *where, GError **error) {
  g_autoptr(GString) path = g_string_new(NULL);
  Reader reader = {.names = names, .where = where, .path = path, .error = error};
  return read_message(&reader, json, type);
}
