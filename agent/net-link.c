/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-link.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <string.h>

#include "common/safe-path.h"

/* There is one such file for each kernel that has IPv6; "1" in it: turned off. */
#define IPV6_DISABLED "/proc/sys/net/ipv6/conf/all/disable_ipv6"

/* ---- reading ---- */

static void link_free(gpointer data) {
  NetLink *link = data;
  g_free(link->kind);
  if (link->addresses) g_array_unref(link->addresses);
  g_free(link);
}

static int read_info(const struct nlattr *attribute, void *user_data) {
  NetLink *link = user_data;
  if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND && !link->kind)
    link->kind = g_strndup(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
  return MNL_CB_OK;
}

static int read_link_attribute(const struct nlattr *attribute, void *user_data) {
  NetLink *link = user_data;
  gsize length = mnl_attr_get_payload_len(attribute);
  switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
      g_strlcpy(link->name, mnl_attr_get_str(attribute), MIN(length, sizeof link->name));
      break;
    case IFLA_ADDRESS:
      link->hardware.length = (guint)MIN(length, sizeof link->hardware.bytes);
      memcpy(link->hardware.bytes, mnl_attr_get_payload(attribute), link->hardware.length);
      break;
    case IFLA_MTU:
      if (length == sizeof link->mtu) link->mtu = mnl_attr_get_u32(attribute);
      break;
    case IFLA_STATS64:
      /* It grows from kernel to kernel. */
      memcpy(&link->counters, mnl_attr_get_payload(attribute), MIN(length, sizeof link->counters));
      break;
    case IFLA_LINKINFO:
      mnl_attr_parse_nested(attribute, read_info, link);
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

static void clear_list(gpointer list) { g_ptr_array_set_size(list, 0); }

static void add_link(const struct nlmsghdr *message, gpointer list) {
  const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
  if (message->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(message) < sizeof *header) return;
  NetLink *link = g_new0(NetLink, 1);
  link->index = header->ifi_index;
  link->flags = header->ifi_flags;
  mnl_attr_parse(message, sizeof *header, read_link_attribute, link);
  g_ptr_array_add(list, link);
}

GPtrArray *net_links_read(Netlink *netlink, GError **error) {
  g_autoptr(GPtrArray) links = g_ptr_array_new_with_free_func(link_free);
  if (!netlink_list(netlink, RTM_GETLINK, AF_UNSPEC, sizeof(struct ifinfomsg), clear_list, add_link, links, error))
    return NULL;
  return g_steal_pointer(&links);
}

static void clear_addresses(gpointer list) {
  GPtrArray *links = list;
  for (guint i = 0; i < links->len; i++) {
    NetLink *link = g_ptr_array_index(links, i);
    if (link->addresses) g_array_unref(link->addresses);
    link->addresses = g_array_new(FALSE, TRUE, sizeof(NetPrefix));
  }
}

/* IFA_ADDRESS is the peer's where a link has one, IFA_LOCAL always ours; IPv6 has only the former mostly. */
static int read_address_attribute(const struct nlattr *attribute, void *user_data) {
  NetPrefix *address = user_data;
  gboolean is_local = mnl_attr_get_type(attribute) == IFA_LOCAL;
  if (!is_local && mnl_attr_get_type(attribute) != IFA_ADDRESS) return MNL_CB_OK;
  if (mnl_attr_get_payload_len(attribute) != net_ip_size(address->ip.family)) return MNL_CB_OK;
  if (is_local || net_ip_is_unspecified(&address->ip))
    memcpy(address->ip.bytes, mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
  return MNL_CB_OK;
}

static void add_address(const struct nlmsghdr *message, gpointer links) {
  const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
  if (message->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(message) < sizeof *header) return;
  const NetLink *link = net_links_find_index(links, (int)header->ifa_index);
  NetPrefix address = {.ip = {.family = header->ifa_family}, .length = header->ifa_prefixlen};
  if (!link || net_ip_size(address.ip.family) == 0) return;
  mnl_attr_parse(message, sizeof *header, read_address_attribute, &address);
  g_array_append_val(link->addresses, address);
}

GPtrArray *net_links_read_all(Netlink *netlink, GError **error) {
  g_autoptr(GPtrArray) links = net_links_read(netlink, error);
  if (!links || !netlink_list(netlink, RTM_GETADDR, AF_UNSPEC, sizeof(struct ifaddrmsg), clear_addresses, add_address,
                              links, error))
    return NULL;
  return g_steal_pointer(&links);
}

const NetLink *net_links_find_index(const GPtrArray *links, int index) {
  for (guint i = 0; i < links->len; i++) {
    const NetLink *link = g_ptr_array_index(links, i);
    if (link->index == index) return link;
  }
  return NULL;
}

const NetLink *net_links_find_name(const GPtrArray *links, const char *name) {
  for (guint i = 0; i < links->len; i++) {
    const NetLink *link = g_ptr_array_index(links, i);
    if (strcmp(link->name, name) == 0) return link;
  }
  return NULL;
}

const NetLink *net_links_find_hardware(const GPtrArray *links, const NetHardware *hardware) {
  for (guint i = 0; i < links->len; i++) {
    const NetLink *link = g_ptr_array_index(links, i);
    if (net_hardware_is_equal(&link->hardware, hardware)) return link;
  }
  return NULL;
}

/* ---- changing ---- */

static struct ifinfomsg *begin_link(NetlinkRequest *request, int index) {
  struct ifinfomsg *header = netlink_begin(request, RTM_NEWLINK, 0, sizeof *header);
  header->ifi_index = index;
  return header;
}

gboolean net_link_set_flags(Netlink *netlink, int index, const char *name, guint32 mask, guint32 flags,
                            GError **error) {
  NetlinkRequest request;
  struct ifinfomsg *header = begin_link(&request, index);
  header->ifi_change = mask;
  header->ifi_flags = flags;
  g_autofree char *doing = g_strdup_printf("set the flags of interface '%s' to 0x%x of 0x%x", name, flags, mask);
  return netlink_do(netlink, &request, doing, error);
}

gboolean net_link_set_hardware(Netlink *netlink, int index, const char *name, const NetHardware *hardware,
                               GError **error) {
  NetlinkRequest request;
  begin_link(&request, index);
  mnl_attr_put(&request.header, IFLA_ADDRESS, hardware->length, hardware->bytes);
  g_autofree char *text = net_hardware_format(hardware);
  g_autofree char *doing = g_strdup_printf("set the hardware address of interface '%s' to '%s'", name, text);
  return netlink_do(netlink, &request, doing, error);
}

gboolean net_link_set_mtu(Netlink *netlink, int index, const char *name, guint32 mtu, GError **error) {
  NetlinkRequest request;
  begin_link(&request, index);
  mnl_attr_put_u32(&request.header, IFLA_MTU, mtu);
  g_autofree char *doing = g_strdup_printf("set the MTU of interface '%s' to %u", name, mtu);
  return netlink_do(netlink, &request, doing, error);
}

gboolean net_link_rename(Netlink *netlink, int index, const char *name, const char *new_name, GError **error) {
  NetlinkRequest request;
  begin_link(&request, index);
  mnl_attr_put_strz(&request.header, IFLA_IFNAME, new_name);
  g_autofree char *doing = g_strdup_printf("rename interface '%s' to '%s'", name, new_name);
  return netlink_do(netlink, &request, doing, error);
}

gboolean net_link_add_address(Netlink *netlink, int index, const char *name, const NetPrefix *address, GError **error) {
  NetlinkRequest request;
  struct ifaddrmsg *header = netlink_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *header);
  gsize size = net_ip_size(address->ip.family);
  header->ifa_family = (guint8)address->ip.family;
  header->ifa_prefixlen = (guint8)address->length;
  header->ifa_index = (guint)index;
  mnl_attr_put(&request.header, IFA_LOCAL, size, address->ip.bytes);
  mnl_attr_put(&request.header, IFA_ADDRESS, size, address->ip.bytes);
  if (address->ip.family == AF_INET && address->length < 31) {
    /* All bits behind the network's. */
    NetPrefix broadcast = net_prefix_mask(address);
    for (guint bit = address->length; bit < 32; bit++) broadcast.ip.bytes[bit / 8] |= (guint8)(0x80 >> bit % 8);
    mnl_attr_put(&request.header, IFA_BROADCAST, size, broadcast.ip.bytes);
  }
  /* Whoever gave it out knows that nobody else has it; a container must be able to use it at once. */
  if (address->ip.family == AF_INET6) mnl_attr_put_u32(&request.header, IFA_FLAGS, IFA_F_NODAD);
  g_autofree char *text = net_prefix_format(address);
  g_autofree char *doing = g_strdup_printf("add the address '%s' to interface '%s'", text, name);
  return netlink_do(netlink, &request, doing, error);
}

gboolean net_link_remove_address(Netlink *netlink, int index, const char *name, const NetPrefix *address,
                                 GError **error) {
  NetlinkRequest request;
  struct ifaddrmsg *header = netlink_begin(&request, RTM_DELADDR, 0, sizeof *header);
  header->ifa_family = (guint8)address->ip.family;
  header->ifa_prefixlen = (guint8)address->length;
  header->ifa_index = (guint)index;
  mnl_attr_put(&request.header, IFA_LOCAL, net_ip_size(address->ip.family), address->ip.bytes);
  g_autofree char *text = net_prefix_format(address);
  g_autofree char *doing = g_strdup_printf("take the address '%s' from interface '%s'", text, name);
  return netlink_do(netlink, &request, doing, error);
}

gboolean net_has_ipv6(void) {
  g_autofree char *text = safe_read_file(IPV6_DISABLED, 16, NULL, NULL);
  return text && *text == '0';
}
