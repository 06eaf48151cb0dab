/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-network unix:///PATH QMP-SOCKET: the network calls in a real guest, behind its virtio-serial port. Its
 * interfaces are plugged in by way of QEMU's monitor, into the ports "first" (slot 0a) and "second" (0b); at "net0" is
 * QEMU's own network, 10.0.2.0/24 with something that answers at 10.0.2.2. The shared tree has the root file system in
 * box/rootfs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/fds.h"
#include "common/protobuf-json.h"
#include "tests/agent/harness.h"

#define SHARED "/run/kata-containers/shared/containers"
#define SYNC_MS 120000
/* So that the agent waits already, most of the time. */
#define PLUG_DELAY_US 300000
#define FIRST_MAC "02:00:00:00:0a:01"
#define SECOND_MAC "02:00:00:00:0b:01"

static TtrpcClient *client;
static const char *monitor_path;

/* ---- calls as JSON ---- */

static ProtobufCMessage *parse(const char *method, const char *json) {
  const ProtobufCMethodDescriptor *descriptor =
      protobuf_c_service_descriptor_get_method_by_name(&grpc__agent_service__descriptor, method);
  struct json_object *object = json_tokener_parse(json);
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *request = protobuf_from_json(object, descriptor->input, PROTOBUF_JSON_PROTO, "request", &error);
  if (!request) fail_msg("%s: %s", json, error->message);
  json_object_put(object);
  return request;
}

static char *ask(const char *method, const char *json) {
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *request = parse(method, json);
  ProtobufCMessage *reply = harness_call(method, request, &error);
  if (!reply) fail_msg("%s %s: %s", method, json, error->message);
  struct json_object *object = protobuf_to_json(reply, PROTOBUF_JSON_PROTO);
  char *text =
      g_strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(object);
  protobuf_c_message_free_unpacked(request, NULL);
  protobuf_c_message_free_unpacked(reply, NULL);
  return text;
}

static void must(const char *method, const char *json) { g_free(ask(method, json)); }

static void assert_in(const char *text, const char *whole) {
  if (!strstr(whole, text)) fail_msg("no '%s' in '%s'", text, whole);
}

static char **list_of_two(const char *first, const char *second) {
  char **list = malloc(2 * sizeof *list);
  list[0] = strdup(first);
  list[1] = strdup(second);
  return list;
}

/* For ping and iptables. */
static void allow_network(Grpc__Process *process) {
  Grpc__LinuxCapabilities *capabilities = malloc(sizeof *capabilities);
  grpc__linux_capabilities__init(capabilities);
  capabilities->n_bounding = capabilities->n_effective = capabilities->n_permitted = 2;
  capabilities->bounding = list_of_two("CAP_NET_RAW", "CAP_NET_ADMIN");
  capabilities->effective = list_of_two("CAP_NET_RAW", "CAP_NET_ADMIN");
  capabilities->permitted = list_of_two("CAP_NET_RAW", "CAP_NET_ADMIN");
  process->capabilities = capabilities;
}

/* What a container printed. */
static char *run(const char *script) {
  g_autoptr(Grpc__Spec) spec = harness_spec(script);
  harness_add_mount(spec, "/sys", "sysfs", "sysfs");
  harness_add_mount(spec, "/etc/resolv.conf", "bind", "/etc/resolv.conf");
  Grpc__Mount *resolv_conf = spec->mounts[spec->n_mounts - 1];
  resolv_conf->n_options = 2;
  resolv_conf->options = list_of_two("rbind", "ro");
  allow_network(spec->process);
  harness_create_spec("looks", spec);
  harness_start_container("looks");
  g_autoptr(GString) out = harness_read_all("looks", "", FALSE);
  harness_wait("looks", "");
  harness_remove("looks");
  return g_string_free(g_steal_pointer(&out), FALSE);
}

/* ---- QEMU's monitor ---- */

/* Up to the line that answers a command. */
static void wait_for_answer(int fd) {
  g_autoptr(GString) line = g_string_new(NULL);
  for (char byte; read(fd, &byte, 1) == 1;) {
    g_string_append_c(line, byte);
    if (byte != '\n') continue;
    if (strstr(line->str, "\"error\"")) fail_msg("QEMU: %s", line->str);
    if (strstr(line->str, "\"return\"")) return;
    g_string_truncate(line, 0);
  }
  fail_msg("QEMU's monitor has ended");
}

