// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-scan.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "shim/net-localhost.h"

/* More than any engine makes. */
#define ENTRIES_MAX 4096u
#define MAC_BYTES 6u

static void address_free(gpointer data) {
  NetAddress *address = data;
  g_free(address->text);
  g_free(address);
}

static void interface_free(gpointer data) {
  NetInterface *interface = data;
  g_free(interface->name);
  g_free(interface->kind);
  g_free(interface->mac);
  g_ptr_array_unref(interface->addresses);
  g_free(interface);
}

static void route_free(gpointer data) {
  NetRoute *route = data;
  g_free(route->destination);
  g_free(route->gateway);
  g_free(route->source);
  g_free(route->device);
  g_free(route);
}

static void neighbour_free(gpointer data) {
  NetNeighbour *neighbour = data;
  g_free(neighbour->address);
  g_free(neighbour->device);
  g_free(neighbour->mac);
  g_free(neighbour);
}

void net_scan_free(NetScan *scan) {
  if (scan == NULL) return;
  g_ptr_array_unref(scan->interfaces);
  g_ptr_array_unref(scan->others);
  g_ptr_array_unref(scan->routes);
  g_ptr_array_unref(scan->neighbours);
  g_free(scan);
}

/* ---- attributes ---- */

typedef struct {
  const struct nlattr *at[64];
} Attributes;

static int take_attribute(const struct nlattr *attribute, void *data) {
  Attributes *attributes = data;
  guint16 type = mnl_attr_get_type(attribute);
  if (type < G_N_ELEMENTS(attributes->at)) attributes->at[type] = attribute;
  return MNL_CB_OK;
}

static gsize address_bytes(int family) { return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0; }

/* NULL if it is not there, or is no address of that family. */
static char *address_text(int family, const struct nlattr *attribute) {
  char text[INET6_ADDRSTRLEN];
  gsize size = address_bytes(family);
  if (attribute == NULL || size == 0 || mnl_attr_get_payload_len(attribute) != size ||
      inet_ntop(family, mnl_attr_get_payload(attribute), text, sizeof text) == NULL)
    return NULL;
  return g_strdup(text);
}

static char *mac_text(const struct nlattr *attribute) {
  if (attribute == NULL || mnl_attr_get_payload_len(attribute) != MAC_BYTES) return NULL;
  const guint8 *b = mnl_attr_get_payload(attribute);
  return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
}

static guint number(const struct nlattr *attribute, guint otherwise) {
  return attribute != NULL && mnl_attr_get_payload_len(attribute) == 4 ? mnl_attr_get_u32(attribute) : otherwise;
}

/* ---- interfaces ---- */

typedef struct {
  NetScan *scan;
  GHashTable *by_index; /* all interfaces but the loopback device */
  char *taken;          /* an end of ours that is there already */
  gboolean is_again;    /* which is as it should be */
} Scanning;

static char *link_kind(const struct nlattr *info) {
  Attributes nested = {0};
  if (info == NULL) return g_strdup("");
  mnl_attr_parse_nested(info, take_attribute, &nested);
  const struct nlattr *kind = nested.at[IFLA_INFO_KIND];
  return kind != NULL ? g_strndup(mnl_attr_get_payload(kind), mnl_attr_get_payload_len(kind)) : g_strdup("");
}

static gboolean is_our_tap(const char *name) {
  unsigned n;
  int end = 0;
  return (sscanf(name, NET_TAP_FORMAT "%n", &n, &end) == 1 && end > 0 && name[end] == '\0') ||
         strcmp(name, NET_LOCALHOST_TAP) == 0;
}

static int take_link(const struct nlmsghdr *message, void *data) {
  Scanning *scanning = data;
  const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
  Attributes attributes = {0};
  mnl_attr_parse(message, sizeof *info, take_attribute, &attributes);
  const struct nlattr *name = attributes.at[IFLA_IFNAME];
  if (name == NULL || (info->ifi_flags & IFF_LOOPBACK) != 0 || g_hash_table_size(scanning->by_index) >= ENTRIES_MAX)
    return MNL_CB_OK;
  NetInterface *interface = g_new0(NetInterface, 1);
  interface->index = (guint)info->ifi_index;
  interface->name = g_strndup(mnl_attr_get_payload(name), mnl_attr_get_payload_len(name));
  interface->kind = link_kind(attributes.at[IFLA_LINKINFO]);
  interface->mac = info->ifi_type == ARPHRD_ETHER ? mac_text(attributes.at[IFLA_ADDRESS]) : NULL;
  interface->flags = info->ifi_flags;
  interface->mtu = number(attributes.at[IFLA_MTU], 1500);
  interface->addresses = g_ptr_array_new_with_free_func(address_free);
  gboolean is_ours = is_our_tap(interface->name);
  if (scanning->taken == NULL && is_ours) scanning->taken = g_strdup(interface->name);
  if (is_ours && scanning->is_again) {
    interface_free(interface);
    return MNL_CB_OK;
  }
  g_hash_table_insert(scanning->by_index, GUINT_TO_POINTER(interface->index), interface);
  return MNL_CB_OK;
}

