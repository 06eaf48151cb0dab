/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A rtnetlink(7) socket in the namespace of the thread that opens it. */
#pragma once

#include <glib.h>
#include <libmnl/libmnl.h>

/* Room for any request of ours. */
#define NETLINK_REQUEST_BYTES 1024

typedef struct mnl_socket Netlink;

Netlink *netlink_open(GError **error);
void netlink_close(Netlink *netlink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Netlink, netlink_close)

/* One that only tells of changes (RTMGRP_*). */
Netlink *netlink_open_notices(guint groups, GError **error);
int netlink_get_fd(const Netlink *netlink);
/* Takes what it has told. */
void netlink_drain(Netlink *netlink);

/* A request in buffer (NETLINK_REQUEST_BYTES) with size bytes behind its header, zeroed, which *ret_payload is. */
struct nlmsghdr *netlink_request(char *buffer, guint16 type, guint16 flags, gsize size, gpointer ret_payload);

/* Sends it and waits for the kernel's answer: 0 or an errno. */
int netlink_ask(Netlink *netlink, struct nlmsghdr *request);

/* Sends a dump request; each message goes to each(), which returns MNL_CB_OK. KATA_ERR_UNAVAILABLE: what is listed has
 * changed meanwhile; it can be tried again, with another socket. */
gboolean netlink_dump(Netlink *netlink, struct nlmsghdr *request, mnl_cb_t each, gpointer data, const char *what,
                      GError **error);
