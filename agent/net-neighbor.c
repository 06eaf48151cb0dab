/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-neighbor.h"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>

#include "agent/net-link.h"
#include "common/error.h"

/* All states and all flags there are. */
#define STATE_MAX 0xff
#define FLAGS_MAX 0xff

typedef struct {
  NetIp ip;
  int index;
  NetHardware hardware;
  guint16 state;
  guint8 flags;
} Neighbor;

static gboolean parse_number(const char *list, gsize i, const char *field, gint32 value, gint32 max, GError **error) {
  if (value >= 0 && value <= max) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s[%zu].%s: '%d' is not from 0 to %d", list, i, field,
              value, max);
  return FALSE;
}

static gboolean parse_neighbor(const Types__ARPNeighbor *message, gsize i, const GPtrArray *links, Neighbor *neighbor,
                               GError **error) {
  static const char list[] = "ARPNeighbors";
  g_autofree char *ip_field = g_strdup_printf("%s[%zu].toIPAddress.address", list, i);
  g_autofree char *device_field = g_strdup_printf("%s[%zu].device", list, i);
  g_autofree char *hardware_field = g_strdup_printf("%s[%zu].lladdr", list, i);
  if (!message->toipaddress) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s[%zu].toIPAddress: is missing", list, i);
    return FALSE;
  }
  if (!net_ip_parse(ip_field, message->toipaddress->address, &neighbor->ip, error) ||
      !net_name_check(device_field, message->device, error) ||
      (*message->lladdr && !net_hardware_parse(hardware_field, message->lladdr, &neighbor->hardware, error)) ||
      !parse_number(list, i, "state", message->state, STATE_MAX, error) ||
      !parse_number(list, i, "flags", message->flags, FLAGS_MAX, error))
    return FALSE;
  const NetLink *link = net_links_find_name(links, message->device);
  if (!link) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "%s: there is no interface '%s'", device_field, message->device);
    return FALSE;
  }
  if (neighbor->hardware.length > 0 && neighbor->hardware.length != link->hardware.length) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: '%s' has %u bytes, those of interface '%s' have %u",
                hardware_field, message->lladdr, neighbor->hardware.length, link->name, link->hardware.length);
    return FALSE;
  }
  neighbor->index = link->index;
  neighbor->state = message->state ? (guint16)message->state : NUD_PERMANENT;
  neighbor->flags = (guint8)message->flags;
  return TRUE;
}

static gboolean add_neighbor(Netlink *netlink, const Neighbor *neighbor, const char *device, GError **error) {
  NetlinkRequest request;
  struct ndmsg *header = netlink_begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof *header);
  header->ndm_family = (guint8)neighbor->ip.family;
  header->ndm_ifindex = neighbor->index;
  header->ndm_state = neighbor->state;
  header->ndm_flags = neighbor->flags;
  mnl_attr_put(&request.header, NDA_DST, net_ip_size(neighbor->ip.family), neighbor->ip.bytes);
  if (neighbor->hardware.length > 0)
    mnl_attr_put(&request.header, NDA_LLADDR, neighbor->hardware.length, neighbor->hardware.bytes);
  g_autofree char *ip = net_ip_format(&neighbor->ip);
  g_autofree char *doing = g_strdup_printf("add the neighbour '%s' of interface '%s'", ip, device);
  return netlink_do(netlink, &request, doing, error);
}

gboolean net_neighbors_add(Netlink *netlink, const Grpc__ARPNeighbors *message, GError **error) {
  if (message->n_arpneighbors > NET_NEIGHBORS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "ARPNeighbors: %zu are more than %d",
                message->n_arpneighbors, NET_NEIGHBORS_MAX);
    return FALSE;
  }
  g_autoptr(GPtrArray) links = net_links_read(netlink, error);
  g_autofree Neighbor *neighbors = g_new0(Neighbor, message->n_arpneighbors + 1);
  if (!links) return FALSE;
  for (gsize i = 0; i < message->n_arpneighbors; i++)
    if (!parse_neighbor(message->arpneighbors[i], i, links, &neighbors[i], error)) return FALSE;
  gboolean has_ipv6 = net_has_ipv6();
  for (gsize i = 0; i < message->n_arpneighbors; i++) {
    const Types__ARPNeighbor *one = message->arpneighbors[i];
    if (neighbors[i].ip.family == AF_INET6 && !has_ipv6)
      g_warning("the guest has no IPv6: the neighbour '%s' is left out", one->toipaddress->address);
    else if (!add_neighbor(netlink, &neighbors[i], one->device, error))
      return FALSE;
  }
  return TRUE;
}
