/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-down.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <unistd.h>

#include "agent/net-route.h"
#include "common/fds.h"

struct NetDown {
  Netlink *netlink;
  GPtrArray *routes; /* of before the first went down; NULL: none has */
  GArray *indexes;   /* int: those that went down */
};

NetDown *net_down_new(Netlink *netlink) {
  NetDown *down = g_new0(NetDown, 1);
  down->netlink = netlink;
  down->indexes = g_array_new(FALSE, TRUE, sizeof(int));
  return down;
}

/* Static addresses of IPv6 stay then. Where there is no IPv6 there is nothing to keep. */
static void keep_addresses(const char *name, gboolean is_kept) {
  g_autofree char *path = g_strdup_printf("/proc/sys/net/ipv6/conf/%s/keep_addr_on_down", name);
  autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && write(fd, is_kept ? "1" : "0", 1) < 0) g_warning("cannot write '%s': %s", path, g_strerror(errno));
}

gboolean net_down_take(NetDown *down, const NetLink *link, GError **error) {
  if (!(link->flags & IFF_UP)) return TRUE;
  if (!down->routes) down->routes = net_routes_read(down->netlink, error);
  if (!down->routes) return FALSE;
  keep_addresses(link->name, TRUE);
  if (!net_link_set_flags(down->netlink, link->index, link->name, IFF_UP, 0, error)) return FALSE;
  g_array_append_val(down->indexes, link->index);
  return TRUE;
}

static gboolean has_index(const NetDown *down, int index) {
  for (guint i = 0; i < down->indexes->len; i++)
    if (g_array_index(down->indexes, int, i) == index) return TRUE;
  return FALSE;
}

static gboolean is_lost(const NetDown *down, const NetRoute *route) {
  gboolean is_lost = has_index(down, route->hop.index);
  for (guint i = 0; route->more_hops && i < route->more_hops->len; i++)
    is_lost |= has_index(down, g_array_index(route->more_hops, NetHop, i).index);
  return is_lost && !net_route_is_kernels(route);
}

static void restore_routes(const NetDown *down, gboolean with_gateway) {
  for (guint i = 0; down->routes && i < down->routes->len; i++) {
    const NetRoute *route = g_ptr_array_index(down->routes, i);
    g_autoptr(GError) error = NULL;
    if (!is_lost(down, route) || (route->hop.gateway.family != AF_UNSPEC) != with_gateway) continue;
    if (!net_route_restore(down->netlink, route, &error)) g_warning("%s", error->message);
  }
}

void net_down_end(NetDown *down) {
  if (!down) return;
  for (guint i = 0; i < down->indexes->len; i++) {
    int index = g_array_index(down->indexes, int, i);
    char name[IF_NAMESIZE] = "";
    g_autoptr(GError) error = NULL;
    if (!if_indextoname((guint)index, name)) continue;
    if (!net_link_set_flags(down->netlink, index, name, IFF_UP, IFF_UP, &error)) g_warning("%s", error->message);
    keep_addresses(name, FALSE);
  }
  restore_routes(down, FALSE);
  restore_routes(down, TRUE);
  if (down->routes) g_ptr_array_unref(down->routes);
  g_array_unref(down->indexes);
  g_free(down);
}
