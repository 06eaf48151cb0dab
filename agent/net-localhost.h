/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The card through which our owner reaches the guest's own 127.0.0.1 and ::1. */
#pragma once

#include <glib.h>

#include "agent/netlink.h"

/* Lets 127.0.0.1 be reached through that interface, and ::1 where the guest's kernel can do it. */
gboolean net_localhost_open(Netlink *netlink, const char *name, int index, GError **error);
