/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-route.h"

#include <libmnl/libmnl.h>
#include <netinet/in.h>
#include <string.h>

#include "common/error.h"

/* States of a hop that the kernel tells and does not take. */
#define HOP_STATES (RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_OFFLOAD | RTNH_F_TRAP | RTNH_F_UNRESOLVED)

void net_route_free(gpointer data) {
  NetRoute *route = data;
  if (!route) return;
  if (route->more_hops) g_array_unref(route->more_hops);
  g_free(route->message);
  g_free(route);
}
/* ---- reading ---- */

static void read_ip(const struct nlattr *attribute, int family, NetIp *ip) {
  if (mnl_attr_get_payload_len(attribute) != net_ip_size(family)) return;
  ip->family = family;
  memcpy(ip->bytes, mnl_attr_get_payload(attribute), net_ip_size(family));
}

/* A gateway of the other family: its family, two bytes, then the address. */
static void read_via(const struct nlattr *attribute, NetIp *ip) {
  const struct rtvia *via = mnl_attr_get_payload(attribute);
  gsize length = mnl_attr_get_payload_len(attribute);
  gsize size = length > sizeof *via ? net_ip_size(via->rtvia_family) : 0;
  if (size == 0 || length != sizeof *via + size) return;
  ip->family = via->rtvia_family;
  memcpy(ip->bytes, via->rtvia_addr, size);
}

static int read_metric(const struct nlattr *attribute, void *user_data) {
  NetRoute *route = user_data;
  if (mnl_attr_get_type(attribute) == RTAX_MTU && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0)
    route->mtu = mnl_attr_get_u32(attribute);
  return MNL_CB_OK;
}

typedef struct {
  int family;
  NetHop hop;
} HopReader;

static int read_hop_attribute(const struct nlattr *attribute, void *user_data) {
  HopReader *reader = user_data;
  if (mnl_attr_get_type(attribute) == RTA_GATEWAY) read_ip(attribute, reader->family, &reader->hop.gateway);
  if (mnl_attr_get_type(attribute) == RTA_VIA) read_via(attribute, &reader->hop.gateway);
  return MNL_CB_OK;
}

static void read_hops(const struct nlattr *attribute, NetRoute *route) {
  const struct rtnexthop *next = mnl_attr_get_payload(attribute);
  int left = mnl_attr_get_payload_len(attribute);
  route->more_hops = g_array_new(FALSE, TRUE, sizeof(NetHop));
  for (gboolean is_first = TRUE; RTNH_OK(next, left); is_first = FALSE) {
    HopReader reader = {route->family, {.index = next->rtnh_ifindex, .flags = next->rtnh_flags}};
    mnl_attr_parse_payload(RTNH_DATA(next), next->rtnh_len - sizeof *next, read_hop_attribute, &reader);
    if (is_first)
      route->hop = reader.hop;
    else
      g_array_append_val(route->more_hops, reader.hop);
    left -= RTNH_ALIGN(next->rtnh_len);
    next = RTNH_NEXT(next);
  }
}

