// SPDX-License-Identifier: LGPL-2.1-or-later
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/protobuf-json.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/kata-v1.pb-c.h"
#include "proto/oci.pb-c.h"
#include "proto/shim-sandbox.pb-c.h"
#include "proto/shim-task.pb-c.h"
#include "tests/unit/every-type.pb-c.h"
#include "tests/unit/old-style.pb-c.h"

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

static void message_free(ProtobufCMessage *message) { protobuf_c_message_free_unpacked(message, NULL); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProtobufCMessage, message_free)

static JsonObject *parse(const char *text) {
  enum json_tokener_error reason;
  JsonObject *json = json_tokener_parse_verbose(text, &reason);
  if (json == NULL) fail_msg("bad JSON in the test: %s", text);
  return json;
}

static ProtobufCMessage *read_text(const char *text, const ProtobufCMessageDescriptor *type, ProtobufJsonNames names) {
  g_autoptr(JsonObject) json = parse(text);
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *message = protobuf_from_json(json, type, names, "test", &error);
  if (message == NULL) fail_msg("%s", error->message);
  assert_null(error);
  return message;
}

static Test__EveryType *read_every(const char *text) {
  return (Test__EveryType *)read_text(text, &test__every_type__descriptor, PROTOBUF_JSON_PROTO);
}

static void check_written(const ProtobufCMessage *message, ProtobufJsonNames names, const char *expected) {
  g_autoptr(JsonObject) json = protobuf_to_json(message, names);
  g_autoptr(JsonObject) wanted = parse(expected);
  if (!json_object_equal(json, wanted)) fail_msg("%s\n is not\n%s", json_object_to_json_string(json), expected);
}

