// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-localhost.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/net-bpf.h"
#include "shim/net-tc.h"

/* What comes back has no route yet when it arrives at the loopback device, and is looked at as if it came from
 * elsewhere: from our own address, to a loopback address. */
static const char *const needed[] = {"/proc/sys/net/ipv4/conf/lo/route_localnet",
                                     "/proc/sys/net/ipv4/conf/lo/accept_local"};

static gboolean allow(const char *value, GError **error) {
  for (gsize i = 0; i < G_N_ELEMENTS(needed); i++) {
    autofd int fd = open(needed[i], O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && fd_write_all(fd, value, 1)) continue;
    error_set_errno(error, errno, "cannot write '%s'", needed[i]);
    return FALSE;
  }
  return TRUE;
}

static gboolean attach(Netlink *netlink, guint loopback, guint tap, GError **error) {
  static const guint8 mac[] = {0x02, 0x6b, 0x61, 0x74, 0x00, 0x01}; /* NET_LOCALHOST_MAC */
  autofd int outward = net_bpf_load_outward(tap, mac, error);
  autofd int inward = outward >= 0 ? net_bpf_load_inward(loopback, error) : -1;
  return inward >= 0 && net_tc_attach(netlink, tap, NET_TC_IN, inward, error) &&
         net_tc_attach(netlink, loopback, NET_TC_OUT, outward, error);
}

gboolean net_localhost_join(Netlink *netlink, GError **error) {
  guint loopback = if_nametoindex("lo"), tap = if_nametoindex(NET_LOCALHOST_TAP);
  if (loopback == 0 || tap == 0) {
    error_set_errno(error, errno, "cannot find '%s'", tap == 0 ? NET_LOCALHOST_TAP : "lo");
    return FALSE;
  }
  if (allow("1", error) && attach(netlink, loopback, tap, error)) return TRUE;
  net_localhost_part(netlink);
  return FALSE;
}

void net_localhost_part(Netlink *netlink) {
  guint loopback = if_nametoindex("lo"), tap = if_nametoindex(NET_LOCALHOST_TAP);
  if (loopback != 0) net_tc_clear(netlink, loopback);
  if (tap != 0) net_tc_clear(netlink, tap);
  allow("0", NULL);
}
