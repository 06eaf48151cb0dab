// SPDX-License-Identifier: LGPL-2.1-or-later
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/oci.h"
#include "common/safe-path.h"

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

/* The smallest document there is; %s: more members. */
#define MINIMAL(more)                                                                                      \
  "{\"ociVersion\": \"1.0.2\", \"process\": {\"args\": [\"true\"], \"cwd\": \"/\"}, \"root\": {\"path\": " \
  "\"rootfs\"}" more "}"
#define PROCESS(members) "{\"ociVersion\": \"1.0.2\", \"process\": {" members "}, \"root\": {\"path\": \"rootfs\"}}"

static OciSpec *parse(const char *text) {
  g_autoptr(GError) error = NULL;
  OciSpec *spec = oci_spec_parse(text, strlen(text), "config.json", &error);
  if (spec == NULL) fail_msg("%s", error->message);
  return spec;
}

static void check_refused_bytes(const char *text, gsize length, kata_error_code code, const char *message) {
  g_autoptr(GError) error = NULL;
  assert_null(oci_spec_parse(text, length, "config.json", &error));
  assert_non_null(error);
  assert_string_equal(error->message, message);
  assert_int_equal(error_get_code(error), code);
  assert_null(oci_spec_parse(text, length, "config.json", NULL));
}

static void check_refused(const char *text, const char *message) {
  check_refused_bytes(text, strlen(text), KATA_ERR_INVALID_ARGUMENT, message);
}

static char *find_data(const char *name) {
  const char *top = g_getenv("top_srcdir");
  return g_build_filename(top != NULL ? top : "..", "tests/data", name, NULL);
}

/* ---- good documents ---- */

static void test_minimal(void **state) {
  g_autoptr(OciSpec) spec = parse(MINIMAL(""));
  assert_string_equal(spec->version, "1.0.2");
  assert_string_equal(spec->process->args[0], "true");
  assert_null(spec->linux);
  g_autofree char *json = oci_spec_to_json(spec);
  g_autoptr(OciSpec) again = parse(json);
  assert_string_equal(again->root->path, "rootfs");
}

static void delete_member(JsonObject *json, const char *parents, const char *name) {
  g_auto(GStrv) steps = g_strsplit(parents, ".", -1);
  for (char **step = steps; *step != NULL && **step != '\0'; step++) {
    json = g_ascii_isdigit(**step) ? json_object_array_get_idx(json, (size_t)atoi(*step))
                                   : json_object_object_get(json, *step);
    assert_non_null(json);
  }
  assert_true(json_object_object_get_ex(json, name, NULL));
  json_object_object_del(json, name);
}

static void test_everything(void **state) {
  g_autofree char *path = find_data("oci-everything.json");
  gsize length;
  g_autofree char *text = safe_read_file(path, OCI_DOCUMENT_LIMIT, &length, NULL);
  assert_non_null(text);
  g_autoptr(OciSpec) spec = parse(text);
  g_autofree char *written = oci_spec_to_json(spec);
  g_autoptr(JsonObject) found = json_tokener_parse(written);
  g_autoptr(JsonObject) expected = json_tokener_parse(text);
  /* What is at its default is not written, and "any number" is none. */
  delete_member(expected, "process", "terminal");
  delete_member(expected, "linux", "mountLabel");
  delete_member(expected, "linux.personality", "flags");
  delete_member(expected, "linux.timeOffsets.boottime", "secs");
  delete_member(expected, "linux.resources.memory", "disableOOMKiller");
  delete_member(expected, "linux.resources.devices.2", "major");
  delete_member(expected, "linux.resources.devices.2", "minor");
  JsonObject *mount = json_object_array_get_idx(json_object_object_get(expected, "mounts"), 3);
  json_object_object_add(mount, "destination", json_object_new_string("/tmp"));
  if (!json_object_equal(found, expected)) fail_msg("%s", written);

  g_autoptr(OciSpec) again = parse(written);
  g_autofree char *written_again = oci_spec_to_json(again);
  assert_string_equal(written, written_again);
}

