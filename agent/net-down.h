/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interfaces that must be down for a moment, as the kernel renames none that is up. It drops their routes and their
 * addresses of IPv6 then; here they come back.
 */
#pragma once

#include <glib.h>

#include "agent/net-link.h"

typedef struct NetDown NetDown;

/* netlink must stay. */
NetDown *net_down_new(Netlink *netlink);

/* Takes it down if it is up. */
gboolean net_down_take(NetDown *down, const NetLink *link, GError **error);

/* Sets those up again that were, whatever they are called now, with what they had; failures are warnings. */
void net_down_end(NetDown *down);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetDown, net_down_end)
