/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The texts of the network calls and what they stand for. Each parser's error is INVALID_ARGUMENT, names the field
 * (as "routes[3].gateway") and shows the value.
 */
#pragma once

#include <glib.h>
#include <net/if.h>

/* Bytes of the longest address of hardware: the kernel's MAX_ADDR_LEN. */
#define NET_HARDWARE_MAX 32

typedef struct {
  int family; /* AF_INET, AF_INET6, or AF_UNSPEC: none */
  guint8 bytes[16];
} NetIp;

/* An address and how many of its bits are the network's. */
typedef struct {
  NetIp ip;
  guint length;
} NetPrefix;

/* Of an interface: a MAC address, mostly. length 0: none. */
typedef struct {
  guint8 bytes[NET_HARDWARE_MAX];
  guint length;
} NetHardware;

gboolean net_ip_parse(const char *field, const char *text, NetIp *ret_ip, GError **error);

/* "ADDRESS/LENGTH", or an address, which then is all of the prefix. */
gboolean net_prefix_parse(const char *field, const char *text, NetPrefix *ret_prefix, GError **error);

/* Decimal, at most the bits of an address of that family. */
gboolean net_length_parse(const char *field, const char *text, int family, guint *ret_length, GError **error);

/* 6, 8 or 20 bytes as hexadecimal numbers with ':' between. */
gboolean net_hardware_parse(const char *field, const char *text, NetHardware *ret_hardware, GError **error);

/* What the kernel takes as an interface's name, and nothing that it would take for a pattern. */
gboolean net_name_check(const char *field, const char *name, GError **error);

/* The caller's, to be freed. */
char *net_ip_format(const NetIp *ip);
char *net_prefix_format(const NetPrefix *prefix);
char *net_hardware_format(const NetHardware *hardware); /* upper case */

/* Bytes of an address of that family. */
gsize net_ip_size(int family);
gboolean net_ip_is_equal(const NetIp *a, const NetIp *b);
gboolean net_ip_is_unspecified(const NetIp *ip);
gboolean net_hardware_is_equal(const NetHardware *a, const NetHardware *b);
gboolean net_hardware_is_zero(const NetHardware *hardware);

/* The prefix with all bits behind its length cleared. */
NetPrefix net_prefix_mask(const NetPrefix *prefix);
gboolean net_prefix_is_equal(const NetPrefix *a, const NetPrefix *b);
