/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of net*.c know of a network. */
#pragma once

#include "lib/vm-config.h"
#include "shim/net-scan.h"
#include "shim/net.h"

/* One card is left for the ports of 127.0.0.1. */
#define NET_LINKS_MAX (VM_CONFIG_NICS_MAX - 1)

/* One interface and its tap. */
typedef struct {
  guint index;
  char *name;
  char *tap;
  char *mac;
  guint mtu;
  gboolean was_allmulti;
} NetLink;

struct Net {
  int netns;
  char *path;
  GPtrArray *links;   /* NetLink */
  NetScan *scan;      /* NULL when adopted: the guest knows it */
  gboolean planned;   /* the state file tells of it, from before anything is joined until all is parted */
  gboolean connected; /* something is joined */
};
