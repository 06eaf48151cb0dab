// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-localhost.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/net-bpf.h"
#include "shim/net-tc.h"

/* What comes back has no route yet when it arrives at the loopback device, and is looked at as if it came from
 * elsewhere: from our own address, to a loopback address. */
#define ROUTE_LOCALNET "/proc/sys/net/ipv4/conf/lo/route_localnet"
#define ACCEPT_LOCAL "/proc/sys/net/ipv4/conf/lo/accept_local"

static gboolean is_set(const char *path) {
  char value = '0';
  autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd >= 0 && fd_read_all(fd, &value, 1) == 1 && value != '0';
}

static gboolean set(const char *path, gboolean value, GError **error) {
  autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && fd_write_all(fd, value ? "1" : "0", 1)) return TRUE;
  error_set_errno(error, errno, "cannot write '%s'", path);
  return FALSE;
}

static const guint8 card_mac[] = {0x02, 0x6b, 0x61, 0x74, 0x00, 0x01}; /* NET_LOCALHOST_MAC */

/* Inward first: until then the frames of the tap would be the namespace's. */
static gboolean attach(Netlink *netlink, int family, NetTcOrder order, guint loopback, guint tap, GError **error) {
  g_auto(NetBpfPair) programs = {-1, -1};
  return net_bpf_load_localhost(family, tap, loopback, card_mac, &programs, error) &&
         net_tc_attach(netlink, tap, NET_TC_IN, order, programs.inward, error) &&
         net_tc_attach(netlink, loopback, NET_TC_OUT, order, programs.outward, error);
}

/* What is not for IPv6 is asked for IPv4, which drops the rest of what comes in. */
static gboolean attach_both(Netlink *netlink, guint loopback, guint tap, GError **error) {
  return attach(netlink, AF_INET, NET_TC_THIRD, loopback, tap, error) &&
         attach(netlink, AF_INET6, NET_TC_SECOND, loopback, tap, error);
}

void net_localhost_look(Netlink *netlink, NetLocalhostBefore *ret) {
  ret->route_localnet = is_set(ROUTE_LOCALNET);
  ret->accept_local = is_set(ACCEPT_LOCAL);
  ret->has_clsact = net_tc_has_clsact(netlink, if_nametoindex("lo"));
}

gboolean net_localhost_join(Netlink *netlink, const NetLocalhostBefore *before, GError **error) {
  guint loopback = if_nametoindex("lo"), tap = if_nametoindex(NET_LOCALHOST_TAP);
  if (loopback == 0 || tap == 0) {
    error_set_errno(error, errno, "cannot find '%s'", tap == 0 ? NET_LOCALHOST_TAP : "lo");
    return FALSE;
  }
  if (set(ROUTE_LOCALNET, TRUE, error) && set(ACCEPT_LOCAL, TRUE, error) && attach_both(netlink, loopback, tap, error))
    return TRUE;
  net_localhost_part(netlink, before);
  return FALSE;
}

gboolean net_localhost_join_dns(Netlink *netlink, GError **error) {
  guint loopback = if_nametoindex("lo"), tap = if_nametoindex(NET_LOCALHOST_TAP);
  autofd int outward = net_bpf_load_dns_outward(tap, card_mac, error);
  autofd int inward = outward >= 0 ? net_bpf_load_dns_inward(loopback, error) : -1;
  return inward >= 0 && net_tc_attach(netlink, tap, NET_TC_IN, NET_TC_FIRST, inward, error) &&
         net_tc_attach(netlink, loopback, NET_TC_OUT, NET_TC_FIRST, outward, error);
}

void net_localhost_part(Netlink *netlink, const NetLocalhostBefore *before) {
  guint loopback = if_nametoindex("lo"), tap = if_nametoindex(NET_LOCALHOST_TAP);
  for (NetTcOrder order = NET_TC_FIRST; loopback != 0 && order <= NET_TC_THIRD; order++)
    net_tc_detach(netlink, loopback, NET_TC_OUT, order);
  if (loopback != 0 && !before->has_clsact) net_tc_clear(netlink, loopback);
  if (tap != 0) net_tc_clear(netlink, tap);
  set(ROUTE_LOCALNET, before->route_localnet, NULL);
  set(ACCEPT_LOCAL, before->accept_local, NULL);
}