static void plug(const char *network, const char *port, const char *mac) {
  autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_strlcpy(address.sun_path, monitor_path, sizeof address.sun_path);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  g_autofree char *add = g_strdup_printf(
      "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"virtio-net-pci\",\"netdev\":\"%s\",\"bus\":\"%s\","
      "\"mac\":\"%s\",\"id\":\"nic-%s\"}}\n",
      network, port, mac, network);
  const char *const commands[] = {"{\"execute\":\"qmp_capabilities\"}\n", add};
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
    assert_true(fd_write_all(fd, commands[i], strlen(commands[i])));
    wait_for_answer(fd);
  }
}

static gpointer update_in_thread(gpointer json) { return ask("UpdateInterface", json); }

/* ---- the tests, in order ---- */

/* As upstream's runtime does, all network calls come before CreateSandbox. */
static void test_plug_while_waiting(void **state) {
  g_autofree char *before = ask("ListInterfaces", "{}");
  assert_null(strstr(before, "eth"));
  GThread *thread = g_thread_new("update", update_in_thread,
                                 (gpointer) "{\"interface\":{\"device\":\"net0\",\"name\":\"net0\",\"IPAddresses\":["
                                            "{\"address\":\"10.0.2.15\",\"mask\":\"24\"},"
                                            "{\"family\":\"v6\",\"address\":\"fd00:2::15\",\"mask\":\"64\"}],"
                                            "\"mtu\":\"1400\",\"hwAddr\":\"" FIRST_MAC "\",\"devicePath\":\"0a/00\"}}");
  g_usleep(PLUG_DELAY_US);
  must("GetGuestDetails", "{}");
  /* With another hardware address than it will have. */
  plug("net0", "first", "02:00:00:00:00:99");
  g_autofree char *reply = g_thread_join(thread);
  assert_in("\"name\":\"net0\"", reply);
  g_autofree char *list = ask("ListInterfaces", "{}");
  assert_in(
      "\"name\":\"net0\",\"IPAddresses\":[{\"address\":\"10.0.2.15\",\"mask\":\"24\"},"
      "{\"family\":\"v6\",\"address\":\"fd00:2::15\",\"mask\":\"64\"}",
      list);
  assert_in("\"mtu\":1400,\"hwAddr\":\"02:00:00:00:0A:01\"", list);
}

/* The second is found by its hardware address and wants the name that the first has. */
static void test_second_takes_the_name(void **state) {
  GThread *thread = g_thread_new("update", update_in_thread,
                                 (gpointer) "{\"interface\":{\"device\":\"eth7\",\"name\":\"eth7\",\"IPAddresses\":["
                                            "{\"address\":\"10.9.0.2\",\"mask\":\"24\"}],\"hwAddr\":\"" SECOND_MAC
                                            "\"}}");
  g_usleep(PLUG_DELAY_US);
  plug("net1", "second", SECOND_MAC);
  g_free(g_thread_join(thread));
  must("UpdateInterface", "{\"interface\":{\"name\":\"net0\",\"hwAddr\":\"" SECOND_MAC "\"}}");
  g_autofree char *swapped = ask("ListInterfaces", "{}");
  assert_in("\"name\":\"eth7\",\"IPAddresses\":[{\"address\":\"10.0.2.15\",\"mask\":\"24\"}", swapped);
  assert_in("\"name\":\"net0\",\"IPAddresses\":[{\"address\":\"10.9.0.2\",\"mask\":\"24\"}", swapped);
  /* Which it also keeps while it is renamed. */
  must("UpdateInterface", "{\"interface\":{\"name\":\"eth0\",\"devicePath\":\"0a/00\"}}");
  g_autofree char *renamed = ask("ListInterfaces", "{}");
  assert_in("{\"family\":\"v6\",\"address\":\"fd00:2::15\",\"mask\":\"64\"}", renamed);
}

