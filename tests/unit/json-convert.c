// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * For test-json-mapping.py. Each line of standard input is "json MESSAGE TEXT" or "bytes MESSAGE HEX"; each is
 * answered by a line: "bytes HEX", "json TEXT", or "error TEXT".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json-text.h"
#include "common/protobuf-json.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "tests/unit/every-type.pb-c.h"

#define LINE_LIMIT (16u << 20)

static const ProtobufCMessageDescriptor *find_message(const char *name) {
  static const ProtobufCServiceDescriptor *const services[] = {&grpc__agent_service__descriptor,
                                                               &grpc__health__descriptor};
  if (strcmp(name, test__every_type__descriptor.name) == 0) return &test__every_type__descriptor;
  for (gsize i = 0; i < G_N_ELEMENTS(services); i++)
    for (unsigned k = 0; k < services[i]->n_methods; k++) {
      if (strcmp(name, services[i]->methods[k].input->name) == 0) return services[i]->methods[k].input;
      if (strcmp(name, services[i]->methods[k].output->name) == 0) return services[i]->methods[k].output;
    }
  fprintf(stderr, "there is no message '%s'\n", name);
  exit(EXIT_FAILURE);
}

static void print_bytes(const ProtobufCMessage *message) {
  gsize size = protobuf_c_message_get_packed_size(message);
  g_autofree guint8 *packed = g_malloc(size + 1);
  protobuf_c_message_pack(message, packed);
  printf("bytes ");
  for (gsize i = 0; i < size; i++) printf("%02x", packed[i]);
  printf("\n");
}

static void convert_json(const ProtobufCMessageDescriptor *type, const char *text) {
  g_autoptr(GError) error = NULL;
  struct json_object *json = json_text_parse(text, strlen(text), LINE_LIMIT, "text", &error);
  ProtobufCMessage *message =
      json != NULL ? protobuf_from_json(json, type, PROTOBUF_JSON_CANONICAL, "text", &error) : NULL;
  if (message != NULL) {
    print_bytes(message);
    protobuf_c_message_free_unpacked(message, NULL);
  } else {
    printf("error %s\n", error->message);
  }
  json_object_put(json);
}

static void convert_bytes(const ProtobufCMessageDescriptor *type, const char *text) {
  gsize size = strlen(text) / 2;
  g_autofree guint8 *packed = g_malloc(size + 1);
  for (gsize i = 0; i < size; i++)
    packed[i] = (guint8)(g_ascii_xdigit_value(text[2 * i]) << 4 | g_ascii_xdigit_value(text[2 * i + 1]));
  ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, size, packed);
  if (message == NULL) {
    printf("error not a %s\n", type->name);
    return;
  }
  struct json_object *json = protobuf_to_json(message, PROTOBUF_JSON_CANONICAL);
  printf("json %s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
  json_object_put(json);
  protobuf_c_message_free_unpacked(message, NULL);
}

int main(void) {
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0) {
    g_auto(GStrv) words = g_strsplit(g_strchomp(line), " ", 3);
    const ProtobufCMessageDescriptor *type = find_message(words[1]);
    const char *text = words[2] != NULL ? words[2] : "";
    if (strcmp(words[0], "json") == 0)
      convert_json(type, text);
    else
      convert_bytes(type, text);
  }
  free(line);
  return EXIT_SUCCESS;
}
