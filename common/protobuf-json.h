/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any protobuf message as JSON and back, through protobuf-c's descriptors. */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

typedef enum {
  /* Protobuf's JSON mapping: names in lowerCamelCase, bytes as base64, 64-bit numbers as strings, enums by name. When
   * reading, the names of the .proto file and numbers of either form do as well. */
  PROTOBUF_JSON_CANONICAL,
  /* The same with the names of the .proto file, and 64-bit numbers as numbers. Reads what the first one reads. */
  PROTOBUF_JSON_PROTO,
  /* Member names as in the OCI runtime specification's config.json. */
  PROTOBUF_JSON_OCI,
} ProtobufJsonNames;

/* Lists and maps with more entries than this are refused when read. */
#define PROTOBUF_JSON_LIST_LIMIT 32768u

/* Members at their default are left out, but for those the OCI specification requires. The caller owns the object. */
struct json_object *protobuf_to_json(const ProtobufCMessage *message, ProtobufJsonNames names);

/* Builds a message. Unknown members are ignored in OCI form and refused in the others; a wrong type or a number out of
 * range is KATA_ERR_INVALID_ARGUMENT with the member's path: "config.json: process.args[2]: expected a string, found
 * a number". where: the document's name in errors. Strings must be UTF-8 without NUL.
 * Free with protobuf_c_message_free_unpacked(message, NULL). */
ProtobufCMessage *protobuf_from_json(struct json_object *json, const ProtobufCMessageDescriptor *type,
                                     ProtobufJsonNames names, const char *where, GError **error);
