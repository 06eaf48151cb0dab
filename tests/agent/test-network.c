/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The network calls, in a network namespace of their own: interfaces are pairs of veth, and what the kernel then has is
 * read with "ip". Requests are written as upstream's runtime sends them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "common/protobuf-json.h"
#include "common/spawn.h"
#include "tests/agent/harness.h"

#define JSON_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
#define COMMAND_OUTPUT_MAX (1u << 20)
#define COMMAND_TIMEOUT_MS 60000
#define MAC "02:00:ca:fe:00:01"
/* agent.hotplug_timeout, seconds. */
#define HOTPLUG_TIMEOUT 3

#define BOTH_ROUTES "{ ip -4 route show table main; ip -6 route show table main | grep -v ^fe80; } | sed 's/ *$//'"
/* Without what changes by itself. */
#define BOTH_ADDRESSES "ip -o -4 addr; ip -o -6 addr show scope global"

/* ---- commands ---- */

/* What a shell command printed; it must succeed. */
static char *output(const char *format, ...) G_GNUC_PRINTF(1, 2);
static char *output(const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *command = g_strdup_vprintf(format, args);
  va_end(args);
  const char *const argv[] = {"sh", "-c", command, NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  g_autoptr(GError) error = NULL;
  g_autofree char *err = NULL;
  char *out = NULL;
  int status = 0;
  if (!spawn_run(&options, NULL, COMMAND_OUTPUT_MAX, COMMAND_TIMEOUT_MS, &out, NULL, &err, &status, &error))
    fail_msg("%s: %s", command, error->message);
  if (status != 0) fail_msg("%s: status %d: %s", command, status, err);
  return g_strchomp(out);
}

#define command(...) g_free(output(__VA_ARGS__))

static void assert_output(const char *expected, const char *shell_command) {
  g_autofree char *out = output("%s", shell_command);
  assert_string_equal(out, expected);
}

static void assert_has(const char *text, const char *shell_command) {
  g_autofree char *out = output("%s", shell_command);
  if (!strstr(out, text)) fail_msg("no '%s' in what '%s' says: %s", text, shell_command, out);
}

/* ---- calls ---- */

static ProtobufCMessage *parse(const char *method, const char *json) {
  const ProtobufCMethodDescriptor *descriptor =
      protobuf_c_service_descriptor_get_method_by_name(&grpc__agent_service__descriptor, method);
  struct json_object *object = json_tokener_parse(json);
  if (!object) fail_msg("no JSON: %s", json);
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *request = protobuf_from_json(object, descriptor->input, PROTOBUF_JSON_PROTO, "request", &error);
  if (!request) fail_msg("%s", error->message);
  json_object_put(object);
  return request;
}

static ProtobufCMessage *call(const char *method, const char *json, GError **error) {
  ProtobufCMessage *request = parse(method, json);
  ProtobufCMessage *reply = harness_call(method, request, error);
  protobuf_c_message_free_unpacked(request, NULL);
  return reply;
}

/* The answer as JSON. */
static char *ask(const char *method, const char *json) {
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *reply = call(method, json, &error);
  if (!reply) fail_msg("%s %s: %s", method, json, error->message);
  struct json_object *object = protobuf_to_json(reply, PROTOBUF_JSON_PROTO);
  char *text = g_strdup(json_object_to_json_string_ext(object, JSON_FLAGS));
  json_object_put(object);
  protobuf_c_message_free_unpacked(reply, NULL);
  return text;
}

static void must(const char *method, const char *json) { g_free(ask(method, json)); }

static void must_fail(const char *method, const char *json, int code, const char *text) {
  ProtobufCMessage *request = parse(method, json);
  harness_must_fail(method, request, code, text);
  protobuf_c_message_free_unpacked(request, NULL);
}

/* ---- each test begins with loopback alone ---- */

static int begin(void **state) {
  command(
      "for i in $(ip -o link show type veth | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/'); do"
      " ip link del $i 2>/dev/null || true; done");
  command("ip link set lo up");
  return 0;
}

/* ---- interfaces ---- */

static void test_update_interface(void **state) {
  command("ip link add v0 address " MAC " type veth peer name p0; ip link set p0 up");
  /* Upstream's runtime sends all fields, the type too. */
  g_autofree char *reply =
      ask("UpdateInterface",
          "{\"interface\":{\"device\":\"eth0\",\"name\":\"eth0\",\"IPAddresses\":["
          "{\"address\":\"10.88.0.5\",\"mask\":\"16\"},{\"family\":\"v6\",\"address\":\"fd00:88::5\",\"mask\":\"64\"}],"
          "\"mtu\":\"1400\",\"hwAddr\":\"02:00:CA:fe:00:01\",\"type\":\"veth\",\"raw_flags\":128}}");
  assert_non_null(strstr(reply, "\"name\":\"eth0\""));
  assert_output("eth0", "ip -o link show type veth | grep -i " MAC " | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/'");
  assert_has("mtu 1400", "ip link show eth0");
  assert_has("NOARP", "ip link show eth0");
  assert_has("UP", "ip link show eth0");
  assert_has("inet 10.88.0.5/16 brd 10.88.255.255", "ip addr show eth0");
  /* At once: nobody looks for a second one with it. */
  assert_has("inet6 fd00:88::5/64 scope global nodad", "ip addr show eth0");
  assert_output("10.88.0.0/16 dev eth0 proto kernel scope link src 10.88.0.5", "ip -4 route show");
}

/* An interface that is as it is wanted already does not lose its routes. */
static void test_update_again(void **state) {
  command("ip link add v0 address " MAC " type veth peer name p0; ip link set p0 up");
  static const char request[] =
      "{\"interface\":{\"device\":\"eth0\",\"name\":\"eth0\",\"IPAddresses\":[{\"address\":\"10.88.0.5\",\"mask\":"
      "\"16\"},"
      "{\"family\":\"v6\",\"address\":\"fd00:88::5\",\"mask\":\"64\"}],\"mtu\":\"1500\",\"hwAddr\":\"" MAC "\"}}";
  must("UpdateInterface", request);
  command("ip route add default via 10.88.0.1; ip -6 route add default via fd00:88::1");
  g_autofree char *before = output(BOTH_ADDRESSES "; " BOTH_ROUTES);
  must("UpdateInterface", request);
  assert_output(before, BOTH_ADDRESSES "; " BOTH_ROUTES);
}

/* By name, when nobody has the hardware address: that one gets it. */
static void test_found_by_name(void **state) {
  command("ip link add eth0 address 02:00:00:00:00:99 type veth peer name p0");
  must("UpdateInterface", "{\"interface\":{\"name\":\"eth0\",\"hwAddr\":\"" MAC "\"}}");
  assert_has(MAC, "ip link show eth0");
  /* With an address more, and nothing else. */
  must("UpdateInterface",
       "{\"interface\":{\"name\":\"eth0\",\"IPAddresses\":[{\"address\":\"192.0.2.9\",\"mask\":\"31\"}]}}");
  assert_has("inet 192.0.2.9/31 scope global eth0", "ip addr show eth0");
  assert_has(MAC, "ip link show eth0");
  /* With another in its place; none sent: they stay. */
  must("UpdateInterface",
       "{\"interface\":{\"name\":\"eth0\",\"IPAddresses\":[{\"address\":\"192.0.2.33\",\"mask\":\"24\"}]}}");
  must("UpdateInterface", "{\"interface\":{\"name\":\"eth0\",\"mtu\":1400}}");
  assert_output("192.0.2.33/24", "ip -o -4 addr show eth0 | awk '{print $4}'");
  /* As loopback is listed. */
  must("UpdateInterface",
       "{\"interface\":{\"name\":\"lo\",\"hwAddr\":\"00:00:00:00:00:00\",\"IPAddresses\":["
       "{\"address\":\"198.51.100.1\",\"mask\":\"32\"}]}}");
  assert_has("198.51.100.1/32", "ip addr show lo");
  command("ip addr del 198.51.100.1/32 dev lo");
}

/* Two that have each other's names. */
static void test_swap_names(void **state) {
  command(
      "ip link add eth0 address 02:00:00:00:00:0a type veth peer name p0;"
      "ip link add eth1 address 02:00:00:00:00:0b type veth peer name p1;"
      "ip link set p0 up; ip link set p1 up; ip link set eth0 up; ip addr add 10.1.0.1/24 dev eth0;"
      "ip -6 addr add fd00:1::1/64 dev eth0 nodad; ip route add default via 10.1.0.9 mtu 1300;"
      "ip route add 10.66.0.0/16 dev eth0 proto static; ip -6 route add default via fd00:1::9");
  g_autofree char *before = output(BOTH_ROUTES);
  must("UpdateInterface",
       "{\"interface\":{\"name\":\"eth0\",\"hwAddr\":\"02:00:00:00:00:0b\",\"IPAddresses\":["
       "{\"address\":\"10.2.0.1\",\"mask\":\"24\"}]}}");
  assert_has("02:00:00:00:00:0b", "ip link show eth0");
  assert_has("02:00:00:00:00:0a", "ip link show eth1");
  assert_has("10.2.0.1/24", "ip addr show eth0");
  assert_has("10.1.0.1/24", "ip addr show eth1");
  /* It was up and is so again, with all that it had. */
  assert_has("UP", "ip link show eth1");
  assert_has("fd00:1::1/64", "ip addr show eth1");
  g_auto(GStrv) parts = g_strsplit(before, "eth0", -1);
  g_autofree char *expected = g_strjoinv("eth1", parts);
  assert_output(expected, BOTH_ROUTES " | grep -v '10.2.0.0'");
  assert_output("0", "cat /proc/sys/net/ipv6/conf/eth1/keep_addr_on_down");
  must("UpdateInterface", "{\"interface\":{\"name\":\"eth1\",\"hwAddr\":\"02:00:00:00:00:0b\"}}");
  assert_has("02:00:00:00:00:0b", "ip link show eth1");
}

/* ---- one that is on its way ---- */

typedef struct {
  const char *json;
  GError *error;
  ProtobufCMessage *reply;
} Pending;

static gpointer call_in_thread(gpointer data) {
  Pending *pending = data;
  pending->reply = call("UpdateInterface", pending->json, &pending->error);
  return NULL;
}

static void test_wait_for_it(void **state) {
  Pending pending = {"{\"interface\":{\"name\":\"eth7\",\"hwAddr\":\"02:00:00:00:00:77\"}}", NULL, NULL};
  Pending other = {"{\"interface\":{\"name\":\"eth8\",\"hwAddr\":\"02:00:00:00:00:88\"}}", NULL, NULL};
  GThread *threads[] = {g_thread_new("wait", call_in_thread, &pending), g_thread_new("wait", call_in_thread, &other)};
  /* Nobody else waits meanwhile. */
  must("ListInterfaces", "{}");
  command(
      "ip link add x1 address 02:00:00:00:00:88 type veth peer name p1;"
      "ip link add x0 address 02:00:00:00:00:77 type veth peer name p0");
  for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) g_thread_join(threads[i]);
  if (pending.error || other.error) fail_msg("%s", (pending.error ? pending.error : other.error)->message);
  protobuf_c_message_free_unpacked(pending.reply, NULL);
  protobuf_c_message_free_unpacked(other.reply, NULL);
  assert_has("02:00:00:00:00:77", "ip link show eth7");
  assert_has("02:00:00:00:00:88", "ip link show eth8");
}

