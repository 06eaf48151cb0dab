// SPDX-License-Identifier: LGPL-2.1-or-later
/* Network namespaces, what is in them, and what joins two interfaces: in namespaces of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/net-bpf.h"
#include "shim/net-dns.h"
#include "shim/net-localhost.h"
#include "shim/net-namespace.h"
#include "shim/net-scan.h"
#include "shim/net-tc.h"
#include "shim/net.h"

static void assert_code(GError **error, kata_error_code code, const char *text) {
  assert_non_null(*error);
  assert_int_equal(error_get_code(*error), code);
  if (strstr((*error)->message, text) == NULL) fail_msg("'%s' is not in '%s'", text, (*error)->message);
  g_clear_error(error);
}

static int make_namespace(void) {
  g_autoptr(GError) error = NULL;
  int netns = net_namespace_new(&error);
  g_assert_no_error(error);
  return netns;
}

/* ip(8) by lines, in the thread's namespace. */
static gboolean run_ip(gpointer lines, GError **error) {
  for (const char *const *line = lines; *line != NULL; line++) {
    g_autofree char *command = g_strconcat("ip ", *line, NULL);
    g_auto(GStrv) argv = g_strsplit(command, " ", -1);
    int status = -1;
    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, error) ||
        !g_spawn_check_wait_status(status, error)) {
      g_prefix_error(error, "%s: ", command);
      return FALSE;
    }
  }
  return TRUE;
}

static void set_up(int netns, const char *const *lines) {
  g_autoptr(GError) error = NULL;
  if (!net_namespace_run(netns, run_ip, (gpointer)lines, &error)) fail_msg("%s", error->message);
}

static gboolean scan_here(gpointer data, GError **error) {
  g_autoptr(Netlink) netlink = netlink_open(error);
  NetScan **ret = data;
  *ret = netlink != NULL ? net_scan(netlink, error) : NULL;
  return *ret != NULL;
}

static void test_namespaces(void **state) {
  g_autoptr(GError) error = NULL;
  autofd int one = make_namespace();
  autofd int other = make_namespace();
  autofd int own = net_namespace_open(0, "/proc/self/ns/net", &error);
  g_assert_no_error(error);
  assert_true(net_namespace_is_same(one, one));
  assert_false(net_namespace_is_same(one, other));
  assert_true(net_namespace_is_host(own));
  assert_false(net_namespace_is_host(one));
  /* "/proc/self" is the peer's own. */
  autofd int peers = net_namespace_open(getppid(), "/proc/self/ns/net", &error);
  g_assert_no_error(error);
  assert_true(net_namespace_is_same(peers, own));
  assert_int_equal(net_namespace_open(0, "/proc/self/ns/mnt", &error), -1);
  assert_code(&error, KATA_ERR_INVALID_ARGUMENT, "'/proc/self/ns/mnt' is not a network namespace");
  assert_int_equal(net_namespace_open(0, "/dev/null", &error), -1);
  assert_code(&error, KATA_ERR_INVALID_ARGUMENT, "'/dev/null'");
  assert_int_equal(net_namespace_open(0, "run/netns/x", &error), -1);
  assert_code(&error, KATA_ERR_INVALID_ARGUMENT, "not absolute");
  assert_int_equal(net_namespace_open(getppid(), "/no/such", &error), -1);
  assert_code(&error, KATA_ERR_NOT_FOUND, "'/no/such'");
}