static void check_refused(const char *text, const ProtobufCMessageDescriptor *type, ProtobufJsonNames names,
                          const char *expected) {
  g_autoptr(JsonObject) json = parse(text);
  g_autoptr(GError) error = NULL;
  assert_null(protobuf_from_json(json, type, names, "test", &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  assert_string_equal(error->message, expected);
  assert_null(protobuf_from_json(json, type, names, "test", NULL));
}

static void refuse_every(const char *text, const char *expected) {
  check_refused(text, &test__every_type__descriptor, PROTOBUF_JSON_PROTO, expected);
}

static const char every_value[] =
    "{\"double_value\": -1.5, \"float_value\": 0.25, \"int32_value\": -2147483648, "
    "\"int64_value\": -9223372036854775808, \"uint32_value\": 4294967295, \"uint64_value\": 18446744073709551615, "
    "\"sint32_value\": 2147483647, \"sint64_value\": 9223372036854775807, \"fixed32_value\": 1, "
    "\"fixed64_value\": 2, \"sfixed32_value\": -3, \"sfixed64_value\": -4, \"bool_value\": true, "
    "\"string_value\": \"text \\u00e9\", \"bytes_value\": \"AAEC/w==\", \"colour_value\": \"BLUE\", "
    "\"message_value\": {\"int32_value\": 1}}";

static void test_every_scalar(void **state) {
  g_autoptr(ProtobufCMessage) message = (ProtobufCMessage *)read_every(every_value);
  const Test__EveryType *every = (const Test__EveryType *)message;
  assert_true(every->double_value > -1.6 && every->double_value < -1.4);
  assert_true(every->float_value > 0.2f && every->float_value < 0.3f);
  assert_int_equal(every->int32_value, G_MININT32);
  assert_true(every->int64_value == G_MININT64);
  assert_int_equal(every->uint32_value, G_MAXUINT32);
  assert_true(every->uint64_value == G_MAXUINT64);
  assert_int_equal(every->sint32_value, G_MAXINT32);
  assert_true(every->sint64_value == G_MAXINT64);
  assert_int_equal(every->fixed32_value, 1);
  assert_int_equal(every->fixed64_value, 2);
  assert_int_equal(every->sfixed32_value, -3);
  assert_int_equal(every->sfixed64_value, -4);
  assert_true(every->bool_value);
  assert_string_equal(every->string_value, "text \xc3\xa9");
  assert_int_equal(every->bytes_value.len, 4);
  assert_memory_equal(every->bytes_value.data, "\x00\x01\x02\xff", 4);
  assert_int_equal(every->colour_value, TEST__COLOUR__BLUE);
  assert_int_equal(every->message_value->int32_value, 1);
  check_written(message, PROTOBUF_JSON_PROTO, every_value);
}

static void test_lists(void **state) {
  const char *text =
      "{\"doubles\": [1.5, 0.0], \"floats\": [2.5], \"int32s\": [-1, 0, 1], \"int64s\": [-5], \"uint32s\": [6], "
      "\"uint64s\": [7, 18446744073709551615], \"sint32s\": [-8], \"sint64s\": [-9], \"fixed32s\": [10], "
      "\"fixed64s\": [11], \"sfixed32s\": [-12], \"sfixed64s\": [-13], \"bools\": [false, true, false], "
      "\"strings\": [\"\", \"b\"], \"bytes_list\": [\"\", \"AA==\"], \"colours\": [\"RED\", \"GREEN\"], "
      "\"messages\": [{}, {\"string_value\": \"x\"}]}";
  g_autoptr(ProtobufCMessage) message = (ProtobufCMessage *)read_every(text);
  const Test__EveryType *every = (const Test__EveryType *)message;
  assert_int_equal(every->n_bools, 3);
  assert_true(!every->bools[0] && every->bools[1] && !every->bools[2]);
  assert_int_equal(every->n_uint64s, 2);
  assert_true(every->uint64s[1] == G_MAXUINT64);
  assert_int_equal(every->n_bytes_list, 2);
  assert_int_equal(every->bytes_list[1].len, 1);
  assert_string_equal(every->messages[1]->string_value, "x");
  check_written(message, PROTOBUF_JSON_PROTO, text);
}

static void test_defaults_and_nulls(void **state) {
  g_autoptr(ProtobufCMessage) empty = (ProtobufCMessage *)read_every("{}");
  check_written(empty, PROTOBUF_JSON_PROTO, "{}");
  assert_string_equal(((Test__EveryType *)empty)->string_value, "");
  g_autoptr(ProtobufCMessage) zeros = (ProtobufCMessage *)read_every(
      "{\"int32_value\": 0, \"double_value\": 0, \"string_value\": \"\", \"bytes_value\": \"\", \"bool_value\": false, "
      "\"colour_value\": 0, \"int32s\": [], \"by_name\": {}, \"message_value\": null, \"strings\": null, "
      "\"uint64_value\": null, \"by_number\": null, \"text\": null}");
  check_written(zeros, PROTOBUF_JSON_PROTO, "{}");
  /* An empty message is there all the same. */
  g_autoptr(ProtobufCMessage) child = (ProtobufCMessage *)read_every("{\"message_value\": {}}");
  check_written(child, PROTOBUF_JSON_PROTO, "{\"message_value\": {}}");
}

static void test_numbers_as_strings(void **state) {
  g_autoptr(ProtobufCMessage) message = (ProtobufCMessage *)read_every(
      "{\"int32_value\": \"-12\", \"uint64_value\": \"18446744073709551615\", "
      "\"sint64_value\": \"-9223372036854775808\", \"double_value\": \"-Infinity\", \"float_value\": \"NaN\", "
      "\"uint32_value\": 3e2, \"fixed32_value\": 7.0}");
  const Test__EveryType *every = (const Test__EveryType *)message;
  assert_int_equal(every->int32_value, -12);
  assert_true(every->uint64_value == G_MAXUINT64);
  assert_true(every->sint64_value == G_MININT64);
  assert_true(isinf(every->double_value) && every->double_value < 0);
  assert_true(isnan((double)every->float_value));
  assert_int_equal(every->uint32_value, 300);
  assert_int_equal(every->fixed32_value, 7);
  check_written(message, PROTOBUF_JSON_PROTO,
                "{\"int32_value\": -12, \"uint64_value\": 18446744073709551615, "
                "\"sint64_value\": -9223372036854775808, \"double_value\": \"-Infinity\", \"float_value\": \"NaN\", "
                "\"uint32_value\": 300, \"fixed32_value\": 7}");
}

static void test_bad_numbers(void **state) {
  refuse_every("{\"int32_value\": 2147483648}",
               "test: int32_value: 2147483648 is out of range, which is -2147483648 to 2147483647");
  refuse_every("{\"int32_value\": -2147483649}",
               "test: int32_value: -2147483649 is out of range, which is -2147483648 to 2147483647");
  refuse_every("{\"uint32_value\": -1}", "test: uint32_value: -1 is out of range, which is 0 to 4294967295");
  refuse_every("{\"uint32_value\": 4294967296}",
               "test: uint32_value: 4294967296 is out of range, which is 0 to 4294967295");
  refuse_every("{\"int64_value\": 9223372036854775808}",
               "test: int64_value: 9223372036854775808 is out of range, which is -9223372036854775808 to "
               "9223372036854775807");
  refuse_every("{\"uint64_value\": -1}", "test: uint64_value: -1 is out of range, which is 0 to 18446744073709551615");
  refuse_every("{\"uint64_value\": \"18446744073709551616\"}",
               "test: uint64_value: expected a whole number, found '18446744073709551616'");
  refuse_every("{\"uint64_value\": \"\"}", "test: uint64_value: expected a whole number, found ''");
  refuse_every("{\"uint64_value\": \" 1\"}", "test: uint64_value: expected a whole number, found ' 1'");
  refuse_every("{\"uint64_value\": \"0x1\"}", "test: uint64_value: expected a whole number, found '0x1'");
  refuse_every("{\"int32_value\": 1.5}", "test: int32_value: expected a whole number, found 1.5");
  refuse_every("{\"int64_value\": 1e300}", "test: int64_value: expected a whole number, found 1e300");
  refuse_every("{\"int32_value\": true}", "test: int32_value: expected a number, found a boolean");
  refuse_every("{\"int32_value\": []}", "test: int32_value: expected a number, found an array");
  refuse_every("{\"float_value\": 1e300}", "test: float_value: 1e+300 is out of range");
  refuse_every("{\"double_value\": \"many\"}", "test: double_value: expected a number, found a string");
  refuse_every("{\"bool_value\": 1}", "test: bool_value: expected a boolean, found a number");
  refuse_every("{\"bool_value\": \"true\"}", "test: bool_value: expected a boolean, found a string");
}

static void test_enums(void **state) {
  g_autoptr(ProtobufCMessage) message = (ProtobufCMessage *)read_every("{\"colours\": [\"GREEN\", -7, 99, 0]}");
  check_written(message, PROTOBUF_JSON_PROTO, "{\"colours\": [\"GREEN\", \"BLUE\", 99, \"RED\"]}");
  refuse_every("{\"colours\": [\"GREEN\", \"PINK\"]}", "test: colours[1]: 'PINK' is not one of the names of Colour");
  refuse_every("{\"colour_value\": 2147483648}",
               "test: colour_value: 2147483648 is out of range, which is -2147483648 to 2147483647");
  refuse_every("{\"colour_value\": {}}", "test: colour_value: expected a name, found an object");
}

static void check_bytes(const char *base64, const char *expected, gsize length) {
  g_autofree char *text = g_strdup_printf("{\"bytes_value\": \"%s\"}", base64);
  g_autoptr(ProtobufCMessage) message = (ProtobufCMessage *)read_every(text);
  const ProtobufCBinaryData *bytes = &((Test__EveryType *)message)->bytes_value;
  assert_int_equal(bytes->len, length);
  if (length > 0) assert_memory_equal(bytes->data, expected, length);
}

static void test_bytes(void **state) {
  check_bytes("", "", 0);
  check_bytes("Zg==", "f", 1); /* RFC 4648, section 10 */
  check_bytes("Zg", "f", 1);
  check_bytes("Zm8=", "fo", 2);
  check_bytes("Zm8", "fo", 2);
  check_bytes("Zm9v", "foo", 3);
  check_bytes("Zm9vYmFy", "foobar", 6);
  check_bytes("+/+/", "\xfb\xff\xbf", 3);
  check_bytes("-_-_", "\xfb\xff\xbf", 3);
  const char *const bad[] = {"Z", "Zg=", "Zg===", "====", "=", "Z g==", "Zg==Zg==", "Zm9v!", "Zm9vY", "\\n", "Zm8=="};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *text = g_strdup_printf("{\"bytes_value\": \"%s\"}", bad[i]);
    refuse_every(text, "test: bytes_value: not valid base64");
  }
}

static void test_oneof(void **state) {
  g_autoptr(ProtobufCMessage) zero = (ProtobufCMessage *)read_every("{\"number\": 0}");
  assert_int_equal(((Test__EveryType *)zero)->choice_case, TEST__EVERY_TYPE__CHOICE_NUMBER);
  check_written(zero, PROTOBUF_JSON_PROTO, "{\"number\": 0}");
  g_autoptr(ProtobufCMessage) text = (ProtobufCMessage *)read_every("{\"text\": \"\"}");
  check_written(text, PROTOBUF_JSON_PROTO, "{\"text\": \"\"}");
  g_autoptr(ProtobufCMessage) child = (ProtobufCMessage *)read_every("{\"choice_message\": {\"number\": 1}}");
  check_written(child, PROTOBUF_JSON_PROTO, "{\"choice_message\": {\"number\": 1}}");
  g_autoptr(ProtobufCMessage) data = (ProtobufCMessage *)read_every("{\"data\": \"Zg==\", \"text\": null}");
  check_written(data, PROTOBUF_JSON_PROTO, "{\"data\": \"Zg==\"}");
  refuse_every("{\"number\": 0, \"text\": \"x\"}", "test: number: excludes another member that is given too");
  refuse_every("{\"choice_message\": {\"text\": 1}, \"bool_value\": true}",
               "test: choice_message.text: expected a string, found a number");
}

static void test_maps(void **state) {
  const char *text =
      "{\"by_name\": {\"a\": \"1\", \"\": \"\", \"b.c/d\": \"x\"}, \"by_number\": {\"-5\": {\"text\": \"x\"}, \"0\": "
      "{}}, "
      "\"by_truth\": {\"true\": 1.5, \"false\": 0.0}, \"by_id\": {\"18446744073709551615\": \"Zg==\"}}";
  g_autoptr(ProtobufCMessage) message = (ProtobufCMessage *)read_every(text);
  const Test__EveryType *every = (const Test__EveryType *)message;
  assert_int_equal(every->n_by_name, 3);
  assert_int_equal(every->n_by_number, 2);
  assert_int_equal(every->by_number[0]->key, -5);
  assert_true(every->by_truth[0]->key);
  assert_true(every->by_id[0]->key == G_MAXUINT64);
  check_written(message, PROTOBUF_JSON_PROTO, text);
  refuse_every("{\"by_name\": {\"a\": null}}", "test: by_name['a']: expected a string, found null");
  refuse_every("{\"by_name\": {\"a\\nb\": 1}}", "test: by_name['a\\x0ab']: expected a string, found a number");
  refuse_every("{\"by_name\": []}", "test: by_name: expected an object, found an array");
  refuse_every("{\"by_number\": {\"x\": {}}}", "test: by_number['x']: expected a whole number, found 'x'");
  refuse_every("{\"by_truth\": {\"yes\": 1}}", "test: by_truth['yes']: expected 'true' or 'false' as the key");
}

static void test_names(void **state) {
  g_autoptr(ProtobufCMessage) both = (ProtobufCMessage *)read_every("{\"int32Value\": 1, \"uint32_value\": 2}");
  check_written(both, PROTOBUF_JSON_PROTO, "{\"int32_value\": 1, \"uint32_value\": 2}");
  refuse_every("{\"int32Value\": 1, \"int32_value\": 1}", "test: 'int32_value' and 'int32Value' are the same member");
  refuse_every("{\"Int32Value\": 1}", "test: EveryType has no member 'Int32Value'");
  refuse_every("{\"messages\": [{}, {\"new\\n\": 1}]}", "test: messages[1]: EveryType has no member 'new\\x0a'");
  refuse_every("[]", "test: expected an object, found an array");
  refuse_every("\"x\"", "test: expected an object, found a string");
}

/* Protobuf's own mapping; test-json-mapping.py compares it with Google's. */
static void test_canonical_names(void **state) {
  const ProtobufCMessageDescriptor *type = &test__every_type__descriptor;
  g_autoptr(ProtobufCMessage) message = read_text(
      "{\"int32Value\": \"1\", \"uint32_value\": 2, \"int64Value\": -3, \"fixed64Value\": \"4\", "
      "\"uint64s\": [\"18446744073709551615\", 5], \"byId\": {\"7\": \"Zg==\"}}",
      type, PROTOBUF_JSON_CANONICAL);
  check_written(message, PROTOBUF_JSON_CANONICAL,
                "{\"int32Value\": 1, \"uint32Value\": 2, \"int64Value\": \"-3\", \"fixed64Value\": \"4\", "
                "\"uint64s\": [\"18446744073709551615\", \"5\"], \"byId\": {\"7\": \"Zg==\"}}");
  check_refused("{\"int32_value\": 1, \"int32Value\": 1}", type, PROTOBUF_JSON_CANONICAL,
                "test: 'int32Value' and 'int32_value' are the same member");
  check_refused("{\"messages\": [{\"stringValue\": 1}]}", type, PROTOBUF_JSON_CANONICAL,
                "test: messages[0].stringValue: expected a string, found a number");
  check_refused("{\"messages\": [{\"string_value\": 1}]}", type, PROTOBUF_JSON_CANONICAL,
                "test: messages[0].string_value: expected a string, found a number");
  check_refused("{\"messageValue\": {\"x\": 1}}", type, PROTOBUF_JSON_CANONICAL,
                "test: messageValue: EveryType has no member 'x'");
}

static void test_paths_in_errors(void **state) {
  refuse_every("{\"messages\": [{\"strings\": [\"a\", \"b\", 5]}]}",
               "test: messages[0].strings[2]: expected a string, found a number");
  refuse_every("{\"messages\": [{}, null]}", "test: messages[1]: expected an object, found null");
  refuse_every("{\"messages\": {}}", "test: messages: expected an array, found an object");
  refuse_every("{\"messageValue\": {\"stringValue\": 5}}",
               "test: messageValue.stringValue: expected a string, found a number");
}

static void test_bad_strings(void **state) {
  refuse_every("{\"string_value\": \"a\\u0000b\"}", "test: string_value: a string may not have a NUL character in it");
  g_autoptr(JsonObject) json = json_object_new_object();
  json_object_object_add(json, "string_value", json_object_new_string("\xff\xfe"));
  g_autoptr(GError) error = NULL;
  assert_null(protobuf_from_json(json, &test__every_type__descriptor, PROTOBUF_JSON_PROTO, "test", &error));
  assert_string_equal(error->message, "test: string_value: a string must be UTF-8");
  /* What a peer sends as a string need not be UTF-8; what is written is. */
  Test__EveryType every = TEST__EVERY_TYPE__INIT;
  char bad[] = "a\xff";
  every.string_value = bad;
  check_written(&every.base, PROTOBUF_JSON_PROTO, "{\"string_value\": \"a\xef\xbf\xbd\"}");
}

static void test_list_limit(void **state) {
  g_autoptr(JsonObject) json = json_object_new_object();
  JsonObject *list = json_object_new_array();
  json_object_object_add(json, "int32s", list);
  for (guint i = 0; i < PROTOBUF_JSON_LIST_LIMIT; i++) json_object_array_add(list, json_object_new_int(1));
  g_autoptr(ProtobufCMessage) message =
      protobuf_from_json(json, &test__every_type__descriptor, PROTOBUF_JSON_PROTO, "test", NULL);
  assert_non_null(message);
  json_object_array_add(list, json_object_new_int(1));
  g_autoptr(GError) error = NULL;
  assert_null(protobuf_from_json(json, &test__every_type__descriptor, PROTOBUF_JSON_PROTO, "test", &error));
  assert_string_equal(error->message, "test: int32s: has 32769 entries, at most 32768 are allowed");
}

static void test_presence_of_proto2(void **state) {
  const ProtobufCMessageDescriptor *type = &test__old_style__descriptor;
  g_autoptr(ProtobufCMessage) none = read_text("{}", type, PROTOBUF_JSON_PROTO);
  assert_int_equal(((Test__OldStyle *)none)->number, 7);
  check_written(none, PROTOBUF_JSON_PROTO, "{}");
  const char *text = "{\"number\": 0, \"flag\": false, \"text\": \"\", \"data\": \"\", \"child\": {\"number\": 7}}";
  g_autoptr(ProtobufCMessage) all = read_text(text, type, PROTOBUF_JSON_PROTO);
  assert_true(((Test__OldStyle *)all)->has_number);
  check_written(all, PROTOBUF_JSON_PROTO, text);
}

/* ---- OCI names ---- */

static void test_oci_names(void **state) {
  const char *text =
      "{\"ociVersion\": \"1.0.2\", \"mounts\": [], \"process\": {\"cwd\": \"/\", \"oomScoreAdj\": -5, \"user\": "
      "{\"uid\": 1, \"gid\": "
      "0, "
      "\"additionalGids\": [2]}}, \"linux\": {\"uidMappings\": [{\"hostID\": 0, \"containerID\": 0, \"size\": 0}], "
      "\"resources\": {\"cpu\": {\"shares\": 2}, \"blockIO\": {\"throttleReadIOPSDevice\": [{\"major\": 0, \"minor\": "
      "0, "
      "\"rate\": 0}]}, \"memory\": {\"kernelTCP\": 1, \"disableOOMKiller\": true}, \"network\": {\"classID\": 1}, "
      "\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 0}]}, \"intelRdt\": {\"l3CacheSchema\": \"x\"}, "
      "\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"x\"], \"action\": \"y\", "
      "\"errnoRet\": 0}]}}}";
  g_autoptr(ProtobufCMessage) message = read_text(text, &grpc__spec__descriptor, PROTOBUF_JSON_OCI);
  check_written(message, PROTOBUF_JSON_OCI, text);
  /* Unknown members are none of our business, and strings are no numbers here. */
  g_autoptr(ProtobufCMessage) more =
      read_text("{\"ociVersion\": \"1.0.2\", \"windows\": {\"layerFolders\": []}, \"solaris\": 1, \"new\": [[[]]]}",
                &grpc__spec__descriptor, PROTOBUF_JSON_OCI);
  check_written(more, PROTOBUF_JSON_OCI, "{\"ociVersion\": \"1.0.2\", \"mounts\": [], \"linux\": {}}");
  check_refused("{\"process\": {\"user\": {\"uid\": \"0\"}}}", &grpc__spec__descriptor, PROTOBUF_JSON_OCI,
                "test: process.user.uid: expected a number, found a string");
}

static void test_oci_required(void **state) {
  const char *text =
      "{\"process\": {\"user\": {}, \"rlimits\": [{}], \"consoleSize\": {}}, \"root\": {}, \"mounts\": [{}], "
      "\"hooks\": {\"prestart\": [{}]}, \"linux\": {\"uidMappings\": [{}], \"namespaces\": [{}], "
      "\"devices\": [{\"type\": \"c\"}, {\"type\": \"p\"}, {}], \"resources\": {\"devices\": [{\"major\": -1, "
      "\"minor\": 0}], \"pids\": {}, "
      "\"blockIO\": {\"weightDevice\": [{}]}, \"network\": {\"priorities\": [{}]}}, "
      "\"seccomp\": {\"syscalls\": [{\"args\": [{}]}]}}}";
  g_autoptr(ProtobufCMessage) message = read_text(text, &grpc__spec__descriptor, PROTOBUF_JSON_OCI);
  check_written(
      message, PROTOBUF_JSON_OCI,
      "{\"ociVersion\": \"\", \"process\": {\"cwd\": \"\", \"user\": {\"uid\": 0, \"gid\": 0}, "
      "\"rlimits\": [{\"type\": \"\", \"hard\": 0, \"soft\": 0}], \"consoleSize\": {\"height\": 0, \"width\": 0}}, "
      "\"root\": {\"path\": \"\"}, \"mounts\": [{\"destination\": \"\"}], \"hooks\": {\"prestart\": [{\"path\": "
      "\"\"}]}, "
      "\"linux\": {\"uidMappings\": [{\"hostID\": 0, \"containerID\": 0, \"size\": 0}], "
      "\"namespaces\": [{\"type\": \"\"}], \"devices\": [{\"type\": \"c\", \"path\": \"\", \"major\": 0, \"minor\": "
      "0}, "
      "{\"type\": \"p\", \"path\": \"\"}, {\"type\": \"\", \"path\": \"\", \"major\": 0, \"minor\": 0}], "
      "\"resources\": {\"devices\": [{\"allow\": false, \"minor\": 0}], \"pids\": {\"limit\": 0}, "
      "\"blockIO\": {\"weightDevice\": [{\"major\": 0, \"minor\": 0}]}, "
      "\"network\": {\"priorities\": [{\"name\": \"\", \"priority\": 0}]}}, "
      "\"seccomp\": {\"defaultAction\": \"\", \"syscalls\": [{\"names\": [], \"action\": \"\", "
      "\"args\": [{\"index\": 0, \"value\": 0, \"op\": \"\"}]}]}}}");
}

/* ---- any message of ours, filled by chance ---- */

static void *fill(const ProtobufCMessageDescriptor *type, GRand *chance, int depth);

static gsize size_of(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
    case PROTOBUF_C_TYPE_BYTES:
      return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
      return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
      return 8;
    default:
      return 4;
  }
}

