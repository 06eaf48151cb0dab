/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of net*.c know of a network. */
#pragma once

#include "common/ttrpc.h"
#include "lib/net-cards.h"
#include "lib/vm-config.h"
#include "proto/types.pb-c.h"
#include "shim/net-dns.h"
#include "shim/net-localhost.h"
#include "shim/net-scan.h"
#include "shim/net.h"

/* One interface and its tap. */
typedef struct {
  guint index;
  char *name;
  char *tap;
  char *mac;
  guint mtu;
  gboolean was_allmulti;
  guint number;      /* of its card */
  char *guest_name;  /* in the guest */
  char *told;        /* what the guest was told of it, as net_fingerprint_interface() has it; NULL: nothing yet */
  gboolean is_given; /* somebody has said what the guest is told: it does not follow the interface */
  gboolean is_stuck; /* the interface is gone, but the guest does not let go of the card */
} NetLink;

struct Net {
  int netns;
  char *path;
  guint64 cookie;
  NetScan *scan; /* NULL when adopted: the guest knows it */
  NetLocalhostBefore before;
  guint64 rx_limit, tx_limit; /* of each card, in bits per second; 0: none */
  gboolean connected;         /* something is joined */
  NetDns *dns;                /* while has_dns, but for an owner that does not serve the sandbox yet */

  /* Guards what follows against the writer of the state file; only one thread at a time changes it. */
  GMutex lock;
  gboolean planned; /* the state file tells of it, from before anything is joined until all is parted */
  GPtrArray *links; /* NetLink */
  gboolean has_localhost;
  gboolean has_dns;                    /* 127.0.0.11 leads to the namespace's */
  GArray *excluded;                    /* guint: interfaces that somebody has taken from the guest, by index */
  char *told_routes, *told_neighbours; /* as NetLink.told */
};

NetLink *net_link_new(const NetInterface *interface, guint number);
NetLink *net_find_link(const Net *net, guint index);
/* Of the thread's namespace: an interface and its tap, or that for 127.0.0.1, which the guest can do without. */
gboolean net_join_link(Netlink *netlink, const Net *net, const NetLink *link, GError **error);
void net_part_link(Netlink *netlink, const NetLink *link);
void net_join_localhost(Netlink *netlink, const Net *net);

/* Looks at a namespace that is connected. */
NetScan *net_look_again(const Net *net, GError **error);

/* What distinguishes two settings. */
char *net_fingerprint_interface(const NetInterface *interface);
char *net_fingerprint_routes(const GPtrArray *routes);
char *net_fingerprint_neighbours(const GPtrArray *neighbours);

/* Tell the guest: of one card; of all routes; of all neighbours. given: in the place of what the interface has, or
 * NULL. What leads to interfaces the guest has not is left out. */
gboolean net_tell_interface(TtrpcClient *agent, const NetLink *link, const NetInterface *interface,
                            const Types__Interface *given, GError **error);
gboolean net_tell_routes(TtrpcClient *agent, const Net *net, const GPtrArray *routes, GError **error);
gboolean net_tell_neighbours(TtrpcClient *agent, const Net *net, const GPtrArray *neighbours, GError **error);
gboolean net_tell_localhost(TtrpcClient *agent, GError **error);