static NetInterface *find(const Scanning *scanning, guint index) {
  return g_hash_table_lookup(scanning->by_index, GUINT_TO_POINTER(index));
}

static int take_address(const struct nlmsghdr *message, void *data) {
  const Scanning *scanning = data;
  const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
  Attributes attributes = {0};
  mnl_attr_parse(message, sizeof *info, take_attribute, &attributes);
  NetInterface *interface = find(scanning, info->ifa_index);
  /* IFA_ADDRESS is the other side of a point-to-point link, if IFA_LOCAL is there beside. */
  const struct nlattr *own = attributes.at[IFA_LOCAL] != NULL ? attributes.at[IFA_LOCAL] : attributes.at[IFA_ADDRESS];
  char *text = interface != NULL ? address_text(info->ifa_family, own) : NULL;
  if (text == NULL) return MNL_CB_OK;
  NetAddress *address = g_new0(NetAddress, 1);
  address->family = info->ifa_family;
  address->text = text;
  address->prefix = info->ifa_prefixlen;
  g_ptr_array_add(interface->addresses, address);
  return MNL_CB_OK;
}

static gint compare_names(gconstpointer a, gconstpointer b) {
  const NetInterface *const *left = a, *const *right = b;
  return strcmp((*left)->name, (*right)->name);
}

/* Devices that the kernel puts into every namespace (sit0, tunl0) have no addresses. */
static gboolean choose_interfaces(Scanning *scanning, GError **error) {
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, scanning->by_index);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    NetInterface *interface = value;
    if (interface->addresses->len == 0 || (interface->mac == NULL && scanning->is_again)) {
      g_hash_table_iter_steal(&iter);
      g_ptr_array_add(scanning->scan->others, interface);
      continue;
    }
    if (interface->mac == NULL) {
      g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                  "cannot connect the guest to interface '%s'%s%s: it carries no Ethernet frames", interface->name,
                  *interface->kind != '\0' ? " of kind " : "", interface->kind);
      return FALSE;
    }
    g_hash_table_iter_steal(&iter);
    g_ptr_array_add(scanning->scan->interfaces, interface);
  }
  g_ptr_array_sort(scanning->scan->interfaces, compare_names);
  return TRUE;
}

/* ---- routes ---- */

static const char *chosen_name(const NetScan *scan, guint index) {
  for (guint i = 0; i < scan->interfaces->len; i++) {
    const NetInterface *interface = scan->interfaces->pdata[i];
    if (interface->index == index) return interface->name;
  }
  return NULL;
}

static char *destination_text(const struct rtmsg *info, const struct nlattr *attribute) {
  g_autofree char *text = address_text(info->rtm_family, attribute);
  return text != NULL ? g_strdup_printf("%s/%u", text, info->rtm_dst_len) : NULL;
}

static guint route_mtu(const struct nlattr *metrics) {
  Attributes nested = {0};
  if (metrics == NULL) return 0;
  mnl_attr_parse_nested(metrics, take_attribute, &nested);
  return number(nested.at[RTAX_MTU], 0);
}

typedef struct {
  NetScan *scan;
  const struct rtmsg *info;
  const Attributes *attributes;
} RouteReading;

static void add_route(const RouteReading *reading, guint index, char *gateway, guint flags) {
  NetScan *scan = reading->scan;
  const char *device = chosen_name(scan, index);
  if (device == NULL || scan->routes->len >= ENTRIES_MAX) {
    g_free(gateway);
    return;
  }
  const Attributes *attributes = reading->attributes;
  NetRoute *route = g_new0(NetRoute, 1);
  route->family = reading->info->rtm_family;
  route->destination = destination_text(reading->info, attributes->at[RTA_DST]);
  route->gateway = gateway;
  route->source = address_text(reading->info->rtm_family, attributes->at[RTA_PREFSRC]);
  route->device = g_strdup(device);
  route->scope = reading->info->rtm_scope;
  route->flags = flags & RTNH_F_ONLINK;
  route->mtu = route_mtu(attributes->at[RTA_METRICS]);
  g_ptr_array_add(scan->routes, route);
}

/* Each way of a route that has several becomes a route of its own: the protocol has no word for them, and the guest
 * takes the first one that works. */
static void add_ways(const RouteReading *reading, const struct nlattr *ways) {
  const struct rtnexthop *way = mnl_attr_get_payload(ways);
  gsize left = mnl_attr_get_payload_len(ways);
  while (left >= sizeof *way && way->rtnh_len >= sizeof *way && way->rtnh_len <= left) {
    Attributes nested = {0};
    mnl_attr_parse_payload(RTNH_DATA(way), way->rtnh_len - sizeof *way, take_attribute, &nested);
    add_route(reading, (guint)way->rtnh_ifindex, address_text(reading->info->rtm_family, nested.at[RTA_GATEWAY]),
              way->rtnh_flags);
    left -= MIN(left, (gsize)RTNH_ALIGN(way->rtnh_len));
    way = RTNH_NEXT(way);
  }
}