static void fill_value(const ProtobufCFieldDescriptor *field, void *value, GRand *chance, int depth) {
  static guint counter;
  switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
      /* Never the same twice, as keys of maps must be. */
      *(char **)value = g_strdup_printf("%c\"\\/\n\xc3\xa9%u", g_rand_int_range(chance, 1, 127), counter++);
      break;
    case PROTOBUF_C_TYPE_BYTES: {
      ProtobufCBinaryData *bytes = value;
      bytes->len = (gsize)g_rand_int_range(chance, 1, 9);
      bytes->data = g_malloc(bytes->len);
      for (gsize i = 0; i < bytes->len; i++) bytes->data[i] = (guint8)g_rand_int(chance);
      break;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
      *(void **)value = fill(field->descriptor, chance, depth - 1);
      break;
    case PROTOBUF_C_TYPE_BOOL:
      *(protobuf_c_boolean *)value = g_rand_boolean(chance);
      break;
    case PROTOBUF_C_TYPE_DOUBLE:
      *(double *)value = g_rand_double(chance);
      break;
    case PROTOBUF_C_TYPE_FLOAT:
      *(float *)value = (float)g_rand_int_range(chance, 0, 1000) / 8;
      break;
    case PROTOBUF_C_TYPE_ENUM:
      *(int *)value = g_rand_int_range(chance, 0, 4);
      break;
    default:
      if (size_of(field) == 8) {
        *(guint64 *)value = (guint64)g_rand_int(chance) << 32 | g_rand_int(chance);
      } else {
        *(guint32 *)value = g_rand_int(chance);
      }
  }
}

