/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sandbox's network: each interface of its network namespace is joined to a tap device of the machine, whose
 * card in the guest gets the interface's name, addresses, MTU and routes. QEMU makes the taps and lives in the
 * namespace, so the taps end with it; what net_connect() sets up on the interfaces themselves, net_disconnect()
 * takes away.
 */
#pragma once

#include <glib.h>

#include "common/ttrpc.h"
#include "lib/vm-config.h"
#include "proto/kata-state.pb-c.h"
#include "shim/net-namespace.h"

typedef struct Net Net;

/* Looks at the namespace. netns: taken over; -1: a new one that has no interface. path: where it was found, "" if
 * nowhere. */
Net *net_new(int netns, const char *path, GError **error);
void net_free(Net *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Net, net_free)

/* The descriptor of its namespace. */
int net_get_namespace(const Net *net);

/* What each of the guest's cards may receive and send in bits per second; 0: no limit. Before anything is joined. */
void net_set_limits(Net *net, guint64 rx_limit, guint64 tx_limit);

/* The namespace's 127.0.0.1 is not to lead into the guest. Before anything is joined. */
void net_forget_localhost(Net *net);

/* The machine's cards. */
void net_add_nics(const Net *net, VmConfig *config);

/* Joins interfaces and taps, once the machine has made these. After a failure nothing is joined. */
gboolean net_connect(Net *net, GError **error);
/* Takes it back; idempotent. */
void net_disconnect(Net *net);

/* If resolv_conf (a text, or NULL) names Docker's name server, or an earlier owner had served it: the guest's questions
 * to that are answered from now on (net-dns.h), as soon as it is told the routes. The guest can do without. TRUE: it
 * was not so before. */
gboolean net_serve_dns(Net *net, const char *resolv_conf);

/* Gives the guest's cards what their interfaces have. */
gboolean net_tell_guest(Net *net, TtrpcClient *agent, GError **error);

/* For the state file; NULL when nothing is joined, nor about to be. */
Kata__V1__NetworkState *net_to_state(Net *net);
/* What an earlier owner joined in the namespace that process pid (its QEMU) lives in or, with mount not empty, that is
 * mounted there in the process's mount namespace. That may have ended, and the number be another's by now: then it is
 * looked for as net_find_stray() does, so that it can be parted. */
Net *net_adopt(const Kata__V1__NetworkState *state, pid_t pid, const char *mount, GError **error);
/* The same after a crash, to be parted; pid: QEMU, or 0 if it is gone. NULL: the namespace is gone too. */
Net *net_find_stray(const Kata__V1__NetworkState *state, pid_t pid, const char *mount);
