/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The programs (bpf(2)) that carry connections to the namespace's own 127.0.0.1 into the guest, and the guest's
 * questions to 127.0.0.11 out of it: net-localhost.h. */
#pragma once

#include <glib.h>

/* Two programs of one kind of IP, each a descriptor or -1. */
typedef struct {
  int outward, inward;
} NetBpfPair;

void net_bpf_pair_clear(NetBpfPair *pair);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NetBpfPair, net_bpf_pair_clear)

/*
 * Connections to 127.0.0.1 (AF_INET) or ::1 (AF_INET6). Outward, for frames that leave the loopback device: those from
 * that address to itself go out at the tap instead, to the guest's card with that MAC address, from NET_BPF_PEER or
 * NET_BPF_PEER6. Inward, for frames that come in at the tap: answers from that address to the peer's arrive at the
 * loopback device. Answers only, lest the guest have what listens in the namespace: no TCP that opens a connection, UDP
 * only between ports that were asked from and asked, of ICMP echo replies; nothing in fragments, nothing with options
 * of IP. All other frames are left to programs that are asked later; the inward one of IPv4 drops them.
 */
gboolean net_bpf_load_localhost(int family, guint tap, guint loopback, const guint8 mac[6], NetBpfPair *ret,
                                GError **error);

/* The same for Docker's name server (net-dns.h); all other frames are left to the programs above. Outward those from
 * NET_BPF_DNS to NET_BPF_DNS_CLIENT go to the guest; inward UDP and TCP from the guest to port 53 of NET_BPF_DNS, and
 * nothing else, arrive at the loopback device from NET_BPF_DNS_CLIENT. */
int net_bpf_load_dns_outward(guint tap, const guint8 mac[6], GError **error);
int net_bpf_load_dns_inward(guint loopback, GError **error);

/* For frames that come in at an interface that is joined to a tap. Its namespace's own processes get answers from
 * servers of names there (IPv4, UDP and TCP from port 53 to a socket that is connected to it), not the guest, and both
 * get what ARP answers; all other frames are left to programs that are asked later. A descriptor, or -1. */
int net_bpf_load_outside(guint tap, GError **error);

/* 169.254.213.2: its two halves add up to what those of 127.0.0.1 do, so that no checksum of IP, TCP or UDP changes
 * when one takes the other's place. The guest's card has the address before it. */
#define NET_BPF_PEER 0xa9fed502u
#define NET_BPF_PEER_TEXT "169.254.213.2"
#define NET_BPF_GUEST 0xa9fed501u
#define NET_BPF_GUEST_TEXT "169.254.213.1"

/* The same for ::1, all of whose words add up to 1: fd6b:6174:6100::401e:2. */
#define NET_BPF_PEER6_WORDS \
  { 0xfd6b6174u, 0x61000000u, 0, 0x401e0002u }
#define NET_BPF_PEER6_TEXT "fd6b:6174:6100::401e:2"
#define NET_BPF_GUEST6_TEXT "fd6b:6174:6100::1"

/* 127.0.0.11, and what stands for the guest there: 127.1.255.254, whose halves add up to what the guest's do. */
#define NET_BPF_DNS 0x7f00000bu
#define NET_BPF_DNS_CLIENT 0x7f01fffeu
