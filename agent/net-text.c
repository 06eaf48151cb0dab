/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-text.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"

/* An error about text, quoted so that nothing in it reaches a log as it is. */
static void set_error(GError **error, const char *field, const char *text, const char *why) {
  g_autofree char *clean = error_clean_text(text);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: '%s' %s", field, clean, why);
}

gsize net_ip_size(int family) { return family == AF_INET6 ? 16 : family == AF_INET ? 4 : 0; }

gboolean net_ip_parse(const char *field, const char *text, NetIp *ret_ip, GError **error) {
  NetIp ip = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
  if (inet_pton(ip.family, text, ip.bytes) != 1) {
    set_error(error, field, text, "is neither an IPv4 nor an IPv6 address");
    return FALSE;
  }
  *ret_ip = ip;
  return TRUE;
}

gboolean net_length_parse(const char *field, const char *text, int family, guint *ret_length, GError **error) {
  guint64 length = 0;
  guint max = (guint)net_ip_size(family) * 8;
  if (!g_ascii_string_to_unsigned(text, 10, 0, max, &length, NULL)) {
    g_autofree char *why = g_strdup_printf("is no prefix length: a number from 0 to %u, as in '%u'", max, max - 8);
    set_error(error, field, text, why);
    return FALSE;
  }
  *ret_length = (guint)length;
  return TRUE;
}

gboolean net_prefix_parse(const char *field, const char *text, NetPrefix *ret_prefix, GError **error) {
  const char *slash = strchr(text, '/');
  g_autofree char *address = slash ? g_strndup(text, (gsize)(slash - text)) : g_strdup(text);
  NetPrefix prefix = {0};
  if (!net_ip_parse(field, address, &prefix.ip, error)) return FALSE;
  prefix.length = (guint)net_ip_size(prefix.ip.family) * 8;
  if (slash && !net_length_parse(field, slash + 1, prefix.ip.family, &prefix.length, error)) return FALSE;
  *ret_prefix = prefix;
  return TRUE;
}

gboolean net_hardware_parse(const char *field, const char *text, NetHardware *ret_hardware, GError **error) {
  NetHardware hardware = {0};
  const char *at = text;
  while (g_ascii_isxdigit(at[0]) && g_ascii_isxdigit(at[1]) && hardware.length < NET_HARDWARE_MAX) {
    hardware.bytes[hardware.length++] = (guint8)(g_ascii_xdigit_value(at[0]) << 4 | g_ascii_xdigit_value(at[1]));
    at += 2;
    if (*at != ':') break;
    at++;
  }
  gboolean is_known_length = hardware.length == 6 || hardware.length == 8 || hardware.length == 20;
  if (*at || at == text || at[-1] == ':' || !is_known_length) {
    set_error(error, field, text, "is no hardware address such as '02:00:ca:fe:00:01'");
    return FALSE;
  }
  *ret_hardware = hardware;
  return TRUE;
}

gboolean net_name_check(const char *field, const char *name, GError **error) {
  gboolean is_valid = *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && g_utf8_validate(name, -1, NULL);
  /* The kernel takes '%' for a place where it is to put a number. */
  for (const char *at = name; is_valid && *at; at++) is_valid = (guchar)*at > ' ' && *at != 0x7f && !strchr("/:%", *at);
  if (!is_valid) {
    set_error(error, field, name, "is no name for an interface: no white space, '/', ':' or '%', and not empty");
    return FALSE;
  }
  if (strlen(name) < IFNAMSIZ) return TRUE;
  g_autofree char *why = g_strdup_printf("is too long for an interface's name: at most %d bytes", IFNAMSIZ - 1);
  set_error(error, field, name, why);
  return FALSE;
}

char *net_ip_format(const NetIp *ip) {
  char text[INET6_ADDRSTRLEN] = "";
  if (net_ip_size(ip->family) > 0) inet_ntop(ip->family, ip->bytes, text, sizeof text);
  return g_strdup(text);
}

char *net_prefix_format(const NetPrefix *prefix) {
  g_autofree char *address = net_ip_format(&prefix->ip);
  return g_strdup_printf("%s/%u", address, prefix->length);
}

char *net_hardware_format(const NetHardware *hardware) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < hardware->length; i++)
    g_string_append_printf(text, "%s%02X", i > 0 ? ":" : "", hardware->bytes[i]);
  return g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean net_ip_is_equal(const NetIp *a, const NetIp *b) {
  return a->family == b->family && memcmp(a->bytes, b->bytes, net_ip_size(a->family)) == 0;
}

static gboolean is_all_zero(const guint8 *bytes, gsize size) {
  for (gsize i = 0; i < size; i++)
    if (bytes[i]) return FALSE;
  return TRUE;
}

gboolean net_ip_is_unspecified(const NetIp *ip) { return is_all_zero(ip->bytes, net_ip_size(ip->family)); }

gboolean net_hardware_is_equal(const NetHardware *a, const NetHardware *b) {
  return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

gboolean net_hardware_is_zero(const NetHardware *hardware) { return is_all_zero(hardware->bytes, hardware->length); }

NetPrefix net_prefix_mask(const NetPrefix *prefix) {
  NetPrefix masked = *prefix;
  gsize size = net_ip_size(prefix->ip.family);
  for (gsize i = 0; i < size; i++) {
    guint kept = prefix->length > i * 8 ? MIN(prefix->length - (guint)i * 8, 8) : 0;
    masked.ip.bytes[i] &= (guint8)(0xff00 >> kept);
  }
  return masked;
}

gboolean net_prefix_is_equal(const NetPrefix *a, const NetPrefix *b) {
  return a->length == b->length && net_ip_is_equal(&a->ip, &b->ip);
}
