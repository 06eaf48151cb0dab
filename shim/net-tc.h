/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traffic control of the thread's network namespace: what comes in at one interface goes out at another. */
#pragma once

#include "shim/net-netlink.h"

/* Everything that arrives at interface from goes out at interface to. An ingress discipline that is there is
 * replaced. */
gboolean net_tc_redirect(Netlink *netlink, guint from, guint to, GError **error);

typedef enum { NET_TC_IN, NET_TC_OUT } NetTcSide;

/* Whether the interface has a clsact discipline, somebody else's or ours. */
gboolean net_tc_has_clsact(Netlink *netlink, guint index);

/* Which of our programs; each is asked about what those before leave open (TC_ACT_UNSPEC). */
typedef enum { NET_TC_FIRST = 0x6b60, NET_TC_SECOND, NET_TC_THIRD } NetTcOrder;

/* A program (bpf(2), direct action) decides about every frame that comes in, or goes out, at the interface. A clsact
 * discipline that is there stays, with what others have attached to it; so does that of net_tc_redirect(), which
 * decides about what is left open. */
gboolean net_tc_attach(Netlink *netlink, guint index, NetTcSide side, NetTcOrder order, int program, GError **error);

/* Takes only such a program away. */
void net_tc_detach(Netlink *netlink, guint index, NetTcSide side, NetTcOrder order);

/* Takes the discipline away, with all that is attached to it; without effect where there is none. */
void net_tc_clear(Netlink *netlink, guint index);

/* At most that many bits in a second leave at the interface (a token bucket in the place of its own discipline). */
gboolean net_tc_limit(Netlink *netlink, guint index, guint64 bits_per_s, GError **error);
/* Takes that away; without effect where there is none of ours. */
void net_tc_unlimit(Netlink *netlink, guint index);
