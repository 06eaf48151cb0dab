/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * While the guest runs, its network follows its namespace's: an interface that comes gets a card, one that goes loses
 * it, and addresses, MTUs, routes and neighbours are passed on. The kernel says when something has changed
 * (rtnetlink(7)).
 */
#pragma once

#include "proto/types.pb-c.h"
#include "shim/sandbox.h"

NetFollow *net_follow_new(void);
void net_follow_free(NetFollow *self);

/* From now on, beginning with what has changed before. For a running sandbox with a network. */
void net_follow_start(Sandbox *sandbox);

/* Looks once more, after a time in which the guest could not be told. */
void net_follow_look(Sandbox *sandbox);

/* The same at once, and waits for what is under way: the guest has what the namespace has when this returns. */
void net_follow_now(Sandbox *sandbox);

/* No change is begun any more. */
void net_follow_end(Sandbox *sandbox);
/* Waits for one that is under way, which ends when machine and agent do. */
void net_follow_wait(Sandbox *sandbox);

/* Connects an interface of the namespace, found by the name "device" (else "name", else hwAddr), whatever it has: where
 * it says nothing, what the interface has is taken. One that is connected is told anew. */
gboolean net_follow_add(Sandbox *sandbox, const Types__Interface *given, GError **error);
/* Takes one from the guest, until it is added again. */
gboolean net_follow_remove(Sandbox *sandbox, const Types__Interface *given, GError **error);
