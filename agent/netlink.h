/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests to the kernel's network (rtnetlink, through libmnl). The kernel answers each at once, whatever it answers:
 * none of these waits for anything else.
 */
#pragma once

#include <glib.h>
#include <linux/rtnetlink.h>

/* The most one request holds. */
#define NETLINK_REQUEST_MAX 4096

typedef struct Netlink Netlink;

/* groups: RTMGRP_* whose messages shall arrive at its descriptor; 0: none. */
Netlink *netlink_open(guint groups, GError **error);
void netlink_close(Netlink *netlink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Netlink, netlink_close)

/* ---- one request ---- */

typedef union {
  struct nlmsghdr header;
  char bytes[NETLINK_REQUEST_MAX];
} NetlinkRequest;

/* Begins a request (RTM_*, NLM_F_*) and returns its zeroed family header of that size. */
void *netlink_begin(NetlinkRequest *request, guint16 type, guint16 flags, gsize header_size);

/* Sends it and takes the kernel's answer: 0, or an errno. */
int netlink_try(Netlink *netlink, NetlinkRequest *request);

/* The same with an error "cannot DOING: REASON", the kernel's own words included where it has any. */
gboolean netlink_do(Netlink *netlink, NetlinkRequest *request, const char *doing, GError **error);

/* Sets the error of a netlink_try() that just answered errnum. */
void netlink_set_error(const Netlink *netlink, int errnum, const char *doing, GError **error);

/* ---- lists ---- */

/* May run for an object more than once, after reset. */
typedef void (*NetlinkFunc)(const struct nlmsghdr *message, gpointer user_data);

/* Runs func for each object of an RTM_GET* of that family. reset runs before it begins, again if the list changed
 * meanwhile and is read anew. */
gboolean netlink_list(Netlink *netlink, guint16 type, guint8 family, gsize header_size, void (*reset)(gpointer),
                      NetlinkFunc func, gpointer user_data, GError **error);

/* ---- notices ---- */

int netlink_get_fd(const Netlink *netlink);

/* Reads and drops all notices that are there: they only say that it is worth looking again. */
void netlink_drain(Netlink *netlink);
