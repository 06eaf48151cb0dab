// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci.h"

#include <json-c/json.h>
#include <string.h>

#include "error.h"
#include "oci-check.h"
#include "protobuf-json.h"
#include "safe-path.h"

/* The documents nest less than ten deep; what is unknown may nest this deep. */
#define OCI_DEPTH_LIMIT 32

G_STATIC_ASSERT(OCI_LIST_LIMIT == PROTOBUF_JSON_LIST_LIMIT);

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)
typedef struct json_tokener JsonTokener;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonTokener, json_tokener_free)

void oci_spec_free(OciSpec *spec) { grpc__spec__free_unpacked(spec, NULL); }
void oci_process_free(OciProcess *process) { grpc__process__free_unpacked(process, NULL); }
void oci_resources_free(OciResources *resources) { grpc__linux_resources__free_unpacked(resources, NULL); }

/* ---- reading ---- */

static void set_syntax_error(GError **error, const char *where, const char *text, gsize offset, const char *reason) {
  guint line = 1;
  const char *line_start = text;
  for (const char *at = text; at < text + offset; at++) {
    if (*at == '\n') line++, line_start = at + 1;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: line %u, column %u: not valid JSON: %s", where, line,
              (guint)(text + offset - line_start) + 1, reason);
}

/* NULs end C strings early, names of members included, so that two readers could see two documents. */
static const char *find_nul(const char *text, gsize length) {
  const char *raw = memchr(text, '\0', length);
  const char *end = text + length;
  for (const char *at = memchr(text, '\\', length); at != NULL; at = memchr(at, '\\', end - at)) {
    if (raw != NULL && raw < at) return raw;
    if (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0) return at;
    at += MIN(2, end - at);
  }
  return raw;
}

static JsonObject *parse_json(const char *text, gsize length, const char *where, GError **error) {
  if (length > OCI_DOCUMENT_LIMIT) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                "%s: %" G_GSIZE_FORMAT " bytes long, at most %u are allowed", where, length, OCI_DOCUMENT_LIMIT);
    return NULL;
  }
  if (length == 0) text = "";
  const char *nul = find_nul(text, length);
  if (nul != NULL) {
    set_syntax_error(error, where, text, nul - text, "a NUL character is not allowed");
    return NULL;
  }
  g_autoptr(JsonTokener) tokener = json_tokener_new_ex(OCI_DEPTH_LIMIT);
  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
  g_autoptr(JsonObject) json = json_tokener_parse_ex(tokener, text, (int)length);
  gsize offset = json_tokener_get_parse_end(tokener);
  /* A number or a cut document is only at its end when a NUL says so. */
  if (json_tokener_get_error(tokener) == json_tokener_continue) json = json_tokener_parse_ex(tokener, "", 1);
  enum json_tokener_error reason = json_tokener_get_error(tokener);
  if (reason != json_tokener_success) {
    set_syntax_error(error, where, text, MIN(offset, length),
                     reason == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(reason));
    return NULL;
  }
  if (json == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: expected an object, found null", where);
  }
  return g_steal_pointer(&json);
}

static ProtobufCMessage *parse_message(const char *text, gsize length, const ProtobufCMessageDescriptor *type,
                                       const char *where, GError **error) {
  g_autoptr(JsonObject) json = parse_json(text, length, where, error);
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

OciSpec *oci_spec_copy(const OciSpec *spec) {
  gsize size = grpc__spec__get_packed_size(spec);
  g_autofree guint8 *packed = g_malloc(MAX(size, 1));
  grpc__spec__pack(spec, packed);
  return grpc__spec__unpack(NULL, size, packed);
}
