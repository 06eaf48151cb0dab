// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the messages of the agent protocol look like, for people who write them by hand. */
#include <json-c/json.h>
#include <string.h>

#include "common/error.h"
#include "common/protobuf-json-names.h"
#include "lib/agent-methods.h"
#include "lib/api.h"

/* Messages of the protocol nest less deep; one that held itself would have no end. */
#define DEPTH_LIMIT 16

/* ---- finding ---- */

static const ProtobufCMessageDescriptor *find_below(const ProtobufCMessageDescriptor *type, const char *name,
                                                    int depth) {
  if (strcmp(type->name, name) == 0) return type;
  for (unsigned i = 0; i < type->n_fields && depth < DEPTH_LIMIT; i++) {
    if (type->fields[i].type != PROTOBUF_C_TYPE_MESSAGE) continue;
    const ProtobufCMessageDescriptor *found = find_below(type->fields[i].descriptor, name, depth + 1);
    if (found != NULL) return found;
  }
  return NULL;
}

static const ProtobufCMessageDescriptor *find_message(const char *name, GError **error) {
  for (const kata_agent_method *method = kata_agent_method_next(NULL); method != NULL;
       method = kata_agent_method_next(method)) {
    const ProtobufCMessageDescriptor *found = find_below(method->descriptor->input, name, 0);
    if (found == NULL) found = find_below(method->descriptor->output, name, 0);
    if (found != NULL) return found;
  }
  g_autofree char *shown = error_clean_text(name);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
              "the agent protocol has no message '%s' (a full name such as 'grpc.Storage' is needed)", shown);
  return NULL;
}

static char *to_text(struct json_object *json, int flags) {
  char *text = g_strdup(json_object_to_json_string_ext(json, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(json);
  return text;
}

/* ---- description ---- */

/* The words of the .proto language. */
static const char *type_name(const ProtobufCFieldDescriptor *field) {
  static const char *const names[] = {
      [PROTOBUF_C_TYPE_INT32] = "int32",       [PROTOBUF_C_TYPE_SINT32] = "sint32",
      [PROTOBUF_C_TYPE_SFIXED32] = "sfixed32", [PROTOBUF_C_TYPE_INT64] = "int64",
      [PROTOBUF_C_TYPE_SINT64] = "sint64",     [PROTOBUF_C_TYPE_SFIXED64] = "sfixed64",
      [PROTOBUF_C_TYPE_UINT32] = "uint32",     [PROTOBUF_C_TYPE_FIXED32] = "fixed32",
      [PROTOBUF_C_TYPE_UINT64] = "uint64",     [PROTOBUF_C_TYPE_FIXED64] = "fixed64",
      [PROTOBUF_C_TYPE_FLOAT] = "float",       [PROTOBUF_C_TYPE_DOUBLE] = "double",
      [PROTOBUF_C_TYPE_BOOL] = "bool",         [PROTOBUF_C_TYPE_STRING] = "string",
      [PROTOBUF_C_TYPE_BYTES] = "bytes",
  };
  if (field->type == PROTOBUF_C_TYPE_ENUM) return ((const ProtobufCEnumDescriptor *)field->descriptor)->name;
  if (field->type == PROTOBUF_C_TYPE_MESSAGE) return ((const ProtobufCMessageDescriptor *)field->descriptor)->name;
  return names[field->type];
}

static struct json_object *describe_values(const ProtobufCEnumDescriptor *type) {
  struct json_object *values = json_object_new_array();
  for (unsigned i = 0; i < type->n_values; i++)
    json_object_array_add(values, json_object_new_string(type->values[i].name));
  return values;
}

static struct json_object *describe_field(const ProtobufCFieldDescriptor *field) {
  struct json_object *json = json_object_new_object();
  char buffer[JSON_NAME_MAX];
  json_object_object_add(json, "name", json_object_new_string(json_name_in_camel_case(field, buffer)));
  json_object_object_add(json, "protoName", json_object_new_string(field->name));
  json_object_object_add(json, "number", json_object_new_int64(field->id));
  const ProtobufCFieldDescriptor *value = field;
  if (json_name_is_map(field)) {
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    json_object_object_add(json, "mapKey", json_object_new_string(type_name(&entry->fields[0])));
    value = &entry->fields[1];
  } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
    json_object_object_add(json, "repeated", json_object_new_boolean(TRUE));
  } else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
    json_object_object_add(json, "hasPresence", json_object_new_boolean(TRUE));
  }
  json_object_object_add(json, "type", json_object_new_string(type_name(value)));
  if (value->type == PROTOBUF_C_TYPE_ENUM) json_object_object_add(json, "values", describe_values(value->descriptor));
  return json;
}

