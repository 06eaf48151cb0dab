// SPDX-License-Identifier: LGPL-2.1-or-later
#include <math.h>
#include <string.h>

#include "protobuf-json-names.h"

static struct json_object *string_to_json(const char *text) {
  if (text == NULL || g_utf8_validate(text, -1, NULL)) return json_object_new_string(text != NULL ? text : "");
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  return json_object_new_string(valid);
}

static struct json_object *number_to_json(double number) {
  if (isnan(number)) return json_object_new_string("NaN");
  if (isinf(number)) return json_object_new_string(number > 0 ? "Infinity" : "-Infinity");
  return json_object_new_double(number);
}

static struct json_object *enum_to_json(const ProtobufCEnumDescriptor *type, int value) {
  const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);
  return known != NULL ? json_object_new_string(known->name) : json_object_new_int(value);
}

static struct json_object *bytes_to_json(const ProtobufCBinaryData *bytes) {
  g_autofree char *text = g_base64_encode(bytes->data, bytes->len);
  return json_object_new_string(text);
}

static struct json_object *signed_to_json(gint64 number, ProtobufJsonNames names) {
  if (names != PROTOBUF_JSON_CANONICAL) return json_object_new_int64(number);
  char text[24];
  g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, number);
  return json_object_new_string(text);
}

static struct json_object *unsigned_to_json(guint64 number, ProtobufJsonNames names) {
  if (names != PROTOBUF_JSON_CANONICAL) return json_object_new_uint64(number);
  char text[24];
  g_snprintf(text, sizeof text, "%" G_GUINT64_FORMAT, number);
  return json_object_new_string(text);
}

static struct json_object *value_to_json(const ProtobufCFieldDescriptor *field, const void *value,
                                         ProtobufJsonNames names) {
  switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
      return json_object_new_int(*(const gint32 *)value);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
      return json_object_new_int64(*(const guint32 *)value);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
      return signed_to_json(*(const gint64 *)value, names);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
      return unsigned_to_json(*(const guint64 *)value, names);
    case PROTOBUF_C_TYPE_FLOAT:
      return number_to_json((double)*(const float *)value);
    case PROTOBUF_C_TYPE_DOUBLE:
      return number_to_json(*(const double *)value);
    case PROTOBUF_C_TYPE_BOOL:
      return json_object_new_boolean(*(const protobuf_c_boolean *)value);
    case PROTOBUF_C_TYPE_ENUM:
      return enum_to_json(field->descriptor, *(const int *)value);
    case PROTOBUF_C_TYPE_STRING:
      return string_to_json(*(const char *const *)value);
    case PROTOBUF_C_TYPE_BYTES:
      return bytes_to_json(value);
    case PROTOBUF_C_TYPE_MESSAGE:
      break;
  }
  const ProtobufCMessage *message = *(const ProtobufCMessage *const *)value;
  return message != NULL ? protobuf_to_json(message, names) : json_object_new_object();
}

static struct json_object *list_to_json(const ProtobufCFieldDescriptor *field, const void *values, gsize n_values,
                                        ProtobufJsonNames names) {
  struct json_object *list = json_object_new_array();
  for (gsize i = 0; i < n_values; i++) {
    const void *value = (const char *)values + i * json_name_get_value_size(field);
    json_object_array_add(list, value_to_json(field, value, names));
  }
  return list;
}

static struct json_object *map_to_json(const ProtobufCFieldDescriptor *field, ProtobufCMessage *const *entries,
                                       gsize n_entries, ProtobufJsonNames names) {
  const ProtobufCMessageDescriptor *type = field->descriptor;
  struct json_object *object = json_object_new_object();
  for (gsize i = 0; i < n_entries; i++) {
    /* JSON's keys are strings, whatever the map's are. */
    struct json_object *key = value_to_json(&type->fields[0], (char *)entries[i] + type->fields[0].offset, names);
    json_object_object_add(object, json_object_get_string(key),
                           value_to_json(&type->fields[1], (char *)entries[i] + type->fields[1].offset, names));
    json_object_put(key);
  }
  return object;
}

static gboolean is_at_default(const ProtobufCFieldDescriptor *field, const void *value) {
  static const char zeros[sizeof(gint64)];
  switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
      const char *text = *(const char *const *)value;
      return text == NULL || *text == '\0';
    }
    case PROTOBUF_C_TYPE_BYTES:
      return ((const ProtobufCBinaryData *)value)->len == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
      return *(const ProtobufCMessage *const *)value == NULL;
    default:
      return memcmp(value, zeros, json_name_get_value_size(field)) == 0;
  }
}

/* Is there something to write? Not of lists. */
static gboolean is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                           ProtobufJsonNames names) {
  const void *value = (const char *)message + field->offset;
  if (json_name_is_left_out(message, field, names)) return FALSE;
  if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
    return G_STRUCT_MEMBER(guint32, message, field->quantifier_offset) == field->id;
  }
  if (field->label == PROTOBUF_C_LABEL_OPTIONAL) {
    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE) {
      return G_STRUCT_MEMBER(protobuf_c_boolean, message, field->quantifier_offset);
    }
    const void *pointer = *(const void *const *)value;
    return pointer != NULL && pointer != field->default_value;
  }
  return !is_at_default(field, value) || json_name_is_required(message, field, names);
}

static struct json_object *field_to_json(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                                         ProtobufJsonNames names) {
  const void *value = (const char *)message + field->offset;
  if (field->label != PROTOBUF_C_LABEL_REPEATED) {
    return is_present(message, field, names) ? value_to_json(field, value, names) : NULL;
  }
  gsize n_values = G_STRUCT_MEMBER(size_t, message, field->quantifier_offset);
  if (n_values == 0 && !json_name_is_required(message, field, names)) return NULL;
  const void *values = *(const void *const *)value;
  if (json_name_is_map(field)) return map_to_json(field, values, n_values, names);
  return list_to_json(field, values, n_values, names);
}

struct json_object *protobuf_to_json(const ProtobufCMessage *message, ProtobufJsonNames names) {
  const ProtobufCMessageDescriptor *type = message->descriptor;
  struct json_object *object = json_object_new_object();
  for (unsigned i = 0; i < type->n_fields; i++) {
    char buffer[JSON_NAME_MAX];
    const char *name = json_name_of_field(type, &type->fields[i], names, buffer);
    struct json_object *value = name != NULL ? field_to_json(message, &type->fields[i], names) : NULL;
    if (value != NULL) json_object_object_add(object, name, value);
  }
  return object;
}
