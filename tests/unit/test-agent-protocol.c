// SPDX-License-Identifier: LGPL-2.1-or-later
/* The compiled protocol against its description, tests/data/agent-protocol.txt, both ways. Fields from OWN_FIELDS on
 * are ours, which upstream does not know; and where upstream's fields have no presence ours may, which is the same on
 * the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"

#define OWN_FIELDS 1000

/* Package-qualified name -> the text behind the colon. */
typedef struct {
  GHashTable *methods; /* "grpc.Health/Check" */
  GHashTable *messages;
  GHashTable *enums;
} Description;

static GHashTable *new_table(void) { return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free); }

static void take_line(Description *description, char **service, char **package, const char *line) {
  g_auto(GStrv) words = g_strsplit(line, " ", 2);
  if (strcmp(words[0], "service") == 0 || strcmp(words[0], "package") == 0) {
    g_free(*service);
    g_free(*package);
    *service = strcmp(words[0], "service") == 0 ? g_strdup(words[1]) : NULL;
    *package = *service == NULL ? g_strdup(words[1]) : NULL;
    return;
  }
  const char *colon = strchr(line, ':');
  assert_non_null(colon);
  gboolean is_enum = g_str_has_prefix(line, "enum ");
  const char *start = is_enum ? line + strlen("enum ") : line;
  g_autofree char *name = g_strndup(start, (gsize)(colon - start));
  GHashTable *table = *service != NULL ? description->methods : is_enum ? description->enums : description->messages;
  char *full = *service != NULL ? g_strconcat(*service, "/", name, NULL) : g_strconcat(*package, ".", name, NULL);
  if (!g_hash_table_insert(table, full, g_strstrip(g_strdup(colon + 1)))) fail_msg("'%s' is there twice", name);
}

static int load(void **state) {
  static Description description;
  const char *top = g_getenv("top_srcdir");
  g_autofree char *path = g_build_filename(top != NULL ? top : "..", "tests/data/agent-protocol.txt", NULL);
  g_autofree char *text = NULL;
  g_autofree char *service = NULL, *package = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL)) return -1;
  description = (Description){new_table(), new_table(), new_table()};
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    if (**line != '#' && **line != '\0') take_line(&description, &service, &package, *line);
  *state = &description;
  return 0;
}

static int unload(void **state) {
  Description *description = *state;
  g_hash_table_unref(description->methods);
  g_hash_table_unref(description->messages);
  g_hash_table_unref(description->enums);
  return 0;
}

/* ---- what was compiled, in the words of the description ---- */

static const char *scalar_name(ProtobufCType type) {
  switch (type) {
    case PROTOBUF_C_TYPE_INT32:
      return "int32";
    case PROTOBUF_C_TYPE_INT64:
      return "int64";
    case PROTOBUF_C_TYPE_UINT32:
      return "uint32";
    case PROTOBUF_C_TYPE_UINT64:
      return "uint64";
    case PROTOBUF_C_TYPE_BOOL:
      return "bool";
    case PROTOBUF_C_TYPE_STRING:
      return "string";
    case PROTOBUF_C_TYPE_BYTES:
      return "bytes";
    default:
      return "a type the protocol does not have";
  }
}

/* Without the package if that is the message's own. */
static const char *without_package(const char *name, const char *package) {
  gsize length = strlen(package);
  return strncmp(name, package, length) == 0 && name[length] == '.' ? name + length + 1 : name;
}

static const char *type_name(const ProtobufCFieldDescriptor *field, const char *package) {
  if (field->type == PROTOBUF_C_TYPE_MESSAGE)
    return without_package(((const ProtobufCMessageDescriptor *)field->descriptor)->name, package);
  if (field->type == PROTOBUF_C_TYPE_ENUM)
    return without_package(((const ProtobufCEnumDescriptor *)field->descriptor)->name, package);
  return scalar_name(field->type);
}

static gboolean is_map(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field) {
  if (field->type != PROTOBUF_C_TYPE_MESSAGE) return FALSE;
  const ProtobufCMessageDescriptor *entry = field->descriptor;
  g_autofree char *prefix = g_strconcat(type->name, ".", NULL);
  return g_str_has_prefix(entry->name, prefix) && g_str_has_suffix(entry->name, "Entry");
}

static void describe_field(GString *text, const ProtobufCMessageDescriptor *type,
                           const ProtobufCFieldDescriptor *field) {
  g_string_append_printf(text, "%s%u %s ", text->len > 0 ? "; " : "", field->id, field->name);
  if (is_map(type, field)) {
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    assert_int_equal(field->label, PROTOBUF_C_LABEL_REPEATED);
    g_string_append_printf(text, "map<%s,%s>", type_name(&entry->fields[0], type->package_name),
                           type_name(&entry->fields[1], type->package_name));
    return;
  }
  gboolean is_repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
  gboolean has_presence = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
  g_string_append_printf(text, "%s%s", type_name(field, type->package_name),
                         is_repeated    ? "*"
                         : has_presence ? "?"
                                        : "");
  gboolean is_number = field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING &&
                       field->type != PROTOBUF_C_TYPE_BYTES;
  if (is_repeated && is_number) assert_true(field->flags & PROTOBUF_C_FIELD_FLAG_PACKED);
}