static void *fill(const ProtobufCMessageDescriptor *type, GRand *chance, int depth) {
  ProtobufCMessage *message = g_malloc0(type->sizeof_message);
  type->message_init(message);
  gboolean is_entry = g_str_has_suffix(type->short_name, "Entry");
  for (unsigned i = 0; i < type->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &type->fields[i];
    char *value = (char *)message + field->offset;
    gboolean is_deep = field->type == PROTOBUF_C_TYPE_MESSAGE && depth <= 0;
    if (!is_entry && (is_deep || g_rand_boolean(chance))) continue;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
      guint32 *chosen = (guint32 *)(void *)((char *)message + field->quantifier_offset);
      if (*chosen != 0) continue;
      *chosen = field->id;
    }
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
      fill_value(field, value, chance, depth);
      continue;
    }
    size_t n_values = (size_t)g_rand_int_range(chance, 0, 4);
    /* Two keys may be the same there. */
    if (strcmp(type->short_name, "EveryType") == 0 && field->id >= 51) n_values = MIN(n_values, 1);
    if (n_values == 0) continue;
    *(size_t *)(void *)((char *)message + field->quantifier_offset) = n_values;
    char *values = g_malloc0_n(n_values, size_of(field));
    *(char **)(void *)value = values;
    for (size_t k = 0; k < n_values; k++) fill_value(field, values + k * size_of(field), chance, depth);
  }
  return message;
}

