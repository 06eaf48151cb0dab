/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-report.h"

#include "agent/net-link.h"
#include "agent/net-route.h"
#include "common/error.h"

/* ---- interfaces ---- */

/* A container may call an interface of the guest anything; a text of the protocol must be UTF-8, or the host takes none
 * of the answer. */
static char *report_name(const NetLink *link) { return error_clean_text(link->name); }

static Types__IPAddress *report_address(const NetPrefix *address) {
  Types__IPAddress *message = g_new(Types__IPAddress, 1);
  types__ipaddress__init(message);
  message->family = address->ip.family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
  message->address = net_ip_format(&address->ip);
  message->mask = g_strdup_printf("%u", address->length);
  return message;
}

static Types__Interface *report_interface(const NetLink *link) {
  Types__Interface *message = g_new(Types__Interface, 1);
  types__interface__init(message);
  message->device = report_name(link);
  message->name = report_name(link);
  message->mtu = link->mtu;
  message->hwaddr = net_hardware_format(&link->hardware);
  if (link->kind) message->type = g_strdup(link->kind);
  message->raw_flags = link->flags;
  message->n_ipaddresses = link->addresses->len;
  message->ipaddresses = g_new(Types__IPAddress *, link->addresses->len + 1);
  for (guint i = 0; i < link->addresses->len; i++)
    message->ipaddresses[i] = report_address(&g_array_index(link->addresses, NetPrefix, i));
  return message;
}

Grpc__Interfaces *net_report_interfaces(Netlink *netlink, GError **error) {
  g_autoptr(GPtrArray) links = net_links_read_all(netlink, error);
  if (!links) return NULL;
  Grpc__Interfaces *interfaces = g_new(Grpc__Interfaces, 1);
  grpc__interfaces__init(interfaces);
  interfaces->n_interfaces = links->len;
  interfaces->interfaces = g_new(Types__Interface *, links->len + 1);
  for (guint i = 0; i < links->len; i++) interfaces->interfaces[i] = report_interface(g_ptr_array_index(links, i));
  return interfaces;
}

/* ---- routes ---- */

static Types__Route *report_route(const NetRoute *route, const NetHop *hop, const GPtrArray *links) {
  const NetLink *link = net_links_find_index(links, hop->index);
  Types__Route *message = g_new(Types__Route, 1);
  types__route__init(message);
  message->family = route->family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
  /* Empty: to everywhere. */
  if (route->destination.length > 0) message->dest = net_prefix_format(&route->destination);
  if (hop->gateway.family != AF_UNSPEC) message->gateway = net_ip_format(&hop->gateway);
  if (link) message->device = report_name(link);
  if (route->source.length > 0)
    message->source = net_prefix_format(&route->source);
  else if (route->preferred_source.family != AF_UNSPEC)
    message->source = net_ip_format(&route->preferred_source);
  message->scope = route->scope;
  message->flags = hop->flags;
  message->mtu = route->mtu;
  return message;
}

Grpc__Routes *net_report_routes(Netlink *netlink, GError **error) {
  g_autoptr(GPtrArray) links = net_links_read(netlink, error);
  g_autoptr(GPtrArray) routes = links ? net_routes_read(netlink, error) : NULL;
  if (!routes) return NULL;
  g_autoptr(GPtrArray) messages = g_ptr_array_new();
  for (guint i = 0; i < routes->len; i++) {
    const NetRoute *route = g_ptr_array_index(routes, i);
    /* The protocol has no word for those that lead nowhere. */
    if (route->type != RTN_UNICAST) continue;
    g_ptr_array_add(messages, report_route(route, &route->hop, links));
    for (guint k = 0; route->more_hops && k < route->more_hops->len; k++)
      g_ptr_array_add(messages, report_route(route, &g_array_index(route->more_hops, NetHop, k), links));
  }
  Grpc__Routes *reply = g_new(Grpc__Routes, 1);
  grpc__routes__init(reply);
  reply->n_routes = messages->len;
  reply->routes = (Types__Route **)g_ptr_array_steal(messages, NULL);
  return reply;
}

/* ---- counters ---- */

static Grpc__NetworkStats *report_counters(const NetLink *link) {
  Grpc__NetworkStats *stats = g_new(Grpc__NetworkStats, 1);
  grpc__network_stats__init(stats);
  stats->name = report_name(link);
  stats->rx_bytes = link->counters.rx_bytes;
  stats->rx_packets = link->counters.rx_packets;
  stats->rx_errors = link->counters.rx_errors;
  stats->rx_dropped = link->counters.rx_dropped;
  stats->tx_bytes = link->counters.tx_bytes;
  stats->tx_packets = link->counters.tx_packets;
  stats->tx_errors = link->counters.tx_errors;
  stats->tx_dropped = link->counters.tx_dropped;
  return stats;
}

Grpc__NetworkStats **net_report_counters(Netlink *netlink, gsize *ret_n, GError **error) {
  g_autoptr(GPtrArray) links = net_links_read(netlink, error);
  if (!links) return NULL;
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  for (guint i = 0; i < links->len; i++) {
    const NetLink *link = g_ptr_array_index(links, i);
    if (!(link->flags & IFF_LOOPBACK)) g_ptr_array_add(all, report_counters(link));
  }
  *ret_n = all->len;
  return (Grpc__NetworkStats **)g_ptr_array_steal(all, NULL);
}
