/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The interfaces of the guest: what there is, and single changes to them. */
#pragma once

#include <glib.h>
#include <linux/if_link.h>

#include "agent/net-text.h"
#include "agent/netlink.h"

typedef struct {
  int index;
  char name[IFNAMSIZ];
  NetHardware hardware;
  guint32 mtu;
  guint32 flags; /* IFF_* */
  char *kind;    /* "veth", "dummy"; NULL: a device's */
  struct rtnl_link_stats64 counters;
  GArray *addresses; /* NetPrefix; only from net_links_read_all() */
} NetLink;

/* All of them (NetLink), in the kernel's order; with their addresses. */
GPtrArray *net_links_read(Netlink *netlink, GError **error);
GPtrArray *net_links_read_all(Netlink *netlink, GError **error);

/* NULL: none. */
const NetLink *net_links_find_index(const GPtrArray *links, int index);
const NetLink *net_links_find_name(const GPtrArray *links, const char *name);
const NetLink *net_links_find_hardware(const GPtrArray *links, const NetHardware *hardware);

/* One change of one link; name is for the error only. */
gboolean net_link_set_flags(Netlink *netlink, int index, const char *name, guint32 mask, guint32 flags, GError **error);
gboolean net_link_set_hardware(Netlink *netlink, int index, const char *name, const NetHardware *hardware,
                               GError **error);
gboolean net_link_set_mtu(Netlink *netlink, int index, const char *name, guint32 mtu, GError **error);
gboolean net_link_rename(Netlink *netlink, int index, const char *name, const char *new_name, GError **error);

/* Adds an address, or renews it. */
gboolean net_link_add_address(Netlink *netlink, int index, const char *name, const NetPrefix *address, GError **error);

/* Takes one away; without effect where it is not. */
gboolean net_link_remove_address(Netlink *netlink, int index, const char *name, const NetPrefix *address,
                                 GError **error);

/* FALSE: this kernel has no IPv6, or it was turned off. */
gboolean net_has_ipv6(void);