static GBytes *pack(const ProtobufCMessage *message) {
  gsize size = protobuf_c_message_get_packed_size(message);
  guint8 *data = g_malloc(size + 1);
  protobuf_c_message_pack(message, data);
  return g_bytes_new_take(data, size);
}

static void check_round_trip(const ProtobufCMessage *message, ProtobufJsonNames names) {
  g_autoptr(JsonObject) json = protobuf_to_json(message, names);
  /* Through text, as it would be. */
  g_autoptr(JsonObject) again = parse(json_object_to_json_string(json));
  g_autoptr(GError) error = NULL;
  g_autoptr(ProtobufCMessage) back = protobuf_from_json(again, message->descriptor, names, "test", &error);
  if (back == NULL) fail_msg("%s: %s\n%s", message->descriptor->name, error->message, json_object_to_json_string(json));
  g_autoptr(GBytes) one = pack(message);
  g_autoptr(GBytes) other = pack(back);
  if (!g_bytes_equal(one, other))
    fail_msg("%s changed: %s", message->descriptor->name, json_object_to_json_string(json));
}

static void test_round_trip_of_service_messages(void **state) {
  static const ProtobufCServiceDescriptor *const services[] = {
      &grpc__agent_service__descriptor,
      &grpc__health__descriptor,
      &containerd__task__v2__task__descriptor,
  };
  g_autoptr(GRand) chance = g_rand_new_with_seed(20240229);
  guint n_messages = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(services); i++) {
    for (unsigned k = 0; k < services[i]->n_methods; k++) {
      const ProtobufCMethodDescriptor *method = &services[i]->methods[k];
      for (int round = 0; round < 5; round++) {
        g_autoptr(ProtobufCMessage) input = fill(method->input, chance, 4);
        g_autoptr(ProtobufCMessage) output = fill(method->output, chance, 4);
        check_round_trip(input, PROTOBUF_JSON_PROTO);
        check_round_trip(input, PROTOBUF_JSON_CANONICAL);
        check_round_trip(output, PROTOBUF_JSON_PROTO);
        check_round_trip(output, PROTOBUF_JSON_CANONICAL);
        n_messages += 2;
      }
    }
  }
  assert_true(n_messages > 500);
}

