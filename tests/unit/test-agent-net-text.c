/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts of the network calls: what they stand for, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/net-interface.h"
#include "agent/net-text.h"
#include "common/error.h"

/* error: set by what returned is_taken. */
static void assert_refused(gboolean is_taken, GError **failure, const char *text) {
  g_autoptr(GError) error = g_steal_pointer(failure);
  if (is_taken) fail_msg("taken, which should be refused with '%s'", text);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  assert_true(g_str_has_prefix(error->message, "field: '"));
  if (!strstr(error->message, text)) fail_msg("no '%s' in '%s'", text, error->message);
  assert_null(strchr(error->message, '\n'));
}

/* ---- addresses ---- */

static void test_prefixes(void **state) {
  static const struct {
    const char *text;
    int family;
    guint length;
    const char *written;
    const char *masked;
  } cases[] = {
      {"10.1.2.3/16", AF_INET, 16, "10.1.2.3/16", "10.1.0.0/16"},
      {"10.1.2.3", AF_INET, 32, "10.1.2.3/32", "10.1.2.3/32"},
      {"0.0.0.0/0", AF_INET, 0, "0.0.0.0/0", "0.0.0.0/0"},
      {"255.255.255.255/1", AF_INET, 1, "255.255.255.255/1", "128.0.0.0/1"},
      {"192.0.2.255/31", AF_INET, 31, "192.0.2.255/31", "192.0.2.254/31"},
      {"FD00:0:0::1/64", AF_INET6, 64, "fd00::1/64", "fd00::/64"},
      {"::", AF_INET6, 128, "::/128", "::/128"},
      {"::/0", AF_INET6, 0, "::/0", "::/0"},
      {"fe80::ffff/121", AF_INET6, 121, "fe80::ffff/121", "fe80::ff80/121"},
      {"::ffff:10.0.0.1/128", AF_INET6, 128, "::ffff:10.0.0.1/128", "::ffff:10.0.0.1/128"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    NetPrefix prefix = {0};
    g_autoptr(GError) error = NULL;
    if (!net_prefix_parse("field", cases[i].text, &prefix, &error)) fail_msg("%s", error->message);
    assert_int_equal(prefix.ip.family, cases[i].family);
    assert_int_equal(prefix.length, cases[i].length);
    g_autofree char *written = net_prefix_format(&prefix);
    assert_string_equal(written, cases[i].written);
    NetPrefix masked = net_prefix_mask(&prefix);
    g_autofree char *masked_text = net_prefix_format(&masked);
    assert_string_equal(masked_text, cases[i].masked);
    assert_int_equal(net_prefix_is_equal(&prefix, &masked), strcmp(written, masked_text) == 0);
  }
}

static void test_bad_prefixes(void **state) {
  static const char *const cases[][2] = {
      {"", "'' is neither an IPv4 nor an IPv6 address"},
      {"/8", "'' is neither"},
      {"10.0.0/8", "'10.0.0' is neither"},
      {"10.0.0.0.0/8", "is neither"},
      {"010.0.0.1", "'010.0.0.1' is neither"},
      {" 10.0.0.1", "' 10.0.0.1' is neither"},
      {"10.0.0.1/", "'' is no prefix length: a number from 0 to 32"},
      {"10.0.0.1/33", "'33' is no prefix length"},
      {"10.0.0.1/-1", "'-1' is no prefix length"},
      {"10.0.0.1/+8", "'+8' is no prefix length"},
      {"10.0.0.1/8/8", "'8/8' is no prefix length"},
      {"10.0.0.1/0x8", "'0x8' is no prefix length"},
      {"10.0.0.1/99999999999999999999", "is no prefix length"},
      {"fd00::1/129", "'129' is no prefix length: a number from 0 to 128"},
      {"fe80::1%eth0", "'fe80::1%eth0' is neither"},
      {"fd00::1::2", "is neither"},
      {"\xff\n", "'\\xff\\x0a' is neither"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    NetPrefix prefix = {.length = 7};
    GError *error = NULL;
    gboolean is_taken = net_prefix_parse("field", cases[i][0], &prefix, &error);
    assert_refused(is_taken, &error, cases[i][1]);
    assert_int_equal(prefix.length, 7);
  }
}

static void test_equal_addresses(void **state) {
  NetIp zero4 = {0}, zero6 = {0};
  assert_true(net_ip_parse("field", "0.0.0.0", &zero4, NULL));
  assert_true(net_ip_parse("field", "::", &zero6, NULL));
  assert_false(net_ip_is_equal(&zero4, &zero6));
  assert_true(net_ip_is_unspecified(&zero4));
  assert_true(net_ip_is_unspecified(&zero6));
  NetIp none = {0};
  assert_true(net_ip_is_equal(&none, &none));
  g_autofree char *text = net_ip_format(&none);
  assert_string_equal(text, "");
}

/* ---- hardware addresses ---- */

static void test_hardware(void **state) {
  static const struct {
    const char *text;
    guint length;
    const char *written;
  } cases[] = {
      {"02:00:ca:FE:00:01", 6, "02:00:CA:FE:00:01"},
      {"00:11:22:33:44:55:66:77", 8, "00:11:22:33:44:55:66:77"},
      {"80:00:02:08:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1", 20,
       "80:00:02:08:FE:80:00:00:00:00:00:00:F4:52:14:03:00:7B:CB:A1"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    NetHardware hardware = {0};
    g_autoptr(GError) error = NULL;
    if (!net_hardware_parse("field", cases[i].text, &hardware, &error)) fail_msg("%s", error->message);
    assert_int_equal(hardware.length, cases[i].length);
    g_autofree char *written = net_hardware_format(&hardware);
    assert_string_equal(written, cases[i].written);
  }
}

static void test_bad_hardware(void **state) {
  g_autoptr(GString) endless = g_string_new("00");
  for (int i = 0; i < 1000; i++) g_string_append(endless, ":00");
  const char *const cases[] = {
      "",
      ":",
      "02",
      "02:00:ca:fe:00",
      "02:00:ca:fe:00:",
      "02:00:ca:fe:00:1",
      "02:00:ca:fe:00:01:",
      "02-00-ca-fe-00-01",
      "2:0:ca:fe:0:1",
      "02:00:ca:fe:00:0g",
      "0200cafe0001",
      "02:00:ca:fe:00:01 ",
      endless->str,
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    NetHardware hardware = {0};
    GError *error = NULL;
    assert_refused(net_hardware_parse("field", cases[i], &hardware, &error), &error, "is no hardware address such as");
  }
}

/* ---- names ---- */

static void test_names(void **state) {
  static const char *const good[] = {"eth0",        "lo", "a",   "...", "eth0.100", "a23456789abcdef",
                                     "caf\xc3\xa9", "-x", "$IFS"};
  static const char *const bad[] = {"",    ".",   "..",     "a/b",  "/",     "eth0:1", "a b",         "a\tb",
                                    "a\n", "a%d", "%s%s%n", "\x7f", "\x01x", "\xff",   "\xc3\xa9\xc3"};
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    if (!net_name_check("field", good[i], &error)) fail_msg("%s", error->message);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    GError *error = NULL;
    assert_refused(net_name_check("field", bad[i], &error), &error, "is no name for an interface");
  }
  GError *error = NULL;
  assert_refused(net_name_check("field", "a23456789abcdef0", &error), &error, "at most 15 bytes");
  g_autofree char *endless = g_strnfill(100000, 'x');
  assert_refused(net_name_check("field", endless, &error), &error, "at most 15 bytes");
}

/* ---- a whole interface ---- */

static void test_interface(void **state) {
  Types__IPAddress four = TYPES__IPADDRESS__INIT, six = TYPES__IPADDRESS__INIT;
  Types__IPAddress *addresses[] = {&four, &six};
  Types__Interface message = TYPES__INTERFACE__INIT;
  four.address = (char *)"10.0.0.2";
  four.mask = (char *)"24";
  /* Sent without its family, as by a caller that leaves out what is 0. */
  six.address = (char *)"fd00::2";
  six.mask = (char *)"64";
  message.name = (char *)"eth0";
  message.hwaddr = (char *)"02:00:ca:fe:00:01";
  message.devicepath = (char *)"02/01";
  message.mtu = 1400;
  message.raw_flags = 0x1080; /* IFF_NOARP, and one that is none of ours */
  message.n_ipaddresses = 2;
  message.ipaddresses = addresses;
  g_autoptr(GError) error = NULL;
  g_autoptr(NetInterface) wanted = net_interface_parse(&message, &error);
  if (!wanted) fail_msg("%s", error->message);
  assert_string_equal(wanted->name, "eth0");
  assert_string_equal(wanted->pci_path, "02/01");
  assert_int_equal(wanted->hardware.length, 6);
  assert_int_equal(wanted->mtu, 1400);
  assert_true(wanted->is_noarp);
  assert_int_equal(wanted->addresses->len, 2);
  assert_int_equal(g_array_index(wanted->addresses, NetPrefix, 1).ip.family, AF_INET6);
  g_autofree char *missed = net_interface_describe(wanted);
  assert_string_equal(missed, "no interface at the PCI path '02/01'");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_prefixes),  cmocka_unit_test(test_bad_prefixes), cmocka_unit_test(test_equal_addresses),
      cmocka_unit_test(test_hardware),  cmocka_unit_test(test_bad_hardware), cmocka_unit_test(test_names),
      cmocka_unit_test(test_interface),
  };
  return cmocka_run_group_tests_name("agent-net-text", tests, NULL, NULL);
}