static gint compare_ids(gconstpointer a, gconstpointer b) {
  const ProtobufCFieldDescriptor *const *one = a, *const *other = b;
  return (gint)(*one)->id - (gint)(*other)->id;
}

static char *describe_message(const ProtobufCMessageDescriptor *type) {
  g_autoptr(GPtrArray) fields = g_ptr_array_new();
  GString *text = g_string_new(NULL);
  for (unsigned i = 0; i < type->n_fields; i++)
    if (type->fields[i].id < OWN_FIELDS) g_ptr_array_add(fields, (gpointer)&type->fields[i]);
  g_ptr_array_sort(fields, compare_ids);
  for (guint i = 0; i < fields->len; i++) describe_field(text, type, fields->pdata[i]);
  return g_string_free(text, FALSE);
}

static char *describe_enum(const ProtobufCEnumDescriptor *type) {
  GString *text = g_string_new(NULL);
  for (unsigned i = 0; i < type->n_values; i++)
    g_string_append_printf(text, "%s%s %d", i > 0 ? "; " : "", type->values[i].name, type->values[i].value);
  return g_string_free(text, FALSE);
}

/* Adds the message and all it holds. */
static void collect(const ProtobufCMessageDescriptor *type, GHashTable *messages, GHashTable *enums) {
  if (!g_hash_table_insert(messages, g_strdup(type->name), describe_message(type))) return;
  for (unsigned i = 0; i < type->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &type->fields[i];
    if (field->id >= OWN_FIELDS) continue;
    if (field->type == PROTOBUF_C_TYPE_ENUM) {
      const ProtobufCEnumDescriptor *values = field->descriptor;
      g_hash_table_insert(enums, g_strdup(values->name), describe_enum(values));
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE && !is_map(type, field)) {
      collect(field->descriptor, messages, enums);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
      const ProtobufCFieldDescriptor *value = &((const ProtobufCMessageDescriptor *)field->descriptor)->fields[1];
      if (value->type == PROTOBUF_C_TYPE_MESSAGE) collect(value->descriptor, messages, enums);
    }
  }
}

static gboolean is_same(const char *described, const char *compiled) {
  g_auto(GStrv) wanted = g_strsplit(described, "; ", -1);
  g_auto(GStrv) found = g_strsplit(compiled, "; ", -1);
  if (g_strv_length(wanted) != g_strv_length(found)) return FALSE;
  for (gsize i = 0; wanted[i] != NULL; i++) {
    gsize length = strlen(wanted[i]);
    if (strncmp(wanted[i], found[i], length) != 0) return FALSE;
    if (found[i][length] != '\0' && strcmp(found[i] + length, "?") != 0) return FALSE;
  }
  return TRUE;
}

static void compare(GHashTable *described, GHashTable *compiled) {
  GHashTableIter iter;
  gpointer name, text;
  g_hash_table_iter_init(&iter, described);
  while (g_hash_table_iter_next(&iter, &name, &text)) {
    const char *other = g_hash_table_lookup(compiled, name);
    if (other == NULL || !is_same(text, other))
      fail_msg("'%s' is\n'%s', not\n'%s'", (char *)name, other != NULL ? other : "not there", (char *)text);
  }
  g_hash_table_iter_init(&iter, compiled);
  while (g_hash_table_iter_next(&iter, &name, NULL))
    if (!g_hash_table_contains(described, name)) fail_msg("'%s' is not of the protocol", (char *)name);
  assert_true(g_hash_table_size(described) > 0);
}

static const ProtobufCServiceDescriptor *const services[] = {&grpc__agent_service__descriptor,
                                                             &grpc__health__descriptor};

static void test_methods(void **state) {
  const Description *description = *state;
  g_autoptr(GHashTable) compiled = new_table();
  for (gsize i = 0; i < G_N_ELEMENTS(services); i++)
    for (unsigned k = 0; k < services[i]->n_methods; k++) {
      const ProtobufCMethodDescriptor *method = &services[i]->methods[k];
      g_hash_table_insert(compiled, g_strconcat(services[i]->name, "/", method->name, NULL),
                          g_strconcat(method->input->name, " ", method->output->name, NULL));
    }
  compare(description->methods, compiled);
  assert_int_equal(grpc__agent_service__descriptor.n_methods, 42);
  assert_int_equal(grpc__health__descriptor.n_methods, 2);
}

static void test_messages(void **state) {
  const Description *description = *state;
  g_autoptr(GHashTable) messages = new_table();
  g_autoptr(GHashTable) enums = new_table();
  for (gsize i = 0; i < G_N_ELEMENTS(services); i++)
    for (unsigned k = 0; k < services[i]->n_methods; k++) {
      collect(services[i]->methods[k].input, messages, enums);
      collect(services[i]->methods[k].output, messages, enums);
    }
  compare(description->messages, messages);
  compare(description->enums, enums);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_methods),
      cmocka_unit_test(test_messages),
  };
  return cmocka_run_group_tests_name("agent-protocol", tests, load, unload);
}
