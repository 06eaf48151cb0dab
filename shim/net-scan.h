/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the thread's network namespace is set up with: interfaces, addresses, routes, neighbours. */
#pragma once

#include "shim/net-netlink.h"

/* "tapN_kata" is the other end of the Nth interface, upstream's name for it. */

typedef struct {
  int family;
  char *text;
  guint prefix;
} NetAddress;

typedef struct {
  guint index;
  char *name;
  char *kind;  /* rtnetlink's word: "veth", "macvlan"; "" for hardware */
  char *mac;   /* "02:00:00:00:00:01" */
  guint flags; /* IFF_* */
  guint mtu;
  GPtrArray *addresses; /* NetAddress */
} NetInterface;

typedef struct {
  int family;
  char *destination; /* "10.0.0.0/8"; NULL: the default route */
  char *gateway;     /* or NULL */
  char *source;      /* preferred address, or NULL */
  char *device;
  guint scope;
  guint flags; /* RTNH_F_ONLINK or 0 */
  guint mtu;   /* 0: the interface's */
} NetRoute;

typedef struct {
  int family;
  char *address;
  char *device;
  char *mac;
  guint state; /* NUD_* */
} NetNeighbour;

typedef struct {
  GPtrArray *interfaces; /* NetInterface, by name: those with an address, but for the loopback device */
  GPtrArray *others;     /* NetInterface: those that a guest cannot be connected to, or not yet */
  GPtrArray *routes;     /* NetRoute of the main table, but for those the kernel makes of addresses */
  GPtrArray *neighbours; /* NetNeighbour, permanent ones */
} NetScan;

void net_scan_free(NetScan *scan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetScan, net_scan_free)

/* KATA_ERR_UNSUPPORTED for an interface that carries no Ethernet frames, KATA_ERR_INVALID_STATE where a virtual machine
 * is connected already. */
NetScan *net_scan(Netlink *netlink, GError **error);
/* The same where our machine is connected: its own taps are left out, and what carries no Ethernet frames is one of the
 * others. */
NetScan *net_scan_again(Netlink *netlink, GError **error);
