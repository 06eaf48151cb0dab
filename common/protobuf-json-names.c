// SPDX-License-Identifier: LGPL-2.1-or-later
#include "protobuf-json-names.h"

#include <string.h>

/* Names of the OCI runtime specification that do not follow from the protocol's by rule. */
static const struct {
  const char *message;
  const char *field;
  const char *name; /* NULL: not a member there */
} oci_exceptions[] = {
    {"grpc.Spec", "Version", "ociVersion"},
    {"grpc.LinuxHugepageLimit", "Pagesize", "pageSize"},
    {"grpc.LinuxSyscall", "errnoret", "errnoRet"},
    /* Between owner and agent. */
    {"grpc.LinuxCPU", "HostCpus", NULL},
    {"grpc.LinuxCPU", "HostMems", NULL},
    /* Other systems' parts: the protocol carries nothing of them. */
    {"grpc.Spec", "Solaris", NULL},
    {"grpc.Spec", "Windows", NULL},
};

/* What readers refuse a document without: what the specification's schema requires, and what crun does. */
static const struct {
  const char *message;
  const char *fields; /* between blanks */
} oci_required[] = {
    {"grpc.Spec", " Version Mounts Linux "},
    {"grpc.Process", " Cwd "},
    {"grpc.Box", " Height Width "},
    {"grpc.User", " UID GID "},
    {"grpc.POSIXRlimit", " Type Hard Soft "},
    {"grpc.Root", " Path "},
    {"grpc.Mount", " destination "},
    {"grpc.Hook", " Path "},
    {"grpc.LinuxIDMapping", " HostID ContainerID Size "},
    {"grpc.LinuxNamespace", " Type "},
    {"grpc.LinuxDevice", " Path Type "},
    {"grpc.LinuxDeviceCgroup", " Allow "},
    {"grpc.LinuxPids", " Limit "},
    {"grpc.LinuxWeightDevice", " Major Minor "},
    {"grpc.LinuxThrottleDevice", " Major Minor Rate "},
    {"grpc.LinuxInterfacePriority", " Name Priority "},
    {"grpc.LinuxHugepageLimit", " Pagesize Limit "},
    {"grpc.LinuxSeccomp", " DefaultAction "},
    {"grpc.LinuxSyscall", " Names Action "},
    {"grpc.LinuxSeccompArg", " Index Value Op "},
    {"grpc.LinuxIOPriority", " Class Priority "},
    {"grpc.Scheduler", " Policy "},
    {"grpc.LinuxPersonality", " Domain "},
};

/* UIDMappings -> uidMappings, CPU -> cpu, HostID -> hostID: the capitals in front become small, but for the one that
 * begins the next word. */
static const char *lower_first_word(const char *name, char buffer[JSON_NAME_MAX]) {
  g_strlcpy(buffer, name, JSON_NAME_MAX);
  gsize n_capitals = strspn(buffer, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  if (n_capitals > 1 && g_ascii_islower(buffer[n_capitals])) n_capitals--;
  for (gsize i = 0; i < n_capitals; i++) buffer[i] = g_ascii_tolower(buffer[i]);
  return buffer;
}

const char *json_name_of_field(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
                               ProtobufJsonNames names, char buffer[JSON_NAME_MAX]) {
  if (names == PROTOBUF_JSON_PROTO) return field->name;
  if (names == PROTOBUF_JSON_CANONICAL) return json_name_in_camel_case(field, buffer);
  for (gsize i = 0; i < G_N_ELEMENTS(oci_exceptions); i++) {
    if (strcmp(type->name, oci_exceptions[i].message) == 0 && strcmp(field->name, oci_exceptions[i].field) == 0) {
      return oci_exceptions[i].name;
    }
  }
  return lower_first_word(field->name, buffer);
}

const char *json_name_in_camel_case(const ProtobufCFieldDescriptor *field, char buffer[JSON_NAME_MAX]) {
  gsize length = 0;
  gboolean is_word_start = FALSE;
  for (const char *at = field->name; *at != '\0' && length < JSON_NAME_MAX - 1; at++) {
    if (*at == '_') {
      is_word_start = TRUE;
      continue;
    }
    buffer[length++] = is_word_start ? g_ascii_toupper(*at) : *at;
    is_word_start = FALSE;
  }
  buffer[length] = '\0';
  return buffer;
}

static gboolean is_number_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                             const char *type_name) {
  return strcmp(message->descriptor->name, type_name) == 0 &&
         (strcmp(field->name, "Major") == 0 || strcmp(field->name, "Minor") == 0);
}

/* A FIFO has no device numbers; for the others 0 is one like any other. */
static gboolean is_device_number(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  if (!is_number_of(message, field, "grpc.LinuxDevice")) return FALSE;
  const ProtobufCFieldDescriptor *type = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "Type");
  const char *value = type != NULL ? G_STRUCT_MEMBER(const char *, message, type->offset) : NULL;
  return g_strcmp0(value, "p") != 0;
}

/* runc takes -1 in a device rule as any number; crun does so only if it is absent, as both do. */
gboolean json_name_is_left_out(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                               ProtobufJsonNames names) {
  return names == PROTOBUF_JSON_OCI && is_number_of(message, field, "grpc.LinuxDeviceCgroup") &&
         G_STRUCT_MEMBER(gint64, message, field->offset) < 0;
}

gboolean json_name_is_required(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                               ProtobufJsonNames names) {
  if (names != PROTOBUF_JSON_OCI) return FALSE;
  if (is_device_number(message, field)) return TRUE;
  char word[JSON_NAME_MAX + 2];
  g_snprintf(word, sizeof word, " %s ", field->name);
  for (gsize i = 0; i < G_N_ELEMENTS(oci_required); i++) {
    if (strcmp(message->descriptor->name, oci_required[i].message) == 0) {
      return strstr(oci_required[i].fields, word) != NULL;
    }
  }
  return FALSE;
}

gboolean json_name_is_map(const ProtobufCFieldDescriptor *field) {
  if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE) return FALSE;
  const ProtobufCMessageDescriptor *entry = field->descriptor;
  return g_str_has_suffix(entry->short_name, "Entry") && entry->n_fields == 2 && entry->fields[0].id == 1 &&
         strcmp(entry->fields[0].name, "key") == 0 && entry->fields[1].id == 2 &&
         strcmp(entry->fields[1].name, "value") == 0;
}

gsize json_name_get_value_size(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
      return sizeof(gint64);
    case PROTOBUF_C_TYPE_BOOL:
      return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
      return sizeof(int);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
      return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
      return sizeof(ProtobufCBinaryData);
    default:
      return sizeof(gint32);
  }
}
