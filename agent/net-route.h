/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The routes of the guest's main table: what there is, and single changes. */
#pragma once

#include <glib.h>

#include "agent/net-text.h"
#include "agent/netlink.h"

typedef struct {
  NetIp gateway; /* family AF_UNSPEC: none, on the link */
  int index;     /* of the interface; 0: the kernel finds it by the gateway */
  guint32 flags; /* RTNH_F_* */
} NetHop;

typedef struct {
  int family;
  NetPrefix destination;    /* length 0: everything */
  NetPrefix source;         /* only for packets from there; family AF_UNSPEC: from everywhere */
  NetIp preferred_source;   /* family AF_UNSPEC: the kernel chooses */
  NetHop hop;               /* the first, if there are more */
  GArray *more_hops;        /* NetHop; NULL: one way only */
  guint8 type;              /* RTN_UNICAST, or one of those that drop what they match */
  guint8 service;           /* only for packets with that type of service; 0: all */
  guint8 scope;             /* RT_SCOPE_* */
  guint8 protocol;          /* RTPROT_*: who made it */
  guint32 mtu;              /* 0: the interface's */
  guint32 priority;         /* of those to one destination the lowest is taken */
  struct nlmsghdr *message; /* as the kernel told it; NULL: not from there */
} NetRoute;

/* What the kernel gives a route of IPv6 that comes without. */
#define NET_PRIORITY_IPV6 1024

void net_route_free(gpointer route);

/* Those of the main table (NetRoute), of both families. */
GPtrArray *net_routes_read(Netlink *netlink, GError **error);

/* Made by the kernel by itself, for an address or out of what a router announced. */
gboolean net_route_is_kernels(const NetRoute *route);

/* Adds it, to a single address in 127.0.0.0/8 before the main table; one to the same destination with the same priority
 * is replaced. what: for the error. */
gboolean net_route_set(Netlink *netlink, const NetRoute *route, const char *what, GError **error);

/* Both for routes that net_routes_read() returned: removes one, sets it again. */
gboolean net_route_remove(Netlink *netlink, const NetRoute *route, GError **error);
gboolean net_route_restore(Netlink *netlink, const NetRoute *route, GError **error);
