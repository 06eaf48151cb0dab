/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-route-update.h"

#include <string.h>

#include "agent/net-link.h"
#include "agent/net-route.h"
#include "common/error.h"

#define SCOPE_MAX 255

/* ---- what the host sent ---- */

typedef struct {
  const Types__Route *message;
  gsize number;
} Sent;

static void set_error(GError **error, const Sent *sent, const char *field, const char *value, const char *why) {
  g_autofree char *clean = error_clean_text(value);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "routes[%zu].%s: '%s' %s", sent->number, field, clean, why);
}

static char *name_field(const Sent *sent, const char *field) {
  return g_strdup_printf("routes[%zu].%s", sent->number, field);
}

static gboolean parse_destination(const Sent *sent, NetRoute *route, GError **error) {
  if (!*sent->message->dest) return TRUE;
  g_autofree char *field = name_field(sent, "dest");
  if (!net_prefix_parse(field, sent->message->dest, &route->destination, error)) return FALSE;
  NetPrefix masked = net_prefix_mask(&route->destination);
  if (net_prefix_is_equal(&masked, &route->destination)) return TRUE;
  g_autofree char *meant = net_prefix_format(&masked);
  g_autofree char *why = g_strdup_printf("has bits behind its prefix length; the network is '%s'", meant);
  set_error(error, sent, "dest", sent->message->dest, why);
  return FALSE;
}

/* With a prefix it says which packets the route is for, without one which address they get. */
static gboolean parse_source(const Sent *sent, NetRoute *route, GError **error) {
  if (!*sent->message->source) return TRUE;
  g_autofree char *field = name_field(sent, "source");
  NetPrefix source = {0};
  if (!net_prefix_parse(field, sent->message->source, &source, error)) return FALSE;
  if (strchr(sent->message->source, '/') && source.length > 0)
    route->source = source;
  else
    route->preferred_source = source.ip;
  return TRUE;
}

static gboolean parse_gateway(const Sent *sent, NetRoute *route, GError **error) {
  g_autofree char *field = name_field(sent, "gateway");
  return !*sent->message->gateway || net_ip_parse(field, sent->message->gateway, &route->hop.gateway, error);
}

/* A family that was not sent reads as v4, so the texts decide. */
static gboolean settle_family(const Sent *sent, NetRoute *route, GError **error) {
  const Types__Route *message = sent->message;
  int source = route->source.length > 0 ? route->source.ip.family : route->preferred_source.family;
  const int families[] = {route->destination.ip.family, route->hop.gateway.family, source,
                          message->family == TYPES__IPFAMILY__v6 ? AF_INET6 : AF_INET};
  for (gsize i = 0; i < G_N_ELEMENTS(families) && route->family == AF_UNSPEC; i++) route->family = families[i];
  route->destination.ip.family = route->family;
  const char *other = NULL;
  if (message->family == TYPES__IPFAMILY__v6 && route->family == AF_INET)
    other = *message->dest ? message->dest : message->gateway;
  else if (source != AF_UNSPEC && source != route->family)
    other = message->source;
  /* The other way round a gateway of IPv6 is fine. */
  else if (route->family == AF_INET6 && route->hop.gateway.family == AF_INET)
    other = message->gateway;
  if (!other) return TRUE;
  set_error(error, sent, "family", message->family == TYPES__IPFAMILY__v6 ? "v6" : "v4",
            "and the addresses of this route are of different families");
  return FALSE;
}

static gboolean find_device(const Sent *sent, const GPtrArray *links, NetRoute *route, GError **error) {
  const char *device = sent->message->device;
  g_autofree char *field = name_field(sent, "device");
  if (!*device && route->hop.gateway.family != AF_UNSPEC) return TRUE;
  if (!net_name_check(field, device, error)) return FALSE;
  const NetLink *link = net_links_find_name(links, device);
  if (!link) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "%s: there is no interface '%s'", field, device);
    return FALSE;
  }
  route->hop.index = link->index;
  return TRUE;
}

static NetRoute *parse_route(const Sent *sent, const GPtrArray *links, GError **error) {
  const Types__Route *message = sent->message;
  NetRoute *route = g_new0(NetRoute, 1);
  gboolean is_valid = parse_destination(sent, route, error) && parse_source(sent, route, error) &&
                      parse_gateway(sent, route, error) && settle_family(sent, route, error) &&
                      find_device(sent, links, route, error);
  if (is_valid && message->scope > SCOPE_MAX) {
    g_autofree char *value = g_strdup_printf("%u", message->scope);
    set_error(error, sent, "scope", value, "is above 255");
    is_valid = FALSE;
  }
  if (!is_valid) {
    net_route_free(route);
    return NULL;
  }
  route->type = RTN_UNICAST;
  route->protocol = RTPROT_BOOT;
  route->mtu = message->mtu;
  route->scope = (guint8)message->scope;
  /* Gateways are only looked for on links. */
  if (route->family == AF_INET && route->hop.gateway.family == AF_UNSPEC && route->scope == RT_SCOPE_UNIVERSE)
    route->scope = RT_SCOPE_LINK;
  /* All others are states, which came with the host's own route. */
  route->hop.flags = message->flags & RTNH_F_ONLINK;
  route->priority = route->family == AF_INET6 ? NET_PRIORITY_IPV6 : 0;
  return route;
}

/* ---- comparing ---- */