static void test_round_trip_of_every_type(void **state) {
  g_autoptr(GRand) chance = g_rand_new_with_seed(1);
  for (int round = 0; round < 200; round++) {
    g_autoptr(ProtobufCMessage) message = fill(&test__every_type__descriptor, chance, 2);
    check_round_trip(message, PROTOBUF_JSON_PROTO);
    check_round_trip(message, PROTOBUF_JSON_CANONICAL);
  }
}

static void clear_string(char **field) {
  if (*field != (char *)protobuf_c_empty_string) free(*field);
  *field = (char *)protobuf_c_empty_string;
}

static void test_round_trip_of_oci(void **state) {
  g_autoptr(GRand) chance = g_rand_new_with_seed(2);
  for (int round = 0; round < 300; round++) {
    g_autoptr(ProtobufCMessage) message = fill(&grpc__spec__descriptor, chance, 8);
    Grpc__Spec *spec = (Grpc__Spec *)message;
    grpc__solaris__free_unpacked(g_steal_pointer(&spec->solaris), NULL);
    grpc__windows__free_unpacked(g_steal_pointer(&spec->windows), NULL);
    /* Always there when written. */
    if (spec->linux == NULL) spec->linux = fill(&grpc__linux__descriptor, chance, 8);
    /* Which stand for any number, as absence does, and are left out. */
    const Grpc__LinuxResources *resources = spec->linux != NULL ? spec->linux->resources : NULL;
    for (size_t i = 0; resources != NULL && i < resources->n_devices; i++) {
      Grpc__LinuxDeviceCgroup *rule = resources->devices[i];
      if (rule->major < 0) rule->major = 0;
      if (rule->minor < 0) rule->minor = 0;
    }
    /* No members of the document. */
    if (resources != NULL && resources->cpu != NULL) {
      clear_string(&resources->cpu->hostcpus);
      clear_string(&resources->cpu->hostmems);
    }
    check_round_trip(message, PROTOBUF_JSON_OCI);
    check_round_trip(message, PROTOBUF_JSON_PROTO);
    check_round_trip(message, PROTOBUF_JSON_CANONICAL);
  }
}

