/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cards that come and go while the guest runs. One thread at a time (net-follow.h sees to that). */
#pragma once

#include "shim/net-private.h"
#include "shim/sandbox.h"

/* Plugs a card in for an interface of the sandbox's namespace, joins both and tells the guest. given: what the guest is
 * told in the place of what the interface has, or NULL. After a failure nothing of it is left. */
gboolean net_plug(Sandbox *sandbox, const NetInterface *interface, const Types__Interface *given, GError **error);

/* Takes the card out. A guest that does not let go of it keeps it, parted, and it is never used again. */
void net_unplug(Sandbox *sandbox, NetLink *link);
