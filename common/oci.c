// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci.h"

#include <json-c/json.h>
#include <string.h>

#include "error.h"
#include "json-text.h"
#include "oci-check.h"
#include "protobuf-json.h"
#include "safe-path.h"

G_STATIC_ASSERT(OCI_LIST_LIMIT == PROTOBUF_JSON_LIST_LIMIT);

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

void oci_spec_free(OciSpec *spec) { grpc__spec__free_unpacked(spec, NULL); }
void oci_process_free(OciProcess *process) { grpc__process__free_unpacked(process, NULL); }
void oci_resources_free(OciResources *resources) { grpc__linux_resources__free_unpacked(resources, NULL); }

/* ---- reading ---- */

static ProtobufCMessage *parse_message(const char *text, gsize length, const ProtobufCMessageDescriptor *type,
                                       const char *where, GError **error) {
  g_autoptr(JsonObject) json = json_text_parse(text, length, OCI_DOCUMENT_LIMIT, where, error);
  return json != NULL ? protobuf_from_json(json, type, PROTOBUF_JSON_OCI, where, error) : NULL;
}

OciSpec *oci_spec_parse(const char *text, gsize length, const char *where, GError **error) {
  g_autoptr(OciSpec) spec = (OciSpec *)parse_message(text, length, &grpc__spec__descriptor, where, error);
  if (spec == NULL || !oci_check_spec(spec, where, error)) return NULL;
  return g_steal_pointer(&spec);
}

OciProcess *oci_process_parse(const char *text, gsize length, const char *where, GError **error) {
  g_autoptr(OciProcess) process = (OciProcess *)parse_message(text, length, &grpc__process__descriptor, where, error);
  if (process == NULL || !oci_check_process(process, where, error)) return NULL;
  return g_steal_pointer(&process);
}

OciResources *oci_resources_parse(const char *text, gsize length, const char *where, GError **error) {
  g_autoptr(OciResources) resources =
      (OciResources *)parse_message(text, length, &grpc__linux_resources__descriptor, where, error);
  if (resources == NULL || !oci_check_resources(resources, where, error)) return NULL;
  return g_steal_pointer(&resources);
}

OciSpec *oci_spec_load(const char *bundle, GError **error) {
  g_autofree char *path = g_build_filename(bundle, "config.json", NULL);
  g_autofree char *shown = error_clean_text(bundle);
  if (!g_file_test(bundle, G_FILE_TEST_IS_DIR)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "cannot open bundle '%s': no such directory", shown);
    return NULL;
  }
  gsize length;
  g_autoptr(GError) reason = NULL;
  g_autofree char *text = safe_read_file(path, OCI_DOCUMENT_LIMIT, &length, &reason);
  if (text != NULL) return oci_spec_parse(text, length, "config.json", error);
  if (error_get_code(reason) == KATA_ERR_NOT_FOUND) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "JSON specification file config.json not found in bundle '%s'",
                shown);
  } else {
    g_propagate_error(error, g_steal_pointer(&reason));
  }
  return NULL;
}

/* ---- writing ---- */

static char *message_to_text(const ProtobufCMessage *message) {
  g_autoptr(JsonObject) json = protobuf_to_json(message, PROTOBUF_JSON_OCI);
  return g_strconcat(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE),
                     "\n", NULL);
}

char *oci_spec_to_json(const OciSpec *spec) { return message_to_text(&spec->base); }
char *oci_process_to_json(const OciProcess *process) { return message_to_text(&process->base); }

/* ---- use ---- */

const char *oci_spec_get_annotation(const OciSpec *spec, const char *key) {
  for (gsize i = 0; i < spec->n_annotations; i++) {
    if (strcmp(spec->annotations[i]->key, key) == 0) return spec->annotations[i]->value;
  }
  return NULL;
}

static ProtobufCMessage *copy_message(const ProtobufCMessage *message) {
  gsize size = protobuf_c_message_get_packed_size(message);
  g_autofree guint8 *packed = g_malloc(MAX(size, 1));
  protobuf_c_message_pack(message, packed);
  return protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
}

OciSpec *oci_spec_copy(const OciSpec *spec) { return (OciSpec *)copy_message(&spec->base); }
OciProcess *oci_process_copy(const OciProcess *process) { return (OciProcess *)copy_message(&process->base); }
OciResources *oci_resources_copy(const OciResources *resources) {
  return (OciResources *)copy_message(&resources->base);
}
Grpc__Linux *oci_linux_copy(const Grpc__Linux *lin) { return (Grpc__Linux *)copy_message(&lin->base); }