static void test_copy_is_whole_and_apart(void **state) {
  g_autofree char *path = find_data("oci-everything.json");
  g_autofree char *text = safe_read_file(path, OCI_DOCUMENT_LIMIT, NULL, NULL);
  assert_non_null(text);
  g_autoptr(OciSpec) spec = parse(text);
  g_autoptr(OciSpec) copy = oci_spec_copy(spec);
  g_autofree char *one = oci_spec_to_json(spec);
  g_autofree char *other = oci_spec_to_json(copy);
  assert_string_equal(one, other);
  g_free(copy->hostname);
  copy->hostname = g_strdup("another");
  assert_string_equal(spec->hostname, "everything");
}

static void test_annotations(void **state) {
  g_autoptr(OciSpec) spec = parse(MINIMAL(", \"annotations\": {\"a.b\": \"1\", \"empty\": \"\"}"));
  assert_string_equal(oci_spec_get_annotation(spec, "a.b"), "1");
  assert_string_equal(oci_spec_get_annotation(spec, "empty"), "");
  assert_null(oci_spec_get_annotation(spec, "a"));
  g_autoptr(OciSpec) none = parse(MINIMAL(""));
  assert_null(oci_spec_get_annotation(none, "a.b"));
}

static void test_lenient_as_runc(void **state) {
  /* Members of other systems, of later versions, nulls for what is not there, white space. */
  g_autoptr(OciSpec) spec = parse(
      "\n\t {\"ociVersion\": \"1.2.1+dev\", \"process\": {\"args\": [\"true\"], \"cwd\": \"/\", \"rlimits\": null, "
      "\"scheduler\": {\"policy\": \"SCHED_OTHER\"}}, \"root\": {\"path\": \"/r\"}, \"windows\": {\"layerFolders\": "
      "[1]}, "
      "\"vm\": {}, \"hooks\": null, \"new\": [[{}]], \"mounts\": [{\"destination\": \"a/./b\"}]}\n \r\n");
  assert_null(spec->windows);
  assert_null(spec->hooks);
  assert_string_equal(spec->mounts[0]->destination, "/a/./b");
  const char *const versions[] = {"1.0.0", "1.0.0-rc5", "1.0.2-dev", "1.1.0", "1.2.1", "1.10.0+x.y"};
  for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
    g_autofree char *text = g_strdup_printf(
        "{\"ociVersion\": \"%s\", \"process\": {\"args\": [\"\"], \"cwd\": \"/\"}, \"root\": {\"path\": \"r\"}}",
        versions[i]);
    g_autoptr(OciSpec) known = parse(text);
    assert_string_equal(known->version, versions[i]);
  }
}

/* ---- the words that runc's callers match ---- */

static void test_texts_of_runc(void **state) {
  check_refused("{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"r\"}}",
                "config.json: process property must not be empty");
  check_refused(PROCESS("\"args\": [\"x\"]"), "config.json: Cwd property must not be empty");
  check_refused(PROCESS("\"args\": [\"x\"], \"cwd\": \"tmp\""), "config.json: Cwd must be an absolute path");
  check_refused(PROCESS("\"cwd\": \"/\""), "config.json: args must not be empty");
  check_refused(PROCESS("\"cwd\": \"/\", \"args\": []"), "config.json: args must not be empty");
  check_refused(PROCESS("\"cwd\": \"/\", \"args\": null"), "config.json: args must not be empty");
}

/* ---- no JSON, or not ours ---- */

