// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * OCI documents and JSON of protobuf messages. The input is taken as a spec, a
 * process, resources, a request in protobuf's JSON form, and a packed spec. What
 * is accepted must come back unchanged from being written and read again.
 */
#include <json-c/json.h>
#include <stdint.h>
#include <string.h>

#include "common/oci.h"
#include "common/protobuf-json.h"
#include "proto/agent.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *to_text(const ProtobufCMessage *message, ProtobufJsonNames names) {
  struct json_object *json = protobuf_to_json(message, names);
  char *text = g_strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
  json_object_put(json);
  return text;
}

static ProtobufCMessage *from_text(const char *text, gsize length, const ProtobufCMessageDescriptor *type,
                                   ProtobufJsonNames names, GError **error) {
  struct json_tokener *tokener = json_tokener_new();
  struct json_object *json = json_tokener_parse_ex(tokener, text, (int)length);
  ProtobufCMessage *message = json != NULL ? protobuf_from_json(json, type, names, "fuzz", error) : NULL;
  json_object_put(json);
  json_tokener_free(tokener);
  return message;
}

/* Once written, a message reads and writes the same for ever. */
static void check_stable(const ProtobufCMessage *message, ProtobufJsonNames names) {
  g_autofree char *text = to_text(message, names);
  ProtobufCMessage *again = from_text(text, strlen(text), message->descriptor, names, NULL);
  g_assert(again != NULL);
  g_autofree char *text_again = to_text(again, names);
  g_assert_cmpstr(text, ==, text_again);
  protobuf_c_message_free_unpacked(again, NULL);
}

static void check_error(gboolean has_failed, const GError *error) {
  g_assert(has_failed == (error != NULL));
  if (error != NULL) g_assert(strchr(error->message, '\n') == NULL && g_utf8_validate(error->message, -1, NULL));
}

static void try_documents(const char *text, gsize size) {
  g_autoptr(GError) spec_error = NULL;
  g_autoptr(OciSpec) spec = oci_spec_parse(text, size, "config.json", &spec_error);
  check_error(spec == NULL, spec_error);
  if (spec != NULL) {
    check_stable(&spec->base, PROTOBUF_JSON_OCI);
    g_autofree char *written = oci_spec_to_json(spec);
    g_autoptr(OciSpec) again = oci_spec_parse(written, strlen(written), "config.json", NULL);
    g_assert(again != NULL);
    g_autoptr(OciSpec) copy = oci_spec_copy(spec);
    g_autofree char *copied = oci_spec_to_json(copy);
    g_assert_cmpstr(written, ==, copied);
  }
  g_autoptr(GError) process_error = NULL;
  g_autoptr(OciProcess) process = oci_process_parse(text, size, "process.json", &process_error);
  check_error(process == NULL, process_error);
  if (process != NULL) check_stable(&process->base, PROTOBUF_JSON_OCI);
  g_autoptr(GError) resources_error = NULL;
  g_autoptr(OciResources) resources = oci_resources_parse(text, size, "resources.json", &resources_error);
  check_error(resources == NULL, resources_error);
  if (resources != NULL) check_stable(&resources->base, PROTOBUF_JSON_OCI);
}

static void try_request(const char *text, gsize size) {
  static const ProtobufCMessageDescriptor *const types[] = {
      &grpc__create_container_request__descriptor, &grpc__create_sandbox_request__descriptor,
      &grpc__copy_file_request__descriptor,        &grpc__stats_container_response__descriptor,
      &grpc__mem_agent_memcg_config__descriptor,
  };
  for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
    g_autoptr(GError) error = NULL;
    ProtobufCMessage *message = from_text(text, size, types[i], PROTOBUF_JSON_PROTO, &error);
    g_assert(message == NULL || error == NULL);
    if (message == NULL) continue;
    check_stable(message, PROTOBUF_JSON_PROTO);
    protobuf_c_message_free_unpacked(message, NULL);
  }
}

static void try_packed(const uint8_t *data, size_t size) {
  ProtobufCMessage *message = protobuf_c_message_unpack(&grpc__spec__descriptor, NULL, size, data);
  if (message == NULL) return;
  check_stable(message, PROTOBUF_JSON_PROTO);
  check_stable(message, PROTOBUF_JSON_OCI);
  protobuf_c_message_free_unpacked(message, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = size > 0 ? (const char *)data : "";
  try_documents(text, size);
  try_request(text, size);
  try_packed(data, size);
  return 0;
}
