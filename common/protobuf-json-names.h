/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a message's fields are called in JSON, and which of them are always there. */
#pragma once

#include "common/protobuf-json.h"

/* Longer names do not occur in our .proto files. */
#define JSON_NAME_MAX 64

/* The member's name when writing: static or in buffer; NULL if the form has no such member. */
const char *json_name_of_field(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
                               ProtobufJsonNames names, char buffer[JSON_NAME_MAX]);

/* The field's name in protobuf's JSON mapping: containerId for container_id. */
const char *json_name_in_camel_case(const ProtobufCFieldDescriptor *field, char buffer[JSON_NAME_MAX]);

/* Must the field be written even if it is at its default? */
gboolean json_name_is_required(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                               ProtobufJsonNames names);

/* Must the field be left out though it is not at its default? */
gboolean json_name_is_left_out(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                               ProtobufJsonNames names);

/* map<K, V> is a list of generated messages {K key = 1; V value = 2;}, an object in JSON. */
gboolean json_name_is_map(const ProtobufCFieldDescriptor *field);

/* Bytes that one value of the field takes in the message or in its list. */
gsize json_name_get_value_size(const ProtobufCFieldDescriptor *field);