static void test_not_json(void **state) {
  check_refused("", "config.json: line 1, column 1: not valid JSON: unexpected end of data");
  check_refused(" \n ", "config.json: line 2, column 2: not valid JSON: unexpected end of data");
  check_refused("#!/bin/sh\n", "config.json: line 1, column 1: not valid JSON: unexpected character");
  check_refused("{\n  \"ociVersion\": ]\n}", "config.json: line 2, column 17: not valid JSON: unexpected character");
  check_refused("{\"a\": 1,}", "config.json: line 1, column 9: not valid JSON: unexpected character");
  check_refused("{\"a\": 1} x", "config.json: line 1, column 10: not valid JSON: unexpected character");
  check_refused("{\"a\": \"\xff\"}", "config.json: line 1, column 8: not valid JSON: invalid utf-8 string");
  check_refused("{\"a\": tru}", "config.json: line 1, column 10: not valid JSON: boolean expected");
  check_refused("null", "config.json: expected an object, found null");
  check_refused("[]", "config.json: expected an object, found an array");
  check_refused("5", "config.json: expected an object, found a number");
  check_refused("\"{}\"", "config.json: expected an object, found a string");
}

static void test_nul(void **state) {
  static const char raw[] = "{\"ociVersion\":\n\"1.0.2\0\"}";
  check_refused_bytes(raw, sizeof raw - 1, KATA_ERR_INVALID_ARGUMENT,
                      "config.json: line 2, column 7: not valid JSON: a NUL character is not allowed");
  check_refused("{\"a\": \"b\\u0000c\"}",
                "config.json: line 1, column 9: not valid JSON: a NUL character is not allowed");
  check_refused("{\"a\\u0000\": \"b\"}",
                "config.json: line 1, column 4: not valid JSON: a NUL character is not allowed");
  /* That is a backslash, then text. */
  g_autoptr(OciSpec) spec = parse(PROCESS("\"cwd\": \"/\", \"args\": [\"\\\\u0000\", \"\\\\\"]"));
  assert_string_equal(spec->process->args[0], "\\u0000");
  assert_string_equal(spec->process->args[1], "\\");
}

static void test_nesting(void **state) {
  g_autofree char *open = g_strnfill(100000, '[');
  g_autoptr(GError) error = NULL;
  assert_null(oci_spec_parse(open, 100000, "config.json", &error));
  assert_string_equal(error->message, "config.json: line 1, column 33: not valid JSON: nesting too deep");
}

static void test_wrong_types(void **state) {
  check_refused(PROCESS("\"cwd\": \"/\", \"args\": [\"a\", \"b\", 3]"),
                "config.json: process.args[2]: expected a string, found a number");
  check_refused("{\"ociVersion\": 1}", "config.json: ociVersion: expected a string, found a number");
  check_refused("{\"mounts\": {}}", "config.json: mounts: expected an array, found an object");
  check_refused(MINIMAL(", \"linux\": {\"resources\": {\"cpu\": {\"shares\": -1}}}"),
                "config.json: linux.resources.cpu.shares: -1 is out of range, which is 0 to 18446744073709551615");
  check_refused(PROCESS("\"user\": {\"uid\": 4294967296}"),
                "config.json: process.user.uid: 4294967296 is out of range, which is 0 to 4294967295");
  check_refused(MINIMAL(", \"annotations\": {\"a\": 1}"),
                "config.json: annotations['a']: expected a string, found a number");
}

static void test_version(void **state) {
  check_refused("{}", "config.json: ociVersion must not be empty");
  check_refused("{\"ociVersion\": null}", "config.json: ociVersion must not be empty");
  const char *const bad[] = {"2.0.0", "0.9", "1", "1.", "1.0", "v1.0.2", "1.0.2 ", "11.0.0", "1.0.2-", "1.x.0"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *text = g_strdup_printf("{\"ociVersion\": \"%s\"}", bad[i]);
    g_autofree char *message = g_strdup_printf("config.json: ociVersion '%s' is not known, only 1.x is", bad[i]);
    check_refused(text, message);
  }
}

/* ---- hostile values ---- */

