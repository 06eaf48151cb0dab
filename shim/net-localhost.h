/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports of 127.0.0.1 and ::1 in the network namespace that lead into the guest, as they would lead to a container in
 * it: what forwards ports to a pod (CRI, kubectl port-forward) connects to those. A card of the guest's own carries
 * them; what leaves the loopback device for these addresses goes there, with another source, and the answers arrive at
 * the loopback device; the guest cannot open a connection to the namespace. Only these two addresses are redirected:
 * 127.0.0.11 (Docker's name server) and the like stay.
 */
#pragma once

#include "lib/net-cards.h"
#include "shim/net-netlink.h"

/* What libvirt makes of it for the tap. */
#define NET_LOCALHOST_TAP_MAC "fe:6b:61:74:00:01"
/* In the guest. */
#define NET_LOCALHOST_NAME "kata-lo"
/* The agent lets 127.0.0.1 and ::1 be reached through an interface of this type; upstream's looks at no type. */
#define NET_LOCALHOST_TYPE "kata-localhost"

/* What the loopback device of a namespace had before. */
typedef struct {
  gboolean route_localnet, accept_local, has_clsact;
} NetLocalhostBefore;

/* All in the thread's namespace. */
void net_localhost_look(Netlink *netlink, NetLocalhostBefore *ret);
/* After a failure nothing is changed. */
gboolean net_localhost_join(Netlink *netlink, const NetLocalhostBefore *before, GError **error);
/* What the guest asks 127.0.0.11 arrives at the namespace's, for net-dns.h; after net_localhost_join(). */
gboolean net_localhost_join_dns(Netlink *netlink, GError **error);
void net_localhost_part(Netlink *netlink, const NetLocalhostBefore *before);