static int take_route(const struct nlmsghdr *message, void *data) {
  const struct rtmsg *info = mnl_nlmsg_get_payload(message);
  Attributes attributes = {0};
  mnl_attr_parse(message, sizeof *info, take_attribute, &attributes);
  if (number(attributes.at[RTA_TABLE], info->rtm_table) != RT_TABLE_MAIN || info->rtm_type != RTN_UNICAST ||
      info->rtm_protocol == RTPROT_KERNEL || (info->rtm_flags & RTM_F_CLONED) != 0 ||
      address_bytes(info->rtm_family) == 0)
    return MNL_CB_OK;
  RouteReading reading = {data, info, &attributes};
  if (attributes.at[RTA_MULTIPATH] != NULL)
    add_ways(&reading, attributes.at[RTA_MULTIPATH]);
  else
    add_route(&reading, number(attributes.at[RTA_OIF], 0), address_text(info->rtm_family, attributes.at[RTA_GATEWAY]),
              info->rtm_flags);
  return MNL_CB_OK;
}

/* ---- neighbours ---- */

static int take_neighbour(const struct nlmsghdr *message, void *data) {
  NetScan *scan = data;
  const struct ndmsg *info = mnl_nlmsg_get_payload(message);
  Attributes attributes = {0};
  mnl_attr_parse(message, sizeof *info, take_attribute, &attributes);
  const char *device = chosen_name(scan, (guint)info->ndm_ifindex);
  if (device == NULL || (info->ndm_state & NUD_PERMANENT) == 0 || scan->neighbours->len >= ENTRIES_MAX)
    return MNL_CB_OK;
  g_autofree char *address = address_text(info->ndm_family, attributes.at[NDA_DST]);
  g_autofree char *mac = mac_text(attributes.at[NDA_LLADDR]);
  if (address == NULL || mac == NULL) return MNL_CB_OK;
  NetNeighbour *neighbour = g_new0(NetNeighbour, 1);
  neighbour->family = info->ndm_family;
  neighbour->address = g_steal_pointer(&address);
  neighbour->device = g_strdup(device);
  neighbour->mac = g_steal_pointer(&mac);
  neighbour->state = info->ndm_state;
  g_ptr_array_add(scan->neighbours, neighbour);
  return MNL_CB_OK;
}

/* ---- all of it ---- */

static gboolean dump(Netlink *netlink, guint16 type, gsize size, mnl_cb_t each, gpointer data, const char *what,
                     GError **error) {
  char buffer[NETLINK_REQUEST_BYTES];
  void *payload;
  struct nlmsghdr *request = netlink_request(buffer, type, 0, size, &payload);
  return netlink_dump(netlink, request, each, data, what, error);
}

static gboolean scan_interfaces(Netlink *netlink, Scanning *scanning, GError **error) {
  if (!dump(netlink, RTM_GETLINK, sizeof(struct ifinfomsg), take_link, scanning, "interfaces", error) ||
      !dump(netlink, RTM_GETADDR, sizeof(struct ifaddrmsg), take_address, scanning, "addresses", error))
    return FALSE;
  if (scanning->taken == NULL || scanning->is_again) return choose_interfaces(scanning, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
              "another virtual machine is connected to this network namespace ('%s'): its containers belong into that "
              "sandbox",
              scanning->taken);
  return FALSE;
}

static NetScan *scan_all(Netlink *netlink, gboolean is_again, GError **error) {
  g_autoptr(NetScan) scan = g_new0(NetScan, 1);
  scan->others = g_ptr_array_new_with_free_func(interface_free);
  scan->interfaces = g_ptr_array_new_with_free_func(interface_free);
  scan->routes = g_ptr_array_new_with_free_func(route_free);
  scan->neighbours = g_ptr_array_new_with_free_func(neighbour_free);
  Scanning scanning = {.scan = scan, .is_again = is_again};
  scanning.by_index = g_hash_table_new_full(NULL, NULL, NULL, interface_free);
  gboolean done = scan_interfaces(netlink, &scanning, error) &&
                  dump(netlink, RTM_GETROUTE, sizeof(struct rtmsg), take_route, scan, "routes", error) &&
                  dump(netlink, RTM_GETNEIGH, sizeof(struct ndmsg), take_neighbour, scan, "neighbours", error);
  g_hash_table_unref(scanning.by_index);
  g_free(scanning.taken);
  return done ? g_steal_pointer(&scan) : NULL;
}

NetScan *net_scan(Netlink *netlink, GError **error) { return scan_all(netlink, FALSE, error); }

NetScan *net_scan_again(Netlink *netlink, GError **error) { return scan_all(netlink, TRUE, error); }