static int read_attribute(const struct nlattr *attribute, void *user_data) {
  NetRoute *route = user_data;
  gboolean is_number = mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0;
  switch (mnl_attr_get_type(attribute)) {
    case RTA_DST:
      read_ip(attribute, route->family, &route->destination.ip);
      break;
    case RTA_SRC:
      read_ip(attribute, route->family, &route->source.ip);
      break;
    case RTA_PREFSRC:
      read_ip(attribute, route->family, &route->preferred_source);
      break;
    case RTA_GATEWAY:
      read_ip(attribute, route->family, &route->hop.gateway);
      break;
    case RTA_VIA:
      read_via(attribute, &route->hop.gateway);
      break;
    case RTA_OIF:
      if (is_number) route->hop.index = (int)mnl_attr_get_u32(attribute);
      break;
    case RTA_PRIORITY:
      if (is_number) route->priority = mnl_attr_get_u32(attribute);
      break;
    case RTA_METRICS:
      mnl_attr_parse_nested(attribute, read_metric, route);
      break;
    case RTA_MULTIPATH:
      if (!route->more_hops) read_hops(attribute, route);
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

static void clear_list(gpointer list) { g_ptr_array_set_size(list, 0); }

static gboolean is_listed(const struct rtmsg *header) {
  switch (header->rtm_type) {
    case RTN_UNICAST:
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT:
    case RTN_THROW:
      break;
    default:
      return FALSE;
  }
  return header->rtm_table == RT_TABLE_MAIN && !(header->rtm_flags & RTM_F_CLONED) &&
         net_ip_size(header->rtm_family) > 0;
}

static void add_route(const struct nlmsghdr *message, gpointer list) {
  const struct rtmsg *header = mnl_nlmsg_get_payload(message);
  if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof *header) return;
  if (!is_listed(header)) return;
  NetRoute *route = g_new0(NetRoute, 1);
  route->family = header->rtm_family;
  route->destination = (NetPrefix){{.family = header->rtm_family}, header->rtm_dst_len};
  route->source.length = header->rtm_src_len;
  route->hop.flags = header->rtm_flags;
  route->type = header->rtm_type;
  route->service = header->rtm_tos;
  route->scope = header->rtm_scope;
  route->protocol = header->rtm_protocol;
  route->message = g_memdup2(message, message->nlmsg_len);
  mnl_attr_parse(message, sizeof *header, read_attribute, route);
  g_ptr_array_add(list, route);
}

GPtrArray *net_routes_read(Netlink *netlink, GError **error) {
  g_autoptr(GPtrArray) routes = g_ptr_array_new_with_free_func(net_route_free);
  if (!netlink_list(netlink, RTM_GETROUTE, AF_UNSPEC, sizeof(struct rtmsg), clear_list, add_route, routes, error))
    return NULL;
  return g_steal_pointer(&routes);
}

gboolean net_route_is_kernels(const NetRoute *route) {
  return route->protocol == RTPROT_KERNEL || route->protocol == RTPROT_RA || route->protocol == RTPROT_REDIRECT;
}

/* ---- changing ---- */

static void put_ip(NetlinkRequest *request, guint16 type, const NetIp *ip) {
  mnl_attr_put(&request->header, type, net_ip_size(ip->family), ip->bytes);
}

static void put_gateway(NetlinkRequest *request, int family, const NetIp *gateway) {
  if (gateway->family == AF_UNSPEC) return;
  if (gateway->family == family) return put_ip(request, RTA_GATEWAY, gateway);
  struct {
    guint16 family;
    guint8 bytes[16];
  } via = {.family = (guint16)gateway->family};
  memcpy(via.bytes, gateway->bytes, sizeof via.bytes);
  mnl_attr_put(&request->header, RTA_VIA, sizeof via.family + net_ip_size(gateway->family), &via);
}

/* Our owner's, for Docker's name server. The kernel finds 127.0.0.0/8 in the table it looks at first. */
static gboolean is_loopback_host(const NetRoute *route) {
  const NetPrefix *destination = &route->destination;
  return route->family == AF_INET && destination->length == 32 && destination->ip.bytes[0] == IN_LOOPBACKNET;
}

gboolean net_route_set(Netlink *netlink, const NetRoute *route, const char *what, GError **error) {
  NetlinkRequest request;
  struct rtmsg *header = netlink_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *header);
  header->rtm_family = (guint8)route->family;
  header->rtm_dst_len = (guint8)route->destination.length;
  header->rtm_src_len = (guint8)route->source.length;
  header->rtm_table = is_loopback_host(route) ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
  header->rtm_protocol = route->protocol;
  header->rtm_scope = route->scope;
  header->rtm_type = route->type;
  header->rtm_flags = route->hop.flags;
  if (route->destination.length > 0) put_ip(&request, RTA_DST, &route->destination.ip);
  if (route->source.length > 0) put_ip(&request, RTA_SRC, &route->source.ip);
  if (route->preferred_source.family != AF_UNSPEC) put_ip(&request, RTA_PREFSRC, &route->preferred_source);
  put_gateway(&request, route->family, &route->hop.gateway);
  if (route->hop.index > 0) mnl_attr_put_u32(&request.header, RTA_OIF, (guint32)route->hop.index);
  if (route->priority > 0) mnl_attr_put_u32(&request.header, RTA_PRIORITY, route->priority);
  if (route->mtu > 0) {
    struct nlattr *metrics = mnl_attr_nest_start(&request.header, RTA_METRICS);
    mnl_attr_put_u32(&request.header, RTAX_MTU, route->mtu);
    mnl_attr_nest_end(&request.header, metrics);
  }
  g_autofree char *doing = g_strdup_printf("set %s", what);
  return netlink_do(netlink, &request, doing, error);
}

static int find_object(const struct nlattr *attribute, void *user_data) {
  if (mnl_attr_get_type(attribute) == RTA_NH_ID) *(gboolean *)user_data = TRUE;
  return MNL_CB_OK;
}

/* The kernel takes a route as it told it, but for the ways of one that has them from an object ("ip nexthop"). */
static void copy_attributes(NetlinkRequest *request, const struct nlmsghdr *message) {
  gboolean has_object = FALSE;
  mnl_attr_parse(message, sizeof(struct rtmsg), find_object, &has_object);
  const struct nlattr *attribute;
  mnl_attr_for_each(attribute, message, sizeof(struct rtmsg)) {
    guint16 type = mnl_attr_get_type(attribute);
    gboolean is_way = type == RTA_OIF || type == RTA_GATEWAY || type == RTA_VIA || type == RTA_MULTIPATH;
    if (!has_object || !is_way)
      mnl_attr_put(&request->header, attribute->nla_type, mnl_attr_get_payload_len(attribute),
                   mnl_attr_get_payload(attribute));
  }
}

static gboolean send_again(Netlink *netlink, const NetRoute *route, guint16 type, guint16 flags, const char *verb,
                           GError **error) {
  g_autofree char *destination = net_prefix_format(&route->destination);
  g_autofree char *doing = g_strdup_printf("%s the route to '%s'", verb, destination);
  if (route->message->nlmsg_len > sizeof(NetlinkRequest)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "cannot %s: it has too many ways", doing);
    return FALSE;
  }
  NetlinkRequest request;
  struct rtmsg *header = netlink_begin(&request, type, flags, sizeof *header);
  *header = *(const struct rtmsg *)mnl_nlmsg_get_payload(route->message);
  header->rtm_flags &= ~(unsigned)HOP_STATES;
  copy_attributes(&request, route->message);
  return netlink_do(netlink, &request, doing, error);
}

gboolean net_route_remove(Netlink *netlink, const NetRoute *route, GError **error) {
  return send_again(netlink, route, RTM_DELROUTE, 0, "remove", error);
}

gboolean net_route_restore(Netlink *netlink, const NetRoute *route, GError **error) {
  return send_again(netlink, route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "restore", error);
}