static void test_scan(void **state) {
  static const char *const lines[] = {
      "link add eth1 type veth peer name peer1",
      "link add eth0 address 02:00:00:00:00:07 mtu 1420 type veth peer name peer0",
      "addr add 10.7.0.2/24 dev eth0",
      "addr add 10.7.0.3/32 dev eth0",
      "-6 addr add fd07::2/64 dev eth0 nodad",
      "addr add 10.8.0.2/30 dev eth1",
      "link set peer0 up",
      "link set eth0 up",
      "route add default via 10.7.0.1 src 10.7.0.3",
      "route add 10.20.0.0/16 via 10.99.0.1 dev eth0 onlink mtu 1300",
      "route add 10.30.0.0/16 nexthop via 10.7.0.5 dev eth0 nexthop via 10.7.0.6 dev eth0",
      "route add blackhole 10.40.0.0/16",
      "route add 10.50.0.0/16 dev eth0 table 100",
      "-6 route add fd99::/64 via fd07::1",
      "neigh add 10.7.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent",
      "neigh add 10.7.0.8 lladdr 02:00:00:00:00:08 dev eth0 nud stale",
      NULL};
  autofd int netns = make_namespace();
  set_up(netns, lines);
  g_autoptr(GError) error = NULL;
  g_autoptr(NetScan) scan = NULL;
  net_namespace_run(netns, scan_here, &scan, &error);
  g_assert_no_error(error);
  /* By name; neither the loopback device nor the peers, which have no address but what the kernel gave one of them. */
  const NetInterface *first = scan->interfaces->pdata[0], *second = scan->interfaces->pdata[1];
  assert_string_equal(first->name, "eth0");
  assert_string_equal(first->kind, "veth");
  assert_string_equal(first->mac, "02:00:00:00:00:07");
  assert_int_equal(first->mtu, 1420);
  assert_string_equal(second->name, "eth1");
  GString *texts = g_string_new(NULL);
  for (guint i = 0; i < first->addresses->len; i++) {
    const NetAddress *address = first->addresses->pdata[i];
    if (!g_str_has_prefix(address->text, "fe80:"))
      g_string_append_printf(texts, "%s/%u ", address->text, address->prefix);
  }
  assert_string_equal(texts->str, "10.7.0.2/24 10.7.0.3/32 fd07::2/64 ");
  g_string_truncate(texts, 0);
  for (guint i = 0; i < scan->routes->len; i++) {
    const NetRoute *route = scan->routes->pdata[i];
    g_string_append_printf(texts, "%s>%s,%s,%s,%u,%u ", route->destination != NULL ? route->destination : "default",
                           route->gateway, route->source != NULL ? route->source : "", route->device, route->flags,
                           route->mtu);
  }
  assert_string_equal(texts->str,
                      "default>10.7.0.1,10.7.0.3,eth0,0,0 10.20.0.0/16>10.99.0.1,,eth0,4,1300 "
                      "10.30.0.0/16>10.7.0.5,,eth0,0,0 10.30.0.0/16>10.7.0.6,,eth0,0,0 fd99::/64>fd07::1,,eth0,0,0 ");
  g_string_free(texts, TRUE);
  assert_int_equal(scan->neighbours->len, 1);
  const NetNeighbour *neighbour = scan->neighbours->pdata[0];
  assert_string_equal(neighbour->address, "10.7.0.9");
  assert_string_equal(neighbour->mac, "02:00:00:00:00:09");
}

static void test_scan_refuses(void **state) {
  g_autoptr(GError) error = NULL;
  NetScan *scan = NULL;
  autofd int empty = make_namespace();
  assert_true(net_namespace_run(empty, scan_here, &scan, &error));
  assert_int_equal(scan->interfaces->len, 0);
  net_scan_free(scan);
  static const char *const taken[] = {"tuntap add tap3_kata mode tap", NULL};
  set_up(empty, taken);
  assert_false(net_namespace_run(empty, scan_here, &scan, &error));
  assert_code(&error, KATA_ERR_INVALID_STATE, "another virtual machine is connected to this network namespace");
  autofd int other = make_namespace();
  static const char *const tun[] = {"tuntap add tun0 mode tun", "addr add 10.9.0.2/24 dev tun0", NULL};
  set_up(other, tun);
  assert_false(net_namespace_run(other, scan_here, &scan, &error));
  assert_code(&error, KATA_ERR_UNSUPPORTED, "'tun0' of kind tun: it carries no Ethernet frames");
}

static gboolean count_here(gpointer data, GError **error) {
  char *argv[] = {"tc", "qdisc", NULL};
  g_autofree char *out = NULL;
  if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, NULL, error)) return FALSE;
  for (const char *at = out; (at = strstr(at, " ffff: ")) != NULL; at++) ++*(guint *)data;
  return TRUE;
}

static guint count_disciplines(int netns) {
  g_autoptr(GError) error = NULL;
  guint count = 0;
  net_namespace_run(netns, count_here, &count, &error);
  g_assert_no_error(error);
  return count;
}