/* ---- what a real runtime sends ---- */

static void check_request(const char *method_path, const char *text) {
  g_auto(GStrv) parts = g_strsplit(method_path, "/", 2);
  const ProtobufCServiceDescriptor *service =
      strcmp(parts[0], "grpc.Health") == 0 ? &grpc__health__descriptor : &grpc__agent_service__descriptor;
  const ProtobufCMethodDescriptor *method = protobuf_c_service_descriptor_get_method_by_name(service, parts[1]);
  if (method == NULL) fail_msg("no method %s", method_path);
  g_autoptr(ProtobufCMessage) message = read_text(text, method->input, PROTOBUF_JSON_PROTO);
  check_round_trip(message, PROTOBUF_JSON_PROTO);
  check_round_trip(message, PROTOBUF_JSON_CANONICAL);
  if (strcmp(parts[1], "CreateContainer") != 0) return;
  const Grpc__CreateContainerRequest *request = (const Grpc__CreateContainerRequest *)message;
  assert_string_equal(request->oci->version, "1.0.2-dev");
  assert_true(request->oci->process->n_args > 0);
  assert_string_equal(request->oci->process->cwd, "/");
  assert_true(request->oci->n_mounts > 3);
  assert_true(request->oci->linux->n_namespaces > 0);
}

