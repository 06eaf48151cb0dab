/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two programs (bpf(2)) that carry connections to the namespace's own 127.0.0.1 into the guest: net-localhost.h. */
#pragma once

#include <glib.h>

/* For frames that leave the loopback device: those from 127.0.0.1 to 127.0.0.1 go out at the tap instead, to the
 * guest's card with that MAC address, from NET_BPF_PEER. A descriptor, or -1. */
int net_bpf_load_outward(guint tap, const guint8 mac[6], GError **error);

/* For frames that come in at the tap: those from 127.0.0.1 to NET_BPF_PEER arrive at the loopback device, all others
 * are dropped. A descriptor, or -1. */
int net_bpf_load_inward(guint loopback, GError **error);

/* 169.254.213.2: its two halves add up to what those of 127.0.0.1 do, so that no checksum of IP, TCP or UDP changes
 * when one takes the other's place. The guest's card has the address before it. */
#define NET_BPF_PEER 0xa9fed502u
#define NET_BPF_PEER_TEXT "169.254.213.2"
#define NET_BPF_GUEST_TEXT "169.254.213.1"