char *kata_agent_describe_message(const char *type, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  const ProtobufCMessageDescriptor *message =
      api_check(type, "message type", flags, 0, &error) ? find_message(type, &error) : NULL;
  if (message == NULL) return api_fail_null(err, error);
  struct json_object *json = json_object_new_object();
  struct json_object *fields = json_object_new_array();
  for (unsigned i = 0; i < message->n_fields; i++) json_object_array_add(fields, describe_field(&message->fields[i]));
  json_object_object_add(json, "message", json_object_new_string(message->name));
  json_object_object_add(json, "fields", fields);
  return to_text(json, JSON_C_TO_STRING_PRETTY);
}

/* ---- template ---- */

static struct json_object *make_message(const ProtobufCMessageDescriptor *type, int depth);

static struct json_object *make_value(const ProtobufCFieldDescriptor *field, int depth) {
  switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
      return json_object_new_boolean(FALSE);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
      return json_object_new_string("");
    case PROTOBUF_C_TYPE_ENUM:
      return json_object_new_string(((const ProtobufCEnumDescriptor *)field->descriptor)->values[0].name);
    case PROTOBUF_C_TYPE_MESSAGE:
      return make_message(field->descriptor, depth + 1);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
      return json_object_new_string("0");
    default:
      return json_object_new_int(0);
  }
}

static struct json_object *make_field(const ProtobufCFieldDescriptor *field, int depth) {
  if (json_name_is_map(field)) {
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    struct json_object *map = json_object_new_object();
    const char *key = entry->fields[0].type == PROTOBUF_C_TYPE_STRING ? "KEY" : "0";
    json_object_object_add(map, key, make_value(&entry->fields[1], depth));
    return map;
  }
  struct json_object *value = make_value(field, depth);
  if (field->label != PROTOBUF_C_LABEL_REPEATED) return value;
  struct json_object *list = json_object_new_array();
  json_object_array_add(list, value);
  return list;
}

/* Of a oneof only the first member: they exclude each other. */
static gboolean is_excluded(const ProtobufCMessageDescriptor *type, unsigned at) {
  const ProtobufCFieldDescriptor *field = &type->fields[at];
  for (unsigned i = 0; i < at && field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF; i++)
    if (type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
        type->fields[i].quantifier_offset == field->quantifier_offset)
      return TRUE;
  return FALSE;
}

static struct json_object *make_message(const ProtobufCMessageDescriptor *type, int depth) {
  struct json_object *json = json_object_new_object();
  for (unsigned i = 0; i < type->n_fields && depth < DEPTH_LIMIT; i++) {
    if (is_excluded(type, i)) continue;
    char buffer[JSON_NAME_MAX];
    json_object_object_add(json, json_name_in_camel_case(&type->fields[i], buffer),
                           make_field(&type->fields[i], depth));
  }
  return json;
}

char *kata_agent_make_template(const char *type, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  const ProtobufCMessageDescriptor *message =
      api_check(type, "message type", flags, 0, &error) ? find_message(type, &error) : NULL;
  if (message == NULL) return api_fail_null(err, error);
  return to_text(make_message(message, 0), JSON_C_TO_STRING_PRETTY);
}