/* Nobody gets an interface who does not wait for it any more. */
static void test_caller_goes(void **state) {
  ProtobufCMessage *request = parse("UpdateInterface", "{\"interface\":{\"name\":\"eth7\",\"hwAddr\":\"" MAC "\"}}");
  g_autoptr(GError) error = NULL;
  assert_false(ttrpc_client_invoke(harness_client(), &grpc__agent_service__descriptor, "UpdateInterface", request, 200,
                                   NULL, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_TIMEOUT);
  protobuf_c_message_free_unpacked(request, NULL);
  command("ip link add x0 address " MAC " type veth peer name p0");
  /* Also waited for, and comes later: by then the agent has seen the first. */
  Pending other = {"{\"interface\":{\"name\":\"eth8\",\"hwAddr\":\"02:00:00:00:00:88\"}}", NULL, NULL};
  GThread *thread = g_thread_new("wait", call_in_thread, &other);
  command("ip link add x1 address 02:00:00:00:00:88 type veth peer name p1");
  g_thread_join(thread);
  if (other.error) fail_msg("%s", other.error->message);
  protobuf_c_message_free_unpacked(other.reply, NULL);
  assert_has(MAC, "ip link show x0");
}

/* Upstream's runtime tries again when it reads these words. */
static void test_link_not_found(void **state) {
  gint64 began = g_get_monotonic_time();
  must_fail("UpdateInterface", "{\"interface\":{\"name\":\"eth0\",\"hwAddr\":\"02:00:00:00:00:77\"}}", TTRPC_NOT_FOUND,
            "Link not found: no interface with the hardware address '02:00:00:00:00:77' and none called 'eth0'");
  assert_true(g_get_monotonic_time() - began >= HOTPLUG_TIMEOUT * G_USEC_PER_SEC);
  must_fail("UpdateInterface", "{\"interface\":{\"name\":\"eth0\",\"devicePath\":\"1f/1e.3/1d\"}}", TTRPC_NOT_FOUND,
            "Link not found: no interface at the PCI path '1f/1e.3/1d'");
}

static void test_bad_interfaces(void **state) {
  static const char *const cases[][2] = {
      {"{}", "interface: is missing"},
      {"{\"interface\":{}}", "interface: one of 'devicePath', 'hwAddr' and 'name'"},
      {"{\"interface\":{\"name\":\"a/b\"}}", "interface.name: 'a/b' is no name"},
      {"{\"interface\":{\"name\":\"eth%d\"}}", "interface.name: 'eth%d' is no name"},
      {"{\"interface\":{\"name\":\"a b\"}}", "interface.name: 'a b' is no name"},
      {"{\"interface\":{\"name\":\"a\\nb\"}}", "interface.name: 'a\\x0ab' is no name"},
      {"{\"interface\":{\"name\":\"..\"}}", "interface.name: '..' is no name"},
      {"{\"interface\":{\"name\":\"eth0:1\"}}", "interface.name: 'eth0:1' is no name"},
      {"{\"interface\":{\"name\":\"a23456789abcdef0\"}}", "interface.name: 'a23456789abcdef0' is too long"},
      {"{\"interface\":{\"name\":\"lo\",\"hwAddr\":\"02:00:00:00:00\"}}", "interface.hwAddr: '02:00:00:00:00' is no"},
      {"{\"interface\":{\"name\":\"lo\",\"devicePath\":\"02/20\"}}", "interface.devicePath: "},
      {"{\"interface\":{\"name\":\"lo\",\"devicePath\":\"../..\"}}", "interface.devicePath: "},
      {"{\"interface\":{\"name\":\"lo\",\"mtu\":\"4294967296\"}}", "interface.mtu: '4294967296' is above"},
      {"{\"interface\":{\"name\":\"lo\",\"IPAddresses\":[{\"address\":\"10.0.0.1\",\"mask\":\"24\"},"
       "{\"address\":\"10.0.0.256\",\"mask\":\"24\"}]}}",
       "interface.IPAddresses[1].address: '10.0.0.256' is neither"},
      {"{\"interface\":{\"name\":\"lo\",\"IPAddresses\":[{\"address\":\"10.0.0.1\",\"mask\":\"33\"}]}}",
       "interface.IPAddresses[0].mask: '33' is no prefix length: a number from 0 to 32"},
      {"{\"interface\":{\"name\":\"lo\",\"IPAddresses\":[{\"address\":\"fd00::1\",\"mask\":\"129\"}]}}",
       "interface.IPAddresses[0].mask: '129' is no prefix length: a number from 0 to 128"},
      {"{\"interface\":{\"name\":\"lo\",\"IPAddresses\":[{\"address\":\"10.0.0.1\",\"mask\":\"255.255.255.0\"}]}}",
       "interface.IPAddresses[0].mask: '255.255.255.0' is no prefix length"},
      {"{\"interface\":{\"name\":\"lo\",\"IPAddresses\":[{\"address\":\"10.0.0.1\"}]}}",
       "interface.IPAddresses[0].mask: '' is no prefix length"},
      {"{\"interface\":{\"name\":\"lo\",\"IPAddresses\":[{\"address\":\"0.0.0.0\",\"mask\":\"0\"}]}}",
       "interface.IPAddresses[0].address: '0.0.0.0' cannot be"},
      {"{\"interface\":{\"name\":\"lo\",\"IPAddresses\":[{\"family\":\"v6\",\"address\":\"10.0.0.1\",\"mask\":\"8\"}]}"
       "}",
       "interface.IPAddresses[0].address: '10.0.0.1' is not of the family 'v6'"},
  };
  g_autofree char *before = output(BOTH_ADDRESSES);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
    must_fail("UpdateInterface", cases[i][0], TTRPC_INVALID_ARGUMENT, cases[i][1]);
  g_autoptr(GString) many = g_string_new("{\"interface\":{\"name\":\"lo\",\"IPAddresses\":[");
  for (int i = 0; i < 257; i++)
    g_string_append_printf(many, "%s{\"address\":\"10.0.%d.%d\",\"mask\":\"8\"}", i ? "," : "", i / 250, i % 250 + 1);
  g_string_append(many, "]}}");
  must_fail("UpdateInterface", many->str, TTRPC_INVALID_ARGUMENT, "interface.IPAddresses: 257 are more than 256");
  assert_output(before, BOTH_ADDRESSES);
}

/* What only the kernel can refuse comes with its reason. */
static void test_kernel_refuses(void **state) {
  command("ip link add eth0 address " MAC " type veth peer name p0");
  must_fail("UpdateInterface", "{\"interface\":{\"name\":\"eth0\",\"mtu\":\"2000000000\"}}", TTRPC_INVALID_ARGUMENT,
            "cannot set the MTU of interface 'eth0' to 2000000000: Invalid argument (mtu greater than device maximum)");
  must_fail("UpdateInterface", "{\"interface\":{\"name\":\"eth0\",\"hwAddr\":\"01:00:00:00:00:01\"}}",
            TTRPC_INVALID_ARGUMENT, "cannot set the hardware address of interface 'eth0' to '01:00:00:00:00:01'");
}

static void test_list_interfaces(void **state) {
  command("ip link add eth0 address " MAC
          " type veth peer name p0; ip addr add 10.3.0.1/24 dev eth0;"
          "ip -6 addr add fd00:3::1/64 dev eth0 nodad; ip link set eth0 mtu 1280");
  g_autofree char *reply = ask("ListInterfaces", "{}");
  struct json_object *object = json_tokener_parse(reply);
  struct json_object *list = NULL;
  assert_true(json_object_object_get_ex(object, "Interfaces", &list));
  assert_int_equal(json_object_array_length(list), 3);
  struct json_object *lo = json_object_array_get_idx(list, 0);
  assert_non_null(strstr(json_object_to_json_string_ext(lo, JSON_FLAGS),
                         "\"IPAddresses\":[{\"address\":\"127.0.0.1\",\"mask\":\"8\"}"));
  const char *eth0 = NULL;
  for (gsize i = 0; i < 3; i++) {
    const char *text = json_object_to_json_string_ext(json_object_array_get_idx(list, i), JSON_FLAGS);
    if (strstr(text, "\"name\":\"eth0\"")) eth0 = text;
  }
  assert_non_null(eth0);
  assert_non_null(strstr(eth0,
                         "\"IPAddresses\":[{\"address\":\"10.3.0.1\",\"mask\":\"24\"},"
                         "{\"family\":\"v6\",\"address\":\"fd00:3::1\",\"mask\":\"64\"}],\"mtu\":1280,"
                         "\"hwAddr\":\"02:00:CA:FE:00:01\",\"type\":\"veth\""));
  json_object_put(object);
}

/* The kernel takes nearly any bytes for a name, the protocol does not. */
static void test_strange_names(void **state) {
  static const char link[] = "\"$(printf 'a\\377\\033[1m')\"";
  command("ip link add %s type veth peer name \"$(printf '\\303\\251')\"", link);
  g_autofree char *list = ask("ListInterfaces", "{}");
  assert_non_null(strstr(list, "\"name\":\"a\\\\xff\\\\x1b[1m\""));
  assert_non_null(strstr(list, "\"name\":\"\303\251\""));
  command("ip link del %s", link);
}

/* ---- routes ---- */

static void make_two(void) {
  command(
      "ip link add eth0 type veth peer name p0; ip link add eth1 type veth peer name p1;"
      "for i in p0 p1 eth0 eth1; do ip link set $i up; done;"
      "ip addr add 10.4.0.2/24 dev eth0; ip addr add 10.5.0.2/24 dev eth1;"
      "ip -6 addr add fd00:4::2/64 dev eth0 nodad; ip -6 addr add fd00:5::2/64 dev eth1 nodad");
}

#define IPV6_ROUTES "ip -6 route show table main | grep -v ^fe80 | sed 's/ *$//'"

/* The gateway's own route comes after the one that needs it. */
static void test_update_routes(void **state) {
  make_two();
  command(
      "ip route add 203.0.113.0/24 via 10.4.0.9; ip route add default via 10.5.0.7;"
      "ip -6 route add default via fd00:5::7; ip route add 10.99.0.0/16 dev eth1 proto static");
  g_autofree char *reply = ask(
      "UpdateRoutes",
      "{\"routes\":{\"Routes\":["
      "{\"gateway\":\"169.254.1.1\",\"device\":\"eth0\"},"
      "{\"dest\":\"169.254.1.1/32\",\"device\":\"eth0\",\"scope\":253},"
      "{\"dest\":\"10.6.0.0/16\",\"gateway\":\"10.5.0.1\",\"device\":\"eth1\",\"source\":\"10.5.0.2\",\"mtu\":1300},"
      "{\"gateway\":\"fd00:4::1\",\"device\":\"eth0\",\"family\":\"v6\"},"
      "{\"dest\":\"fd00:6::/64\",\"gateway\":\"fe80::1\",\"device\":\"eth1\",\"family\":\"v6\"}]}}");
  assert_output(
      "default via 169.254.1.1 dev eth0\n"
      "10.4.0.0/24 dev eth0 proto kernel scope link src 10.4.0.2\n"
      "10.5.0.0/24 dev eth1 proto kernel scope link src 10.5.0.2\n"
      "10.6.0.0/16 via 10.5.0.1 dev eth1 src 10.5.0.2 mtu 1300\n"
      "169.254.1.1 dev eth0 scope link",
      "ip -4 route show table main | sed 's/ *$//'");
  assert_output(
      "fd00:4::/64 dev eth0 proto kernel metric 256 pref medium\n"
      "fd00:5::/64 dev eth1 proto kernel metric 256 pref medium\n"
      "fd00:6::/64 via fe80::1 dev eth1 metric 1024 pref medium\n"
      "default via fd00:4::1 dev eth0 metric 1024 pref medium",
      IPV6_ROUTES);
  /* It answers what ListRoutes does: real destinations, right families. */
  g_autofree char *list = ask("ListRoutes", "{}");
  assert_string_equal(reply, list);
  assert_non_null(strstr(list,
                         "{\"dest\":\"10.6.0.0/16\",\"gateway\":\"10.5.0.1\",\"device\":\"eth1\","
                         "\"source\":\"10.5.0.2\",\"mtu\":1300}"));
  assert_non_null(strstr(list, "{\"gateway\":\"169.254.1.1\",\"device\":\"eth0\"}"));
  assert_non_null(strstr(list, "{\"dest\":\"169.254.1.1/32\",\"device\":\"eth0\",\"scope\":253}"));
  assert_non_null(
      strstr(list, "{\"dest\":\"fd00:6::/64\",\"gateway\":\"fe80::1\",\"device\":\"eth1\",\"family\":\"v6\"}"));
  assert_non_null(strstr(list, "{\"gateway\":\"fd00:4::1\",\"device\":\"eth0\",\"family\":\"v6\"}"));
}

/* What is listed can be sent back, the kernel's own routes as well, and changes nothing. */
static void test_routes_are_what_was_listed(void **state) {
  make_two();
  command(
      "ip route add default via 10.4.0.1; ip route add default via 10.5.0.1 metric 1;"
      "ip -6 route add default via fd00:4::1; ip -6 route add default via fd00:5::1 metric 1025");
  g_autofree char *before = output("ip -4 route; " IPV6_ROUTES);
  g_autofree char *list = ask("ListRoutes", "{}");
  g_autofree char *request = g_strdup_printf("{\"routes\":%s}", list);
  for (int i = 0; i < 2; i++) {
    g_autofree char *again = ask("UpdateRoutes", request);
    assert_string_equal(again, list);
    assert_output(before, "ip -4 route; " IPV6_ROUTES);
  }
  /* None: the kernel's remain. */
  must("UpdateRoutes", "{\"routes\":{}}");
  assert_output(
      "10.4.0.0/24 dev eth0 proto kernel scope link src 10.4.0.2\n"
      "10.5.0.0/24 dev eth1 proto kernel scope link src 10.5.0.2\n"
      "fd00:4::/64 dev eth0 proto kernel metric 256 pref medium\n"
      "fd00:5::/64 dev eth1 proto kernel metric 256 pref medium",
      "ip -4 route | sed 's/ *$//'; " IPV6_ROUTES);
}

/* Whatever a container may have made of the table. */
static void test_replaces_all_kinds(void **state) {
  make_two();
  command(
      "ip route add 10.91.0.0/16 nexthop via 10.4.0.1 weight 2 nexthop via 10.5.0.1;"
      "ip -6 route add fd00:91::/64 nexthop via fd00:4::1 nexthop via fd00:5::1;"
      "ip route add unreachable 10.92.0.0/16; ip route add blackhole 10.93.0.0/16; ip route add throw 10.94.0.0/16;"
      "ip route add prohibit 10.95.0.0/16; ip -6 route add blackhole fd00:93::/64;"
      "ip nexthop add id 7 via 10.4.0.1 dev eth0; ip route add 10.96.0.0/16 nhid 7;"
      "ip route add 10.97.0.0/16 tos 0x10 via 10.4.0.1 mtu 1000; ip route add 10.97.0.0/16 via 10.4.0.1 metric 77;"
      "ip route add 10.98.0.0/16 via inet6 fd00:4::1 dev eth0; ip route add table 77 10.99.0.0/16 via 10.4.0.1");
  g_autofree char *list = ask("ListRoutes", "{}");
  assert_non_null(strstr(list, "{\"dest\":\"10.91.0.0/16\",\"gateway\":\"10.4.0.1\",\"device\":\"eth0\"}"));
  assert_non_null(strstr(list, "{\"dest\":\"10.91.0.0/16\",\"gateway\":\"10.5.0.1\",\"device\":\"eth1\"}"));
  assert_non_null(strstr(list, "{\"dest\":\"10.96.0.0/16\",\"gateway\":\"10.4.0.1\",\"device\":\"eth0\"}"));
  assert_non_null(strstr(list, "{\"dest\":\"10.98.0.0/16\",\"gateway\":\"fd00:4::1\",\"device\":\"eth0\"}"));
  assert_null(strstr(list, "10.92."));
  must("UpdateRoutes",
       "{\"routes\":{\"Routes\":[{\"dest\":\"10.97.0.0/16\",\"gateway\":\"10.4.0.1\",\"device\":\"eth0\"}]}}");
  assert_output(
      "10.4.0.0/24 dev eth0 proto kernel scope link src 10.4.0.2\n"
      "10.5.0.0/24 dev eth1 proto kernel scope link src 10.5.0.2\n"
      "10.97.0.0/16 via 10.4.0.1 dev eth0\n"
      "fd00:4::/64 dev eth0 proto kernel metric 256 pref medium\n"
      "fd00:5::/64 dev eth1 proto kernel metric 256 pref medium",
      BOTH_ROUTES);
  /* Other tables are not the host's business. */
  assert_has("10.99.0.0/16 via 10.4.0.1", "ip route show table 77");
}

/* A gateway that no route of the interface leads to; states that came with the host's route are dropped. */
static void test_on_link(void **state) {
  make_two();
  must_fail("UpdateRoutes", "{\"routes\":{\"Routes\":[{\"gateway\":\"192.0.2.1\",\"device\":\"eth0\"}]}}",
            TTRPC_FAILED_PRECONDITION, "cannot set the route to '0.0.0.0/0' by '192.0.2.1' at interface 'eth0'");
  must("UpdateRoutes",
       "{\"routes\":{\"Routes\":[{\"gateway\":\"192.0.2.1\",\"device\":\"eth0\",\"flags\":20},"
       "{\"dest\":\"10.7.0.0/16\",\"gateway\":\"10.5.0.1\",\"flags\":17}]}}");
  assert_has("default via 192.0.2.1 dev eth0 onlink", "ip route");
  /* Found by its gateway. */
  assert_has("10.7.0.0/16 via 10.5.0.1 dev eth1", "ip route");
  /* Without a scope: as "ip route add" has it, or no gateway behind it would be found. */
  must("UpdateRoutes",
       "{\"routes\":{\"Routes\":[{\"gateway\":\"192.0.2.1\",\"device\":\"eth0\"},"
       "{\"dest\":\"192.0.2.0/24\",\"device\":\"eth0\"}]}}");
  assert_has("192.0.2.0/24 dev eth0 scope link", "ip route");
  must("UpdateRoutes",
       "{\"routes\":{\"Routes\":[{\"dest\":\"10.8.0.0/16\",\"gateway\":\"fd00:4::1\","
       "\"device\":\"eth0\"}]}}");
  assert_has("10.8.0.0/16 via inet6 fd00:4::1 dev eth0", "ip route");
}

static void test_bad_routes(void **state) {
  static const char *const cases[][2] = {
      {"{}", "routes: is missing"},
      {"{\"routes\":{\"Routes\":[{\"dest\":\"10.0.0.0/33\",\"device\":\"eth0\"}]}}",
       "routes[0].dest: '33' is no prefix"},
      {"{\"routes\":{\"Routes\":[{\"dest\":\"10.0.0.1/24\",\"device\":\"eth0\"}]}}",
       "routes[0].dest: '10.0.0.1/24' has bits behind its prefix length; the network is '10.0.0.0/24'"},
      {"{\"routes\":{\"Routes\":[{\"dest\":\"x\",\"device\":\"eth0\"}]}}", "routes[0].dest: 'x' is neither"},
      {"{\"routes\":{\"Routes\":[{\"device\":\"eth0\"},{\"gateway\":\"10.4.0.1/24\",\"device\":\"eth0\"}]}}",
       "routes[1].gateway: '10.4.0.1/24' is neither"},
      {"{\"routes\":{\"Routes\":[{\"device\":\"eth0\",\"source\":\"10.4.0.2/40\"}]}}", "routes[0].source: '40' is no"},
      {"{\"routes\":{\"Routes\":[{\"dest\":\"10.0.0.0/8\"}]}}", "routes[0].device: '' is no name"},
      {"{\"routes\":{\"Routes\":[{\"dest\":\"10.0.0.0/8\",\"device\":\"a/b\"}]}}",
       "routes[0].device: 'a/b' is no name"},
      {"{\"routes\":{\"Routes\":[{\"device\":\"eth0\",\"scope\":256}]}}", "routes[0].scope: '256' is above 255"},
      {"{\"routes\":{\"Routes\":[{\"dest\":\"fd00::/64\",\"gateway\":\"10.4.0.1\",\"device\":\"eth0\"}]}}",
       "routes[0].family: 'v4' and the addresses"},
      {"{\"routes\":{\"Routes\":[{\"dest\":\"10.0.0.0/8\",\"family\":\"v6\",\"device\":\"eth0\"}]}}",
       "routes[0].family: 'v6' and the addresses"},
      {"{\"routes\":{\"Routes\":[{\"source\":\"fd00::1\",\"dest\":\"10.0.0.0/8\",\"device\":\"eth0\"}]}}",
       "routes[0].family: 'v4' and the addresses"},
  };
  make_two();
  command("ip route add default via 10.4.0.1");
  g_autofree char *before = output("ip route; ip -6 route");
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
    must_fail("UpdateRoutes", cases[i][0], TTRPC_INVALID_ARGUMENT, cases[i][1]);
  must_fail("UpdateRoutes", "{\"routes\":{\"Routes\":[{\"device\":\"eth9\"}]}}", TTRPC_NOT_FOUND,
            "routes[0].device: there is no interface 'eth9'");
  g_autoptr(GString) many = g_string_new("{\"routes\":{\"Routes\":[");
  for (int i = 0; i < 1025; i++)
    g_string_append_printf(many, "%s{\"dest\":\"10.%d.%d.0/24\",\"device\":\"eth0\"}", i ? "," : "", i / 256, i % 256);
  g_string_append(many, "]}}");
  must_fail("UpdateRoutes", many->str, TTRPC_INVALID_ARGUMENT, "routes: 1025 are more than 1024");
  assert_output(before, "ip route; ip -6 route");
}

/* ---- a kernel without IPv6 ---- */

static void set_ipv6(gboolean is_on) { command("echo %d > /proc/sys/net/ipv6/conf/all/disable_ipv6", !is_on); }

static int restore_ipv6(void **state) {
  set_ipv6(TRUE);
  return 0;
}

/* A sandbox of both families begins with what the guest has, and the answer says what that is. */
static void test_without_ipv6(void **state) {
  set_ipv6(FALSE);
  command("ip link add v0 address " MAC " type veth peer name p0; ip link set p0 up");
  g_autofree char *interface = ask("UpdateInterface", "{\"interface\":{\"name\":\"eth0\",\"hwAddr\":\"" MAC
                                                      "\",\"IPAddresses\":["
                                                      "{\"family\":\"v6\",\"address\":\"fd00:4::2\",\"mask\":\"64\"},"
                                                      "{\"address\":\"10.4.0.2\",\"mask\":\"24\"}]}}");
  assert_non_null(strstr(interface, "\"IPAddresses\":[{\"address\":\"10.4.0.2\",\"mask\":\"24\"}]"));
  g_autofree char *routes =
      ask("UpdateRoutes",
          "{\"routes\":{\"Routes\":[{\"gateway\":\"fd00:4::1\",\"device\":\"eth0\",\"family\":\"v6\"},"
          "{\"gateway\":\"10.4.0.1\",\"device\":\"eth0\"}]}}");
  assert_non_null(strstr(routes, "{\"gateway\":\"10.4.0.1\",\"device\":\"eth0\"}"));
  assert_null(strstr(routes, "fd00"));
  must("AddARPNeighbors",
       "{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"family\":\"v6\",\"address\":"
       "\"fd00:4::1\"},\"device\":\"eth0\",\"lladdr\":\"02:00:00:00:00:44\"},"
       "{\"toIPAddress\":{\"address\":\"10.4.0.1\"},\"device\":\"eth0\","
       "\"lladdr\":\"02:00:00:00:00:45\"}]}}");
  assert_has("02:00:00:00:00:45 PERMANENT", "ip neigh show dev eth0 to 10.4.0.1");
}

/* ---- neighbours ---- */

static void test_neighbors(void **state) {
  make_two();
  must(
      "AddARPNeighbors",
      "{\"neighbors\":{\"ARPNeighbors\":["
      "{\"toIPAddress\":{\"address\":\"10.4.0.1\"},\"device\":\"eth0\",\"lladdr\":\"02:00:00:00:00:42\",\"state\":128},"
      "{\"toIPAddress\":{\"address\":\"10.4.0.3\"},\"device\":\"eth0\",\"lladdr\":\"02:00:00:00:00:43\",\"state\":2},"
      "{\"toIPAddress\":{\"family\":\"v6\",\"address\":\"fd00:4::1\"},\"device\":\"eth0\","
      "\"lladdr\":\"02:00:00:00:00:44\"}]}}");
  assert_output("10.4.0.1 lladdr 02:00:00:00:00:42 PERMANENT", "ip neigh show dev eth0 to 10.4.0.1 | sed 's/ *$//'");
  assert_output("10.4.0.3 lladdr 02:00:00:00:00:43 REACHABLE", "ip neigh show dev eth0 to 10.4.0.3 | sed 's/ *$//'");
  assert_output("fd00:4::1 lladdr 02:00:00:00:00:44 PERMANENT", "ip -6 neigh show dev eth0 | sed 's/ *$//'");
  /* Again, with another address. */
  must("AddARPNeighbors",
       "{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.4.0.1\"},"
       "\"device\":\"eth0\",\"lladdr\":\"02:00:00:00:00:45\"}]}}");
  assert_has("02:00:00:00:00:45 PERMANENT", "ip neigh show dev eth0 to 10.4.0.1");
  must("AddARPNeighbors", "{\"neighbors\":{}}");
  /* For whom it answers in the place of others: NTF_PROXY. */
  must("AddARPNeighbors",
       "{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.4.0.77\"},"
       "\"device\":\"eth0\",\"flags\":8}]}}");
  assert_output("10.4.0.77 dev eth0 proxy", "ip neigh show proxy | sed 's/ *$//'");
}

static void test_bad_neighbors(void **state) {
  static const char *const cases[][2] = {
      {"{}", "neighbors: is missing"},
      {"{\"neighbors\":{\"ARPNeighbors\":[{\"device\":\"eth0\"}]}}", "ARPNeighbors[0].toIPAddress: is missing"},
      {"{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"\"},\"device\":\"eth0\"}]}}",
       "ARPNeighbors[0].toIPAddress.address: '' is neither"},
      {"{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.4.0.1\"},\"device\":\"\"}]}}",
       "ARPNeighbors[0].device: '' is no name"},
      {"{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.4.0.1\"},\"device\":\"eth0\","
       "\"lladdr\":\"zz\"}]}}",
       "ARPNeighbors[0].lladdr: 'zz' is no hardware address"},
      {"{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.4.0.1\"},\"device\":\"eth0\","
       "\"lladdr\":\"02:00:00:00:00:00:00:01\"}]}}",
       "ARPNeighbors[0].lladdr: '02:00:00:00:00:00:00:01' has 8 bytes, those of interface 'eth0' have 6"},
      {"{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.4.0.1\"},\"device\":\"eth0\","
       "\"state\":-1}]}}",
       "ARPNeighbors[0].state: '-1' is not from 0 to 255"},
      {"{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.4.0.1\"},\"device\":\"eth0\","
       "\"flags\":256}]}}",
       "ARPNeighbors[0].flags: '256' is not from 0 to 255"},
  };
  make_two();
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
    must_fail("AddARPNeighbors", cases[i][0], TTRPC_INVALID_ARGUMENT, cases[i][1]);
  must_fail("AddARPNeighbors",
            "{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.4.0.1\"},\"device\":\"eth9\"}]}}",
            TTRPC_NOT_FOUND, "ARPNeighbors[0].device: there is no interface 'eth9'");
  assert_output("", "ip -4 neigh show");
}

/* ---- the packet filter ---- */

static void need_iptables(void) {
  g_autofree char *program = g_find_program_in_path("iptables-restore");
  if (program) return;
  print_message("there is no 'iptables-restore'\n");
  skip();
}

/* The data of a request and of an answer is base64 in JSON. */
static char *get_tables(gboolean is_ipv6) {
  g_autofree char *reply = ask("GetIPTables", is_ipv6 ? "{\"is_ipv6\":true}" : "{}");
  struct json_object *object = json_tokener_parse(reply);
  struct json_object *data = NULL;
  gsize length = 0;
  g_autofree guchar *bytes =
      json_object_object_get_ex(object, "data", &data) ? g_base64_decode(json_object_get_string(data), &length) : NULL;
  char *text = bytes ? g_strndup((const char *)bytes, length) : g_strdup("");
  json_object_put(object);
  return text;
}

static char *make_tables(gboolean is_ipv6, const char *rules) {
  g_autofree char *data = g_base64_encode((const guchar *)rules, strlen(rules));
  return g_strdup_printf("{\"is_ipv6\":%s,\"data\":\"%s\"}", is_ipv6 ? "true" : "false", data);
}

static void test_iptables(void **state) {
  need_iptables();
  static const char rules[] =
      "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
      "-A INPUT -p tcp -m tcp --dport 23 -m comment --comment ours -j DROP\nCOMMIT\n"
      "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15001\nCOMMIT\n";
  for (int is_ipv6 = 0; is_ipv6 <= 1; is_ipv6++) {
    g_autofree char *request = make_tables(is_ipv6, rules);
    must("SetIPTables", request);
    g_autofree char *text = get_tables(is_ipv6);
    assert_non_null(strstr(text, "-A INPUT -p tcp -m tcp --dport 23 -m comment --comment ours -j DROP"));
    assert_non_null(strstr(text, "-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15001"));
    assert_has("--dport 23", is_ipv6 ? "ip6tables-save" : "iptables-save");
    /* What was read can be set again. */
    g_autofree char *again = make_tables(is_ipv6, text);
    must("SetIPTables", again);
    g_autofree char *empty = make_tables(is_ipv6, "*filter\nCOMMIT\n*nat\nCOMMIT\n");
    must("SetIPTables", empty);
    g_autofree char *cleared = get_tables(is_ipv6);
    assert_null(strstr(cleared, "-A "));
  }
}

/* More than the pipe of a child holds, and the tables of one family do not show in the other. */
static void test_many_rules(void **state) {
  need_iptables();
  g_autoptr(GString) rules = g_string_new("*filter\n:INPUT ACCEPT [0:0]\n");
  for (int i = 1; i <= 2000; i++) g_string_append_printf(rules, "-A INPUT -p tcp -m tcp --dport %d -j DROP\n", i);
  g_string_append(rules, "COMMIT\n");
  g_autofree char *request = make_tables(FALSE, rules->str);
  must("SetIPTables", request);
  g_autofree char *text = get_tables(FALSE);
  assert_true(strlen(text) > 65536);
  assert_non_null(strstr(text, "--dport 1 -j DROP"));
  assert_non_null(strstr(text, "--dport 2000 -j DROP"));
  g_autofree char *other = get_tables(TRUE);
  assert_null(strstr(other, "--dport 2000"));
  g_autofree char *empty = make_tables(FALSE, "*filter\nCOMMIT\n");
  must("SetIPTables", empty);
}

static void test_bad_rules(void **state) {
  need_iptables();
  g_autofree char *before = get_tables(FALSE);
  static const char *const cases[][2] = {
      {"*filter\n-A INPUT -j NOWHERE\nCOMMIT\n", "data: iptables-restore: "},
      {"*filter\ngarbage\nCOMMIT\n", "data: iptables-restore: "},
      {"*filter\n-A INPUT -p tcp --dport 99999999 -j DROP\nCOMMIT\n", "99999999"},
      {"\xff\xfe\n", "data: iptables-restore: "},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *request = make_tables(FALSE, cases[i][0]);
    must_fail("SetIPTables", request, TTRPC_INVALID_ARGUMENT, cases[i][1]);
  }
  must_fail("SetIPTables", "{}", TTRPC_INVALID_ARGUMENT, "data: must be rules of 1 to 1048576 bytes, not 0");
  g_autofree char *after = get_tables(FALSE);
  assert_null(strstr(after, "-A "));
  assert_true(strlen(before) < 65536);
}

/* ---- counters ---- */

static void test_counters(void **state) {
  make_two();
  /* Nobody answers, but who is asked for is asked for. */
  command("busybox ping -c 1 -W 1 10.4.0.1 >/dev/null 2>&1 || true");
  harness_create("counted", "sleep 1000");
  harness_start_container("counted");
  Grpc__StatsContainerRequest request = GRPC__STATS_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"counted";
  Grpc__StatsContainerResponse *reply =
      (Grpc__StatsContainerResponse *)harness_call("StatsContainer", &request.base, NULL);
  assert_non_null(reply);
  /* Without loopback. */
  assert_int_equal(reply->n_network_stats, 4);
  const Grpc__NetworkStats *eth0 = NULL;
  for (gsize i = 0; i < reply->n_network_stats; i++)
    if (strcmp(reply->network_stats[i]->name, "eth0") == 0) eth0 = reply->network_stats[i];
  assert_non_null(eth0);
  g_autofree char *sent = output("cat /sys/class/net/eth0/statistics/tx_packets");
  assert_true(eth0->tx_packets > 0 && eth0->tx_packets <= g_ascii_strtoull(sent, NULL, 10));
  assert_true(eth0->tx_bytes > eth0->tx_packets);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  harness_remove("counted");
}

static int start(void **state) {
  harness_start();
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_update_interface, begin),
      cmocka_unit_test_setup(test_update_again, begin),
      cmocka_unit_test_setup(test_found_by_name, begin),
      cmocka_unit_test_setup(test_swap_names, begin),
      cmocka_unit_test_setup(test_wait_for_it, begin),
      cmocka_unit_test_setup(test_caller_goes, begin),
      cmocka_unit_test_setup(test_link_not_found, begin),
      cmocka_unit_test_setup(test_bad_interfaces, begin),
      cmocka_unit_test_setup(test_kernel_refuses, begin),
      cmocka_unit_test_setup(test_list_interfaces, begin),
      cmocka_unit_test_setup(test_strange_names, begin),
      cmocka_unit_test_setup(test_update_routes, begin),
      cmocka_unit_test_setup(test_routes_are_what_was_listed, begin),
      cmocka_unit_test_setup(test_replaces_all_kinds, begin),
      cmocka_unit_test_setup(test_on_link, begin),
      cmocka_unit_test_setup(test_bad_routes, begin),
      cmocka_unit_test_setup_teardown(test_without_ipv6, begin, restore_ipv6),
      cmocka_unit_test_setup(test_neighbors, begin),
      cmocka_unit_test_setup(test_bad_neighbors, begin),
      cmocka_unit_test_setup(test_iptables, begin),
      cmocka_unit_test_setup(test_many_rules, begin),
      cmocka_unit_test_setup(test_bad_rules, begin),
      cmocka_unit_test_setup(test_counters, begin),
  };
  return cmocka_run_group_tests_name("agent-network", tests, start, stop);
}

int main(void) {
  g_autofree char *ip = g_find_program_in_path("ip");
  if (!ip) {
    fprintf(stderr, "skipped: there is no 'ip'\n");
    return 77;
  }
  return harness_run(run_all);
}