static void test_recorded_requests(void **state) {
  const char *top = g_getenv("top_srcdir");
  g_autofree char *path = g_build_filename(top != NULL ? top : "..", "tests/data/agent-requests.txt", NULL);
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(path, &text, NULL, &error)) fail_msg("%s", error->message);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  guint n_requests = 0;
  for (guint i = 0; lines[i] != NULL; i++) {
    if (*lines[i] == '#' || *lines[i] == '\0') continue;
    char *json = strchr(lines[i], ' ');
    assert_non_null(json);
    *json++ = '\0';
    check_request(lines[i], json);
    n_requests++;
  }
  assert_int_equal(n_requests, 48);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_scalar),
      cmocka_unit_test(test_lists),
      cmocka_unit_test(test_defaults_and_nulls),
      cmocka_unit_test(test_numbers_as_strings),
      cmocka_unit_test(test_bad_numbers),
      cmocka_unit_test(test_enums),
      cmocka_unit_test(test_bytes),
      cmocka_unit_test(test_oneof),
      cmocka_unit_test(test_maps),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_canonical_names),
      cmocka_unit_test(test_paths_in_errors),
      cmocka_unit_test(test_bad_strings),
      cmocka_unit_test(test_list_limit),
      cmocka_unit_test(test_presence_of_proto2),
      cmocka_unit_test(test_oci_names),
      cmocka_unit_test(test_oci_required),
      cmocka_unit_test(test_round_trip_of_service_messages),
      cmocka_unit_test(test_round_trip_of_every_type),
      cmocka_unit_test(test_round_trip_of_oci),
      cmocka_unit_test(test_recorded_requests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
