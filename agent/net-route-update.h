/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UpdateRoutes: the guest's main table made as the host wants it. */
#pragma once

#include <glib.h>

#include "agent/netlink.h"
#include "proto/agent.pb-c.h"

/* Routes of one call. */
#define NET_ROUTES_MAX 1024

/*
 * Sets the routes, those without a gateway first, since others reach their gateways by them, then removes all others
 * but the kernel's own. All is checked before the first is set; if the kernel refuses one, those before it are set and
 * none is removed. Of several to the same destination the first is the one that is taken.
 */
gboolean net_routes_replace(Netlink *netlink, const Grpc__Routes *message, GError **error);