static void test_routes(void **state) {
  g_autofree char *reply = ask("UpdateRoutes",
                               "{\"routes\":{\"Routes\":[{\"gateway\":\"10.0.2.2\",\"device\":\"eth0\"},"
                               "{\"dest\":\"10.77.0.0/16\",\"gateway\":\"10.9.0.1\",\"device\":\"net0\"},"
                               "{\"gateway\":\"fd00:2::2\",\"device\":\"eth0\",\"family\":\"v6\"}]}}");
  assert_in("{\"gateway\":\"10.0.2.2\",\"device\":\"eth0\"}", reply);
  assert_in("{\"dest\":\"10.77.0.0/16\",\"gateway\":\"10.9.0.1\",\"device\":\"net0\"}", reply);
  assert_in("{\"gateway\":\"fd00:2::2\",\"device\":\"eth0\",\"family\":\"v6\"}", reply);
  must("UpdateRoutes", "{\"routes\":{\"Routes\":[{\"gateway\":\"10.0.2.2\",\"device\":\"eth0\"}]}}");
  g_autofree char *list = ask("ListRoutes", "{}");
  assert_in("{\"gateway\":\"10.0.2.2\",\"device\":\"eth0\"}", list);
  assert_null(strstr(list, "10.77.0.0"));
  assert_null(strstr(list, "fd00:2::2"));
  /* For packets from one network only: this kernel has that for IPv6. */
  g_autofree char *from = ask("UpdateRoutes",
                              "{\"routes\":{\"Routes\":[{\"gateway\":\"10.0.2.2\",\"device\":\"eth0\"},"
                              "{\"dest\":\"fd00:66::/64\",\"gateway\":\"fd00:2::2\",\"device\":\"eth0\","
                              "\"source\":\"fd00:2::/64\",\"family\":\"v6\"}]}}");
  assert_in(
      "{\"dest\":\"fd00:66::/64\",\"gateway\":\"fd00:2::2\",\"device\":\"eth0\",\"source\":\"fd00:2::/64\","
      "\"family\":\"v6\"}",
      from);
  must("AddARPNeighbors",
       "{\"neighbors\":{\"ARPNeighbors\":[{\"toIPAddress\":{\"address\":\"10.9.0.1\"},"
       "\"device\":\"net0\",\"lladdr\":\"02:00:00:00:00:42\",\"state\":128}]}}");
}

static void test_create_sandbox(void **state) {
  must("CreateSandbox",
       "{\"sandbox_id\":\"network\",\"kernel_modules\":[{\"name\":\"ip_tables\"}],\"dns\":[\"nameserver "
       "10.0.2.3\",\"search example.test\",\"\"],"
       "\"storages\":[{\"driver\":\"virtio-fs\",\"source\":\"kataShared\",\"fstype\":\"virtiofs\","
       "\"mount_point\":\"" SHARED "/\"}]}");
}

/* Containers see all of it, and a packet finds its way. */
static void test_container(void **state) {
  g_autofree char *out =
      run("cat /etc/resolv.conf; ip route; ip neigh show dev net0; ip addr show dev lo; ping -c 1 -W 20 10.0.2.2 2>&1");
  assert_in("nameserver 10.0.2.3\nsearch example.test\n", out);
  assert_in("default via 10.0.2.2 dev eth0", out);
  assert_in("10.9.0.1 lladdr 02:00:00:00:00:42", out);
  assert_in("<LOOPBACK,UP,LOWER_UP>", out);
  assert_in("inet 127.0.0.1/8", out);
  assert_in("1 packets received", out);
}

static void test_counters(void **state) {
  harness_create("counted", "sleep 1000");
  g_autofree char *stats = ask("StatsContainer", "{\"container_id\":\"counted\"}");
  struct json_object *object = json_tokener_parse(stats);
  struct json_object *list = NULL;
  assert_true(json_object_object_get_ex(object, "network_stats", &list));
  assert_int_equal(json_object_array_length(list), 2);
  for (gsize i = 0; i < 2; i++) {
    struct json_object *name = NULL, *received = NULL;
    struct json_object *one = json_object_array_get_idx(list, i);
    assert_true(json_object_object_get_ex(one, "name", &name));
    if (strcmp(json_object_get_string(name), "eth0") != 0) continue;
    assert_true(json_object_object_get_ex(one, "rx_packets", &received));
    assert_true(json_object_get_int64(received) >= 2);
  }
  json_object_put(object);
  harness_remove("counted");
}

static char *decode_data(const char *reply) {
  struct json_object *object = json_tokener_parse(reply);
  struct json_object *data = NULL;
  gsize length = 0;
  g_autofree guchar *bytes =
      json_object_object_get_ex(object, "data", &data) ? g_base64_decode(json_object_get_string(data), &length) : NULL;
  json_object_put(object);
  return bytes ? g_strndup((const char *)bytes, length) : g_strdup("");
}