static gboolean is_to_same(const NetRoute *a, const NetRoute *b) {
  return a->family == b->family && net_prefix_is_equal(&a->destination, &b->destination) &&
         net_prefix_is_equal(&a->source, &b->source);
}

static gboolean is_same_way(const NetRoute *wanted, const NetRoute *there) {
  return there->type == RTN_UNICAST && there->service == 0 && !there->more_hops &&
         net_ip_is_equal(&wanted->hop.gateway, &there->hop.gateway) &&
         (wanted->hop.index == 0 || wanted->hop.index == there->hop.index);
}

/* What the kernel made for an address is as good, and goes with the address. */
static gboolean is_kernels(const GPtrArray *there, const NetRoute *wanted) {
  for (guint i = 0; i < there->len; i++) {
    const NetRoute *route = g_ptr_array_index(there, i);
    if (net_route_is_kernels(route) && is_to_same(wanted, route) && is_same_way(wanted, route) && wanted->mtu == 0 &&
        (wanted->preferred_source.family == AF_UNSPEC ||
         net_ip_is_equal(&wanted->preferred_source, &route->preferred_source)))
      return TRUE;
  }
  return FALSE;
}

static gboolean is_wanted(const GPtrArray *routes, const NetRoute *there) {
  for (guint i = 0; i < routes->len; i++) {
    const NetRoute *route = g_ptr_array_index(routes, i);
    if (is_to_same(route, there) && is_same_way(route, there) && route->priority == there->priority) return TRUE;
  }
  return FALSE;
}

/* The kernel tells routes to one destination apart by priority, which is not sent: the order stands for it. FALSE: the
 * same route is there already. */
static gboolean rank(const GPtrArray *routes, NetRoute *route) {
  for (guint i = 0; i < routes->len; i++) {
    const NetRoute *other = g_ptr_array_index(routes, i);
    if (!is_to_same(other, route)) continue;
    if (is_same_way(other, route)) return FALSE;
    route->priority = other->priority + 1;
  }
  return TRUE;
}

/* ---- replacing ---- */

static GPtrArray *parse_routes(const Grpc__Routes *message, const GPtrArray *links, GError **error) {
  g_autoptr(GPtrArray) routes = g_ptr_array_new_with_free_func(net_route_free);
  gboolean has_ipv6 = net_has_ipv6();
  if (message->n_routes > NET_ROUTES_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "routes: %zu are more than %d", message->n_routes,
                NET_ROUTES_MAX);
    return NULL;
  }
  for (gsize i = 0; i < message->n_routes; i++) {
    Sent sent = {message->routes[i], i};
    NetRoute *route = parse_route(&sent, links, error);
    if (!route) return NULL;
    gboolean is_possible = has_ipv6 || route->family != AF_INET6;
    if (!is_possible) g_warning("the guest has no IPv6: routes[%zu] to '%s' is left out", i, sent.message->dest);
    if (is_possible && rank(routes, route))
      g_ptr_array_add(routes, route);
    else
      net_route_free(route);
  }
  return g_steal_pointer(&routes);
}

static char *describe(const NetRoute *route, const GPtrArray *links) {
  g_autofree char *destination = net_prefix_format(&route->destination);
  g_autofree char *gateway = net_ip_format(&route->hop.gateway);
  const NetLink *link = net_links_find_index(links, route->hop.index);
  return g_strdup_printf("the route to '%s'%s%s%s%s%s%s", destination, *gateway ? " by '" : "", gateway,
                         *gateway ? "'" : "", link ? " at interface '" : "", link ? link->name : "", link ? "'" : "");
}

static gboolean set_routes(Netlink *netlink, const GPtrArray *routes, gboolean with_gateway, const GPtrArray *links,
                           const GPtrArray *before, GError **error) {
  for (guint i = 0; i < routes->len; i++) {
    const NetRoute *route = g_ptr_array_index(routes, i);
    if ((route->hop.gateway.family != AF_UNSPEC) != with_gateway || is_kernels(before, route)) continue;
    g_autofree char *what = describe(route, links);
    if (!net_route_set(netlink, route, what, error)) return FALSE;
  }
  return TRUE;
}

static gboolean remove_others(Netlink *netlink, const GPtrArray *wanted, GError **error) {
  g_autoptr(GPtrArray) there = net_routes_read(netlink, error);
  if (!there) return FALSE;
  for (guint i = 0; i < there->len; i++) {
    const NetRoute *route = g_ptr_array_index(there, i);
    g_autoptr(GError) failure = NULL;
    if (net_route_is_kernels(route) || is_wanted(wanted, route)) continue;
    /* It may have gone with another. */
    if (!net_route_remove(netlink, route, &failure) && !g_error_matches(failure, KATA_ERROR, KATA_ERR_NOT_FOUND)) {
      g_propagate_error(error, g_steal_pointer(&failure));
      return FALSE;
    }
  }
  return TRUE;
}

gboolean net_routes_replace(Netlink *netlink, const Grpc__Routes *message, GError **error) {
  g_autoptr(GPtrArray) links = net_links_read(netlink, error);
  g_autoptr(GPtrArray) before = links ? net_routes_read(netlink, error) : NULL;
  g_autoptr(GPtrArray) routes = before ? parse_routes(message, links, error) : NULL;
  return routes && set_routes(netlink, routes, FALSE, links, before, error) &&
         set_routes(netlink, routes, TRUE, links, before, error) && remove_others(netlink, routes, error);
}
