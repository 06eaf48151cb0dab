/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-interface.h"

#include <fcntl.h>
#include <string.h>

#include "agent/device.h"
#include "agent/net-down.h"
#include "agent/net-link.h"
#include "agent/net-localhost.h"
#include "common/error.h"
#include "common/fds.h"

void net_interface_free(NetInterface *wanted) {
  if (!wanted) return;
  g_free(wanted->name);
  g_free(wanted->pci_path);
  g_array_unref(wanted->addresses);
  g_free(wanted);
}

/* ---- what the host sent ---- */

static gboolean parse_address(const Types__IPAddress *message, gsize i, NetPrefix *address, GError **error) {
  g_autofree char *address_field = g_strdup_printf("interface.IPAddresses[%zu].address", i);
  g_autofree char *mask_field = g_strdup_printf("interface.IPAddresses[%zu].mask", i);
  if (!net_ip_parse(address_field, message->address, &address->ip, error) ||
      !net_length_parse(mask_field, message->mask, address->ip.family, &address->length, error))
    return FALSE;
  /* v4 is also what a family that was not sent reads as. */
  if (message->family == TYPES__IPFAMILY__v6 && address->ip.family != AF_INET6) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: '%s' is not of the family 'v6' it was sent with",
                address_field, message->address);
    return FALSE;
  }
  if (!net_ip_is_unspecified(&address->ip)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: '%s' cannot be an interface's address", address_field,
              message->address);
  return FALSE;
}

static gboolean parse_addresses(const Types__Interface *message, NetInterface *wanted, GError **error) {
  if (message->n_ipaddresses > NET_ADDRESSES_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "interface.IPAddresses: %zu are more than %d",
                message->n_ipaddresses, NET_ADDRESSES_MAX);
    return FALSE;
  }
  for (gsize i = 0; i < message->n_ipaddresses; i++) {
    NetPrefix address = {0};
    if (!parse_address(message->ipaddresses[i], i, &address, error)) return FALSE;
    g_array_append_val(wanted->addresses, address);
  }
  return TRUE;
}

NetInterface *net_interface_parse(const Types__Interface *message, GError **error) {
  g_autoptr(NetInterface) wanted = g_new0(NetInterface, 1);
  wanted->addresses = g_array_new(FALSE, TRUE, sizeof(NetPrefix));
  wanted->is_localhost = strcmp(message->type, NET_TYPE_LOCALHOST) == 0;
  wanted->is_noarp = (message->raw_flags & IFF_NOARP) != 0;
  if (*message->name && !net_name_check("interface.name", message->name, error)) return NULL;
  if (*message->devicepath && !device_check_pci_path(message->devicepath, error)) {
    g_prefix_error(error, "interface.devicePath: ");
    return NULL;
  }
  if (*message->hwaddr && !net_hardware_parse("interface.hwAddr", message->hwaddr, &wanted->hardware, error))
    return NULL;
  /* What loopback is listed with. */
  if (net_hardware_is_zero(&wanted->hardware)) wanted->hardware.length = 0;
  if (wanted->hardware.length == 0 && !*message->name && !*message->devicepath) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "interface: one of 'devicePath', 'hwAddr' and 'name' must say which one is meant");
    return NULL;
  }
  if (message->mtu > G_MAXINT32) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "interface.mtu: '%" G_GUINT64_FORMAT "' is above %d",
                message->mtu, G_MAXINT32);
    return NULL;
  }
  if (!parse_addresses(message, wanted, error)) return NULL;
  wanted->mtu = (guint32)message->mtu;
  wanted->name = *message->name ? g_strdup(message->name) : NULL;
  wanted->pci_path = *message->devicepath ? g_strdup(message->devicepath) : NULL;
  return g_steal_pointer(&wanted);
}

/* ---- which one is meant ---- */

/* Of the virtio device there, or of the PCI device itself. */
static char *find_name_at(const char *pci_path) {
  char *name = device_find_pci_net(pci_path);
  g_autofree char *device = name ? NULL : device_find_pci(pci_path);
  g_autofree char *directory = device ? g_build_filename(device, "net", NULL) : NULL;
  g_autoptr(GDir) entries = directory ? g_dir_open(directory, 0, NULL) : NULL;
  return entries ? g_strdup(g_dir_read_name(entries)) : name;
}

int net_interface_find(const NetInterface *wanted, Netlink *netlink, GError **error) {
  g_autofree char *name = wanted->pci_path ? find_name_at(wanted->pci_path) : NULL;
  if (wanted->pci_path && !name) return 0;
  g_autoptr(GPtrArray) links = net_links_read(netlink, error);
  if (!links) return -1;
  const NetLink *link = NULL;
  if (name)
    link = net_links_find_name(links, name);
  else if (wanted->hardware.length > 0)
    link = net_links_find_hardware(links, &wanted->hardware);
  /* Upstream's way: if nobody has the hardware address, the one with the name gets it. */
  if (!link && !name && wanted->name) link = net_links_find_name(links, wanted->name);
  return link ? link->index : 0;
}