static gboolean join_here(gpointer data, GError **error) {
  g_autoptr(Netlink) netlink = netlink_open(error);
  guint eth = if_nametoindex("eth0"), tap = if_nametoindex("tap0_kata");
  static const guint8 mac[6] = {2, 0, 0, 0, 0, 1};
  g_auto(NetBpfPair) programs = {-1, -1};
  if (!net_bpf_load_localhost(AF_INET, tap, if_nametoindex("lo"), mac, &programs, error)) return FALSE;
  autofd int outside = net_bpf_load_outside(tap, error);
  /* Twice: what is there is replaced. */
  for (guint i = 0; i < 2; i++)
    if (outside < 0 || !net_tc_redirect(netlink, eth, tap, error) ||
        !net_tc_attach(netlink, eth, NET_TC_IN, NET_TC_FIRST, outside, error) ||
        !net_tc_redirect(netlink, tap, eth, error) ||
        !net_tc_attach(netlink, if_nametoindex("lo"), NET_TC_OUT, NET_TC_SECOND, programs.outward, error))
      return FALSE;
  return TRUE;
}

static gboolean part_here(gpointer data, GError **error) {
  g_autoptr(Netlink) netlink = netlink_open(error);
  static const char *const names[] = {"eth0", "tap0_kata", "lo"};
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) net_tc_clear(netlink, if_nametoindex(names[i]));
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) net_tc_clear(netlink, if_nametoindex(names[i]));
  return TRUE;
}

static gboolean join_nothing(gpointer data, GError **error) {
  g_autoptr(Netlink) netlink = netlink_open(error);
  return net_tc_redirect(netlink, 4711, 4712, error);
}

static void test_joining(void **state) {
  static const char *const lines[] = {"link add eth0 type veth peer name peer0", "tuntap add tap0_kata mode tap", NULL};
  g_autoptr(GError) error = NULL;
  autofd int netns = make_namespace();
  set_up(netns, lines);
  net_namespace_run(netns, join_here, NULL, &error);
  g_assert_no_error(error);
  assert_int_equal(count_disciplines(netns), 3);
  assert_true(net_namespace_run(netns, part_here, NULL, &error));
  assert_int_equal(count_disciplines(netns), 0);
  assert_false(net_namespace_run(netns, join_nothing, NULL, &error));
  assert_code(&error, KATA_ERR_NOT_FOUND, "cannot redirect interface 4711 to 4712");
}

static void test_dns_names(void **state) {
  static const char *const named[] = {"nameserver 127.0.0.11\n", "search a\nnameserver \t127.0.0.11  \noptions ndots:0",
                                      "nameserver 10.0.0.1\r\nnameserver\t127.0.0.11\r\n"};
  static const char *const others[] = {"",
                                       "\n",
                                       "nameserver",
                                       "nameserver 127.0.0.1\n",
                                       "nameserver 127.0.0.111\n",
                                       "# nameserver 127.0.0.11\n",
                                       "search 127.0.0.11\n"};
  for (gsize i = 0; i < G_N_ELEMENTS(named); i++) assert_true(net_dns_is_named(named[i]));
  for (gsize i = 0; i < G_N_ELEMENTS(others); i++) assert_false(net_dns_is_named(others[i]));
}

static gboolean join_dns_here(gpointer data, GError **error) {
  g_autoptr(Netlink) netlink = netlink_open(error);
  NetLocalhostBefore *before = data;
  net_localhost_look(netlink, before);
  /* Twice, as after a crash. */
  return net_localhost_join(netlink, before, error) && net_localhost_join_dns(netlink, error) &&
         net_localhost_join_dns(netlink, error);
}

static gboolean part_dns_here(gpointer data, GError **error) {
  g_autoptr(Netlink) netlink = netlink_open(error);
  net_localhost_part(netlink, data);
  return TRUE;
}

/* Real questions: tests/engines/test-docker-networks.py. */
static void test_dns(void **state) {
  static const char *const lines[] = {"tuntap add " NET_LOCALHOST_TAP " mode tap", NULL};
  g_autoptr(GError) error = NULL;
  autofd int netns = make_namespace();
  NetLocalhostBefore before = {0};
  set_up(netns, lines);
  NetDns *dns = net_dns_new(netns, &error);
  g_assert_no_error(error);
  assert_null(net_dns_new(netns, &error));
  assert_code(&error, KATA_ERR_IO, "cannot listen at 127.0.0.11, UDP port 53");
  net_namespace_run(netns, join_dns_here, &before, &error);
  g_assert_no_error(error);
  assert_int_equal(count_disciplines(netns), 2);
  net_dns_free(dns);
  dns = net_dns_new(netns, &error); /* the next owner */
  g_assert_no_error(error);
  net_dns_free(dns);
  assert_true(net_namespace_run(netns, part_dns_here, &before, &error));
  assert_int_equal(count_disciplines(netns), 0);
}

