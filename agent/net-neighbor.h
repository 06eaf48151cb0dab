/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AddARPNeighbors: whom the guest need not ask for their hardware address. */
#pragma once

#include <glib.h>

#include "agent/netlink.h"
#include "proto/agent.pb-c.h"

/* Neighbours of one call. */
#define NET_NEIGHBORS_MAX 1024

/* Adds them, or changes those that are there. All is checked before the first is added. */
gboolean net_neighbors_add(Netlink *netlink, const Grpc__ARPNeighbors *message, GError **error);