static void test_root_and_mounts(void **state) {
  check_refused("{\"ociVersion\": \"1.0.2\", \"process\": {\"args\": [\"x\"], \"cwd\": \"/\"}}",
                "config.json: root must be specified");
  check_refused("{\"ociVersion\": \"1.0.2\", \"process\": {\"args\": [\"x\"], \"cwd\": \"/\"}, \"root\": {}}",
                "config.json: root.path must not be empty");
  check_refused(MINIMAL(", \"mounts\": [{\"destination\": \"/a/../../etc\"}]"),
                "config.json: mount destination '/a/../../etc' has a '..' in it");
  check_refused(MINIMAL(", \"mounts\": [{\"destination\": \"..\"}]"),
                "config.json: mount destination '..' has a '..' in it");
  check_refused(MINIMAL(", \"mounts\": [{\"source\": \"/x\"}]"), "config.json: mount destination '' is empty");
  check_refused(MINIMAL(", \"mounts\": [null]"), "config.json: mounts[0]: expected an object, found null");
  g_autofree char *huge = g_strnfill(5000, 'x');
  g_autofree char *text = g_strdup_printf(MINIMAL(", \"mounts\": [{\"destination\": \"/%s\"}]"), huge);
  g_autoptr(GError) error = NULL;
  assert_null(oci_spec_parse(text, strlen(text), "config.json", &error));
  assert_true(g_str_has_suffix(error->message, "...' is longer than 4096 bytes"));
}

static void test_linux(void **state) {
  check_refused(MINIMAL(", \"linux\": {\"namespaces\": [{\"type\": \"pod\"}]}"),
                "config.json: namespace 'pod' does not exist");
  check_refused(MINIMAL(", \"linux\": {\"namespaces\": [{}]}"), "config.json: namespace '' does not exist");
  check_refused(
      MINIMAL(", \"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"pid\"}]}"),
      "config.json: malformed spec file: duplicated ns 'pid'");
  check_refused(MINIMAL(", \"linux\": {\"namespaces\": [{\"type\": \"pid\", \"path\": \"proc/1/ns/pid\"}]}"),
                "config.json: namespace path 'proc/1/ns/pid' is not absolute");
  check_refused(MINIMAL(", \"linux\": {\"devices\": [{\"type\": \"c\", \"path\": \"dev/x\"}]}"),
                "config.json: device path 'dev/x' is not absolute");
  check_refused(MINIMAL(", \"linux\": {\"devices\": [{\"type\": \"c\", \"path\": \"/dev/../x\"}]}"),
                "config.json: device path '/dev/../x' has a '..' in it");
  check_refused(MINIMAL(", \"linux\": {\"devices\": [{\"type\": \"d\", \"path\": \"/dev/x\"}]}"),
                "config.json: device type 'd' is not one of c, b, u, p");
  check_refused(MINIMAL(", \"linux\": {\"resources\": {\"devices\": [{\"type\": \"x\"}]}}"),
                "config.json: device rule's type 'x' is not one of a, b, c");
  check_refused(MINIMAL(", \"linux\": {\"resources\": {\"devices\": [{\"access\": \"rwx\"}]}}"),
                "config.json: device rule's access 'rwx' is not made of r, w, m");
}

static void test_hooks_and_rlimits(void **state) {
  static const char *const lists[] = {"prestart",       "createRuntime", "createContainer",
                                      "startContainer", "poststart",     "poststop"};
  for (gsize i = 0; i < G_N_ELEMENTS(lists); i++) {
    g_autofree char *relative = g_strdup_printf(MINIMAL(", \"hooks\": {\"%s\": [{\"path\": \"hook\"}]}"), lists[i]);
    check_refused(relative, "config.json: hook path 'hook' is not absolute");
    g_autofree char *none = g_strdup_printf(MINIMAL(", \"hooks\": {\"%s\": [{}]}"), lists[i]);
    check_refused(none, "config.json: hook path '' is not absolute");
  }
  check_refused(MINIMAL(", \"hooks\": {\"prestart\": [{\"path\": \"/x\", \"timeout\": -1}]}"),
                "config.json: hook '/x' has a timeout below 0");
  check_refused(PROCESS("\"cwd\": \"/\", \"args\": [\"x\"], \"rlimits\": [{\"type\": \"NOFILE\"}]"),
                "config.json: rlimit type 'NOFILE' is not known");
  check_refused(MINIMAL(", \"linux\": {\"namespaces\": [{\"type\": \"a\\nb\\u001b[31m\"}]}"),
                "config.json: namespace 'a\\x0ab\\x1b[31m' does not exist");
}

