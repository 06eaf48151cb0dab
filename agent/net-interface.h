/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UpdateInterface: one interface of the guest made as the host wants it, as soon as it is there. */
#pragma once

#include <glib.h>

#include "agent/net-text.h"
#include "agent/netlink.h"
#include "proto/types.pb-c.h"

/* The type our owner gives the card that leads to the ports of the guest's own 127.0.0.1 and ::1. */
#define NET_TYPE_LOCALHOST "kata-localhost"

/* Addresses one interface may be given. */
#define NET_ADDRESSES_MAX 256

typedef struct {
  char *name;           /* NULL: the one it has */
  char *pci_path;       /* NULL: known by its hardware address, or its name */
  NetHardware hardware; /* length 0: the one it has */
  guint32 mtu;          /* 0: the one it has */
  gboolean is_noarp;
  gboolean is_localhost; /* net-localhost.h */
  GArray *addresses;     /* NetPrefix */
} NetInterface;

/* Checks what the host sent; nothing has changed yet when this fails. */
NetInterface *net_interface_parse(const Types__Interface *message, GError **error);
void net_interface_free(NetInterface *wanted);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetInterface, net_interface_free)

/* The index of the interface that is meant, 0 while there is none, -1 with an error. */
int net_interface_find(const NetInterface *wanted, Netlink *netlink, GError **error);

/* What was looked for in vain: "no interface at the PCI path '02/01'". */
char *net_interface_describe(const NetInterface *wanted);

/* Makes that interface as it is wanted. Addresses of IPv6 are left out where the guest has none. */
gboolean net_interface_apply(const NetInterface *wanted, Netlink *netlink, int index, GError **error);
