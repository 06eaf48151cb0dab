/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An interface that may still be on its way: plugged in by the host while it already asks for it. */
#pragma once

#include <glib.h>

#include "agent/config.h"
#include "agent/net-interface.h"

/* error: NULL, or why it failed. */
typedef void (*NetWaitFunc)(const GError *error, gpointer user_data);

/* Interfaces that may be waited for at once. */
#define NET_WAITS_MAX 256

typedef struct NetWait NetWait;

/* Applies wanted, which it owns from now on, as soon as the interface is there; func is called once, now or when the
 * interface has come or agent.hotplug_timeout has passed. "Link not found" is in the error then, word for word:
 * upstream's runtime tries again only when it reads that. config must stay until func is called. Returns NULL if it has
 * been called. */
NetWait *net_wait_and_apply(const AgentConfig *config, NetInterface *wanted, NetWaitFunc func, gpointer user_data);

/* Waits no more: func is called with an error. */
void net_wait_cancel(NetWait *wait);