static void assert_adopts(const Kata__V1__NetworkState *known, int netns) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Net) net = net_adopt(known, getpid(), "", &error);
  g_assert_no_error(error);
  assert_true(net_namespace_is_same(net_get_namespace(net), netns));
}

/* A process that bears QEMU's number now may live anywhere: what is ours is parted nowhere but in our namespace. */
static void test_adopting(void **state) {
  g_autoptr(GError) error = NULL;
  autofd int netns = make_namespace(), own = net_namespace_open_of(getpid(), NULL);
  g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), netns);
  struct stat status;
  Kata__V1__NetworkState known = KATA__V1__NETWORK_STATE__INIT;
  assert_int_equal(fstat(netns, &status), 0);
  known.device = status.st_dev;
  known.inode = status.st_ino;
  known.path = path;
  assert_adopts(&known, netns);
  /* Inodes are given out again, cookies never. */
  known.cookie = net_namespace_get_cookie(netns);
  assert_int_not_equal(known.cookie, net_namespace_get_cookie(own));
  assert_adopts(&known, netns);
  known.cookie++;
  assert_null(net_find_stray(&known, getpid(), ""));
  known.cookie--;
  known.path = (char *)"";
  assert_null(net_adopt(&known, getpid(), "", &error));
  assert_code(&error, KATA_ERR_NOT_FOUND, "cannot find the network namespace the guest was connected to");
  assert_int_equal(fstat(own, &status), 0);
  known.device = status.st_dev;
  known.inode = status.st_ino;
  known.cookie = net_namespace_get_cookie(own);
  assert_adopts(&known, own);
}

/* More than one piece of the kernel's answer holds. */
#define N_ADDRESSES 1500

static gpointer add_addresses(gpointer netns) {
  g_autoptr(GString) batch = g_string_new(NULL);
  for (int i = 0; i < N_ADDRESSES; i++)
    g_string_append_printf(batch, "addr add 10.9.%d.%d/32 dev eth0\n", i / 250, i % 250 + 1);
  g_autofree char *path = NULL;
  autofd int file = g_file_open_tmp("kata-net-XXXXXX", &path, NULL);
  g_autofree char *command = g_strdup_printf("-batch %s", path);
  const char *const lines[] = {command, NULL};
  gboolean added = file >= 0 && fd_write_all(file, batch->str, batch->len) &&
                   net_namespace_run(GPOINTER_TO_INT(netns), run_ip, (gpointer)lines, NULL);
  unlink(path);
  return GINT_TO_POINTER(added);
}

/* The kernel says so when what it lists has changed meanwhile. */
static void test_scan_while_it_changes(void **state) {
  static const char *const lines[] = {"link add eth0 type veth peer name peer0", "addr add 10.1.2.3/24 dev eth0", NULL};
  autofd int netns = make_namespace();
  set_up(netns, lines);
  GThread *thread = g_thread_new("addresses", add_addresses, GINT_TO_POINTER(netns));
  g_autoptr(GError) error = NULL;
  for (int i = 0; i < 100 && error == NULL; i++) {
    g_autoptr(Net) net = net_new(fcntl(netns, F_DUPFD_CLOEXEC, 0), "", &error);
  }
  assert_true(GPOINTER_TO_INT(g_thread_join(thread)));
  g_assert_no_error(error);
}

int main(void) {
  g_autofree char *ip = g_find_program_in_path("ip"), *tc = g_find_program_in_path("tc");
  if (geteuid() != 0 || ip == NULL || tc == NULL) {
    printf("skipped: network namespaces need root, and ip and tc (package iproute2)\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_namespaces),   cmocka_unit_test(test_scan),
                                     cmocka_unit_test(test_scan_refuses), cmocka_unit_test(test_joining),
                                     cmocka_unit_test(test_adopting),     cmocka_unit_test(test_scan_while_it_changes),
                                     cmocka_unit_test(test_dns_names),    cmocka_unit_test(test_dns)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
