/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The programs (bpf(2)) that carry connections to the namespace's own 127.0.0.1 into the guest, and the guest's
 * questions to 127.0.0.11 out of it: net-localhost.h. */
#pragma once

#include <glib.h>

/* For frames that leave the loopback device: those from 127.0.0.1 to 127.0.0.1 go out at the tap instead, to the
 * guest's card with that MAC address, from NET_BPF_PEER. A descriptor, or -1. */
int net_bpf_load_outward(guint tap, const guint8 mac[6], GError **error);

/* For frames that come in at the tap: those from 127.0.0.1 to NET_BPF_PEER arrive at the loopback device, all others
 * are dropped. A descriptor, or -1. */
int net_bpf_load_inward(guint loopback, GError **error);

/* The same for Docker's name server (net-dns.h); all other frames are left to the programs above. Outward those from
 * NET_BPF_DNS to NET_BPF_DNS_CLIENT go to the guest; inward UDP and TCP from the guest to port 53 of NET_BPF_DNS, and
 * nothing else, arrive at the loopback device from NET_BPF_DNS_CLIENT. */
int net_bpf_load_dns_outward(guint tap, const guint8 mac[6], GError **error);
int net_bpf_load_dns_inward(guint loopback, GError **error);

/* 169.254.213.2: its two halves add up to what those of 127.0.0.1 do, so that no checksum of IP, TCP or UDP changes
 * when one takes the other's place. The guest's card has the address before it. */
#define NET_BPF_PEER 0xa9fed502u
#define NET_BPF_PEER_TEXT "169.254.213.2"
#define NET_BPF_GUEST 0xa9fed501u
#define NET_BPF_GUEST_TEXT "169.254.213.1"

/* 127.0.0.11, and what stands for the guest there: 127.1.255.254, whose halves add up to what the guest's do. */
#define NET_BPF_DNS 0x7f00000bu
#define NET_BPF_DNS_CLIENT 0x7f01fffeu
