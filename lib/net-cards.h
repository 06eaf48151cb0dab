/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network cards of a guest, by the interfaces of its network namespace. */
#pragma once

#include "common/oci.h"
#include "lib/settings.h"
#include "lib/vm-config.h"

/* The machine's ends in the namespace. */
#define NET_TAP_FORMAT "tap%u_kata"
/* drivers/net/tun.c: 64 KiB less one and less Ethernet's header. */
#define NET_TAP_MTU_MAX 65521u

/* The last card is for the ports of 127.0.0.1. */
#define NET_LINKS_MAX (VM_CONFIG_NICS_MAX - 1)
#define NET_LOCALHOST_NUMBER NET_LINKS_MAX
#define NET_LOCALHOST_TAP "tap_kata_lo"
#define NET_LOCALHOST_MAC "02:6b:61:74:00:01"
#define NET_LOCALHOST_MTU 65521u

/* Adds the cards that a guest of this document's would get now: of the namespace that it names by path, without one
 * none. What an engine adds to the namespace later is not there. */
gboolean net_cards_plan(VmConfig *config, const kata_settings *settings, const OciSpec *spec, GError **error);