static void test_limits(void **state) {
  g_autoptr(GString) text = g_string_new("{\"ociVersion\": \"1.0.2\", \"mounts\": [");
  for (int i = 0; i < 100000; i++) {
    g_string_append_printf(text, "%s{\"destination\": \"/m%d\", \"type\": \"tmpfs\"}", i > 0 ? "," : "", i);
  }
  g_string_append(text, "]}");
  check_refused(text->str, "config.json: mounts: has 100000 entries, at most 32768 are allowed");

  gsize length = OCI_DOCUMENT_LIMIT + 1;
  g_autofree char *spaces = g_strnfill(length, ' ');
  check_refused_bytes(spaces, length, KATA_ERR_RESOURCE_EXHAUSTED,
                      "config.json: 16777217 bytes long, at most 16777216 are allowed");
}

/* A document cut or damaged anywhere is an error or another document, never a crash. */
static void test_cut_and_damaged(void **state) {
  g_autofree char *path = find_data("oci-everything.json");
  gsize length;
  g_autofree char *text = safe_read_file(path, OCI_DOCUMENT_LIMIT, &length, NULL);
  assert_non_null(text);
  g_strchomp(text);
  length = strlen(text);
  for (gsize cut = 0; cut < length; cut += 7) {
    g_autofree char *piece = g_memdup2(text, cut);
    g_autoptr(GError) error = NULL;
    assert_null(oci_spec_parse(piece, cut, "config.json", &error));
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  }
  g_autoptr(GRand) chance = g_rand_new_with_seed(7);
  for (int round = 0; round < 2000; round++) {
    g_autofree char *damaged = g_memdup2(text, length);
    for (int n = g_rand_int_range(chance, 1, 4); n > 0; n--) {
      damaged[g_rand_int_range(chance, 0, (gint32)length)] = (char)g_rand_int(chance);
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(OciSpec) spec = oci_spec_parse(damaged, length, "config.json", &error);
    assert_true((spec == NULL) == (error != NULL));
    if (error != NULL) assert_null(strchr(error->message, '\n'));
  }
}

/* ---- process and resources ---- */

static void test_process(void **state) {
  const char *text = "{\"terminal\": true, \"args\": [\"a\"], \"cwd\": \"/x\", \"user\": {\"uid\": 7}}";
  g_autoptr(OciProcess) process = oci_process_parse(text, strlen(text), "process.json", NULL);
  assert_non_null(process);
  assert_true(process->terminal);
  assert_int_equal(process->user->uid, 7);
  g_autofree char *json = oci_process_to_json(process);
  g_autoptr(JsonObject) found = json_tokener_parse(json);
  g_autoptr(JsonObject) expected = json_tokener_parse(
      "{\"terminal\": true, \"args\": [\"a\"], \"cwd\": \"/x\", \"user\": {\"uid\": 7, \"gid\": 0}}");
  assert_true(json_object_equal(found, expected));

  g_autoptr(GError) error = NULL;
  assert_null(oci_process_parse("{\"args\": [\"a\"]}", 15, "process.json", &error));
  assert_string_equal(error->message, "process.json: Cwd property must not be empty");
  g_clear_error(&error);
  assert_null(oci_process_parse("{", 1, "process.json", &error));
  assert_string_equal(error->message, "process.json: line 1, column 2: not valid JSON: unexpected end of data");
}

static void test_resources(void **state) {
  const char *text =
      "{\"memory\": {\"limit\": -1, \"swap\": 5}, \"pids\": {\"limit\": 9}, \"cpu\": {\"cpus\": \"0-3\"}}";
  g_autoptr(OciResources) resources = oci_resources_parse(text, strlen(text), "resources", NULL);
  assert_non_null(resources);
  assert_int_equal(resources->memory->limit, -1);
  assert_int_equal(resources->pids->limit, 9);
  assert_string_equal(resources->cpu->cpus, "0-3");
  g_autoptr(OciResources) none = oci_resources_parse("{}", 2, "resources", NULL);
  assert_non_null(none);
  g_autoptr(GError) error = NULL;
  assert_null(oci_resources_parse("{\"memory\": 5}", 13, "resources", &error));
  assert_string_equal(error->message, "resources: memory: expected an object, found a number");
}

/* ---- bundles ---- */

static void check_load_fails(const char *bundle, kata_error_code code, const char *before, const char *after) {
  g_autofree char *message = g_strconcat(before, "'", bundle, after, NULL);
  g_autoptr(GError) error = NULL;
  assert_null(oci_spec_load(bundle, &error));
  assert_string_equal(error->message, message);
  assert_int_equal(error_get_code(error), code);
}

static void test_load(void **state) {
  g_autofree char *bundle = g_dir_make_tmp("bundle-XXXXXX", NULL);
  g_autofree char *config = g_build_filename(bundle, "config.json", NULL);
  check_load_fails(bundle, KATA_ERR_NOT_FOUND, "JSON specification file config.json not found in bundle ", "'");
  assert_int_equal(symlink("nowhere", config), 0);
  check_load_fails(bundle, KATA_ERR_NOT_FOUND, "JSON specification file config.json not found in bundle ", "'");
  assert_int_equal(unlink(config), 0);
  assert_int_equal(mkdir(config, 0755), 0);
  check_load_fails(bundle, KATA_ERR_INVALID_ARGUMENT, "cannot read ", "/config.json': not a regular file");
  assert_int_equal(rmdir(config), 0);
  assert_int_equal(mkfifo(config, 0600), 0);
  check_load_fails(bundle, KATA_ERR_INVALID_ARGUMENT, "cannot read ", "/config.json': not a regular file");
  assert_int_equal(unlink(config), 0);

  assert_true(g_file_set_contents(config, MINIMAL("") "\n", -1, NULL));
  g_autoptr(GError) error = NULL;
  g_autoptr(OciSpec) spec = oci_spec_load(bundle, &error);
  assert_non_null(spec);
  if (geteuid() != 0) {
    assert_int_equal(chmod(config, 0), 0);
    check_load_fails(bundle, KATA_ERR_PERMISSION_DENIED, "cannot open ", "/config.json': Permission denied");
    assert_int_equal(chmod(config, 0600), 0);
  }
  assert_int_equal(truncate(config, OCI_DOCUMENT_LIMIT + 1), 0);
  check_load_fails(bundle, KATA_ERR_RESOURCE_EXHAUSTED, "cannot read ",
                   "/config.json': longer than the 16777216 bytes allowed");
  check_load_fails(config, KATA_ERR_NOT_FOUND, "cannot open bundle ", "': no such directory");
  assert_true(safe_remove_tree(bundle, NULL));
  check_load_fails(bundle, KATA_ERR_NOT_FOUND, "cannot open bundle ", "': no such directory");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_minimal),
      cmocka_unit_test(test_everything),
      cmocka_unit_test(test_copy_is_whole_and_apart),
      cmocka_unit_test(test_annotations),
      cmocka_unit_test(test_lenient_as_runc),
      cmocka_unit_test(test_texts_of_runc),
      cmocka_unit_test(test_not_json),
      cmocka_unit_test(test_nul),
      cmocka_unit_test(test_nesting),
      cmocka_unit_test(test_wrong_types),
      cmocka_unit_test(test_version),
      cmocka_unit_test(test_root_and_mounts),
      cmocka_unit_test(test_linux),
      cmocka_unit_test(test_hooks_and_rlimits),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_cut_and_damaged),
      cmocka_unit_test(test_process),
      cmocka_unit_test(test_resources),
      cmocka_unit_test(test_load),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
