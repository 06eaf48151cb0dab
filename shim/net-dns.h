/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Docker's name server on networks of one's own. It is 127.0.0.11:53 of the network namespace, but listens at another
 * port, to which NAT rules lead that only the namespace's own processes meet. So the guest's packets to it come to a
 * relay of the owner's, in the namespace, which asks in the guest's place. The relay takes packets of the guest only,
 * and asks at that address and port only.
 */
#pragma once

#include <glib.h>

#define NET_DNS_TEXT "127.0.0.11"

typedef struct NetDns NetDns;

/* Whether the text of a resolv.conf names that server. */
gboolean net_dns_is_named(const char *resolv_conf);

/* Relays in the namespace netns (not taken over) until net_dns_free(). */
NetDns *net_dns_new(int netns, GError **error);
/* NULL: without effect. */
void net_dns_free(NetDns *self);