char *net_interface_describe(const NetInterface *wanted) {
  g_autofree char *hardware = net_hardware_format(&wanted->hardware);
  if (wanted->pci_path) return g_strdup_printf("no interface at the PCI path '%s'", wanted->pci_path);
  if (!wanted->name) return g_strdup_printf("no interface with the hardware address '%s'", hardware);
  if (wanted->hardware.length == 0) return g_strdup_printf("no interface '%s'", wanted->name);
  return g_strdup_printf("no interface with the hardware address '%s' and none called '%s'", hardware, wanted->name);
}

/* ---- making it so ---- */

typedef struct {
  Netlink *netlink;
  const NetInterface *wanted;
  const GPtrArray *links;
  const NetLink *link;
  const char *name; /* now */
  NetDown *down;
} Change;

/* owner has the name that is wanted and gets ours. */
static gboolean swap_names(const Change *change, const NetLink *owner, GError **error) {
  const NetLink *link = change->link;
  /* Two swaps at once do not meet in it. */
  g_autofree char *spare = g_strdup_printf("swap%d", link->index);
  if (!net_down_take(change->down, owner, error) ||
      !net_link_rename(change->netlink, link->index, link->name, spare, error))
    return FALSE;
  if (!net_link_rename(change->netlink, owner->index, owner->name, link->name, error)) {
    net_link_rename(change->netlink, link->index, spare, link->name, NULL);
    return FALSE;
  }
  return net_link_rename(change->netlink, link->index, spare, owner->name, error);
}

static gboolean set_name(Change *change, GError **error) {
  const NetInterface *wanted = change->wanted;
  const NetLink *link = change->link;
  const NetLink *owner = net_links_find_name(change->links, wanted->name);
  gboolean done = owner ? swap_names(change, owner, error)
                        : net_link_rename(change->netlink, link->index, link->name, wanted->name, error);
  if (done) change->name = wanted->name;
  return done;
}

static gboolean set_identity(Change *change, GError **error) {
  const NetInterface *wanted = change->wanted;
  const NetLink *link = change->link;
  gboolean is_renamed = wanted->name && strcmp(wanted->name, link->name) != 0;
  gboolean is_moved = wanted->hardware.length > 0 && !net_hardware_is_equal(&wanted->hardware, &link->hardware);
  if ((is_renamed || is_moved) && !net_down_take(change->down, link, error)) return FALSE;
  if (is_moved && !net_link_set_hardware(change->netlink, link->index, link->name, &wanted->hardware, error))
    return FALSE;
  return !is_renamed || set_name(change, error);
}

static gboolean add_addresses(const Change *change, GError **error) {
  gboolean has_ipv6 = net_has_ipv6();
  const GArray *addresses = change->wanted->addresses;
  for (guint i = 0; i < addresses->len; i++) {
    const NetPrefix *address = &g_array_index(addresses, NetPrefix, i);
    if (address->ip.family == AF_INET6 && !has_ipv6) {
      g_autofree char *text = net_prefix_format(address);
      g_warning("the guest has no IPv6: interface '%s' does not get the address '%s'", change->name, text);
    } else if (!net_link_add_address(change->netlink, change->link->index, change->name, address, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean is_wanted(const NetInterface *wanted, const NetPrefix *address) {
  for (guint i = 0; i < wanted->addresses->len; i++)
    if (net_prefix_is_equal(&g_array_index(wanted->addresses, NetPrefix, i), address)) return TRUE;
  return FALSE;
}

static gboolean is_link_local(const NetPrefix *address) {
  return address->ip.family == AF_INET6 && address->ip.bytes[0] == 0xfe && (address->ip.bytes[1] & 0xc0) == 0x80;
}

/* Those it has and should not, unless nothing was said of addresses. The kernel's own of IPv6 stay. */
static gboolean remove_addresses(const Change *change, GError **error) {
  if (change->wanted->addresses->len == 0 || change->link->flags & IFF_LOOPBACK) return TRUE;
  const GArray *addresses = change->link->addresses;
  for (guint i = 0; i < addresses->len; i++) {
    const NetPrefix *address = &g_array_index(addresses, NetPrefix, i);
    if (!is_wanted(change->wanted, address) && !is_link_local(address) &&
        !net_link_remove_address(change->netlink, change->link->index, change->name, address, error))
      return FALSE;
  }
  return TRUE;
}

gboolean net_interface_apply(const NetInterface *wanted, Netlink *netlink, int index, GError **error) {
  g_autoptr(GPtrArray) links = net_links_read_all(netlink, error);
  if (!links) return FALSE;
  const NetLink *link = net_links_find_index(links, index);
  if (!link) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "Link not found: interface %d has gone", index);
    return FALSE;
  }
  g_autoptr(NetDown) down = net_down_new(netlink);
  Change change = {netlink, wanted, links, link, link->name, down};
  guint32 flags = IFF_UP | (wanted->is_noarp ? IFF_NOARP : 0);
  return set_identity(&change, error) &&
         (wanted->mtu == 0 || wanted->mtu == link->mtu ||
          net_link_set_mtu(netlink, index, change.name, wanted->mtu, error)) &&
         net_link_set_flags(netlink, index, change.name, flags, flags, error) && remove_addresses(&change, error) &&
         add_addresses(&change, error) &&
         (!wanted->is_localhost || net_localhost_open(netlink, change.name, index, error));
}