/* As those of a service mesh do. The kernel loads what the rules need; only ip_tables itself it does not. */
static void test_iptables_in_container(void **state) {
  g_autofree char *out =
      run("exec 2>&1; iptables-legacy -t nat -A OUTPUT -p tcp -m owner --uid-owner 1337 -j RETURN;"
          "iptables-legacy -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 15006; iptables-legacy-save -t nat;"
          "iptables-nft -A FORWARD -s 192.0.2.1 -m conntrack --ctstate NEW -j DROP; iptables-nft-save -t filter;"
          "iptables-legacy -t nat -F; iptables-nft -F");
  assert_in("-A OUTPUT -p tcp -m owner --uid-owner 1337 -j RETURN", out);
  assert_in("-A PREROUTING -p tcp -j REDIRECT --to-ports 15006", out);
  assert_in("-A FORWARD -s 192.0.2.1/32 -m conntrack --ctstate NEW -j DROP", out);
}

/* With the modules of the guest's kernel, which loads them for this. */
static void test_iptables(void **state) {
  static const char rules[] =
      "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
      "-A INPUT -p tcp -m multiport --dports 23,25 -m comment --comment ours -j REJECT\n"
      "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
      "-A INPUT -m limit --limit 5/min -j LOG --log-prefix \"dropped \"\n"
      "-A OUTPUT -m owner --uid-owner 1337 -j RETURN\nCOMMIT\n"
      "*mangle\n-A PREROUTING -i eth9 -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT\n"
      "*raw\n-A OUTPUT -p udp -m udp --dport 53 -j CT --notrack\nCOMMIT\n"
      "*nat\n-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15001\n"
      "-A POSTROUTING -m addrtype ! --dst-type LOCAL -o eth9 -j MASQUERADE\nCOMMIT\n";
  static const char *const kept[] = {
      "-A INPUT -p tcp -m multiport --dports 23,25 -m comment --comment ours -j REJECT",
      "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
      "-A INPUT -m limit --limit 5/min -j LOG --log-prefix \"dropped \"",
      "-A OUTPUT -m owner --uid-owner 1337 -j RETURN",
      "-A PREROUTING -i eth9 -j MARK --set-xmark 0x1/0xffffffff",
      "-A OUTPUT -p udp -m udp --dport 53 -j CT --notrack",
      "-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15001",
      "-A POSTROUTING -o eth9 -m addrtype ! --dst-type LOCAL -j MASQUERADE",
  };
  g_autofree char *data = g_base64_encode((const guchar *)rules, strlen(rules));
  for (int is_ipv6 = 0; is_ipv6 <= 1; is_ipv6++) {
    g_autofree char *set = g_strdup_printf("{\"is_ipv6\":%s,\"data\":\"%s\"}", is_ipv6 ? "true" : "false", data);
    must("SetIPTables", set);
    g_autofree char *reply = ask("GetIPTables", is_ipv6 ? "{\"is_ipv6\":true}" : "{}");
    g_autofree char *tables = decode_data(reply);
    for (gsize i = 0; i < G_N_ELEMENTS(kept); i++) assert_in(kept[i], tables);
    g_autofree char *again_data = g_base64_encode((const guchar *)tables, strlen(tables));
    g_autofree char *again =
        g_strdup_printf("{\"is_ipv6\":%s,\"data\":\"%s\"}", is_ipv6 ? "true" : "false", again_data);
    must("SetIPTables", again);
  }
}

static void test_destroy(void **state) { must("DestroySandbox", "{}"); }

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plug_while_waiting),
      cmocka_unit_test(test_second_takes_the_name),
      cmocka_unit_test(test_routes),
      cmocka_unit_test(test_create_sandbox),
      cmocka_unit_test(test_container),
      cmocka_unit_test(test_counters),
      cmocka_unit_test(test_iptables_in_container),
      cmocka_unit_test(test_iptables),
      cmocka_unit_test(test_destroy),
  };
  g_autoptr(GError) error = NULL;
  if (argc != 3) return EXIT_FAILURE;
  monitor_path = argv[2];
  int fd = ttrpc_dial(argv[1], 0, &error);
  client = fd < 0 ? NULL : ttrpc_client_new(fd, TTRPC_STREAM_PORT);
  if (!client || !ttrpc_client_sync(client, FALSE, SYNC_MS, &error)) {
    fprintf(stderr, "guest-network: %s\n", error->message);
    return EXIT_FAILURE;
  }
  harness_attach(client, SHARED "/box/rootfs");
  int failed = cmocka_run_group_tests_name("guest-network", tests, NULL, NULL);
  ttrpc_client_unref(client);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
