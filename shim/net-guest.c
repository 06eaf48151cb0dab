// SPDX-License-Identifier: LGPL-2.1-or-later
/* The agent's part of the network. */
#include <linux/neighbour.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"
#include "shim/agent-link.h"
#include "shim/net-bpf.h"
#include "shim/net-localhost.h"
#include "shim/net-private.h"

/* Upstream's agent knows a card some time after its machine has it, and says so in these words. */
#define NOT_YET "Link not found"
#define NOT_YET_TRIES 50u
#define NOT_YET_WAIT_US (20u * 1000u)

static Types__IPFamily family_of(int family) { return family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4; }

static char *or_empty(char *text) { return text != NULL ? text : (char *)""; }

/* ---- interfaces ---- */

static gboolean send_interface(TtrpcClient *agent, Types__Interface *interface, GError **error) {
  Grpc__UpdateInterfaceRequest request = GRPC__UPDATE_INTERFACE_REQUEST__INIT;
  request.interface = interface;
  for (guint tries = 0;; tries++) {
    g_autoptr(GError) why = NULL;
    if (agent_call_update_interface(agent, &request, AGENT_CALL_TIMEOUT_MS, NULL, &why)) return TRUE;
    if (strstr(why->message, NOT_YET) == NULL || tries == NOT_YET_TRIES) {
      g_propagate_prefixed_error(error, g_steal_pointer(&why),
                                 "the guest could not set up interface '%s': ", interface->name);
      return FALSE;
    }
    g_usleep(NOT_YET_WAIT_US);
  }
}

static gboolean tell_interface(TtrpcClient *agent, const NetInterface *from, guint mtu, guint nic, GError **error) {
  g_autofree Types__IPAddress *addresses = g_new0(Types__IPAddress, from->addresses->len + 1);
  g_autofree Types__IPAddress **pointers = g_new0(Types__IPAddress *, from->addresses->len + 1);
  g_autoptr(GPtrArray) masks = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < from->addresses->len; i++) {
    const NetAddress *address = from->addresses->pdata[i];
    char *mask = g_strdup_printf("%u", address->prefix);
    g_ptr_array_add(masks, mask);
    types__ipaddress__init(&addresses[i]);
    addresses[i].family = family_of(address->family);
    addresses[i].address = address->text;
    addresses[i].mask = mask;
    pointers[i] = &addresses[i];
  }
  g_autofree char *pci_path = vm_config_nic_pci_path(nic);
  Types__Interface interface = TYPES__INTERFACE__INIT;
  interface.device = from->name;
  interface.name = from->name;
  interface.ipaddresses = pointers;
  interface.n_ipaddresses = from->addresses->len;
  interface.mtu = mtu;
  interface.hwaddr = from->mac;
  interface.devicepath = pci_path;
  interface.type = from->kind;
  interface.raw_flags = from->flags & IFF_NOARP;
  return send_interface(agent, &interface, error);
}

/* ---- routes ---- */

static gboolean tell_routes(TtrpcClient *agent, const GPtrArray *from, GError **error) {
  if (from->len == 0) return TRUE;
  g_autofree Types__Route *routes = g_new0(Types__Route, from->len);
  g_autofree Types__Route **pointers = g_new0(Types__Route *, from->len);
  for (guint i = 0; i < from->len; i++) {
    const NetRoute *route = from->pdata[i];
    types__route__init(&routes[i]);
    routes[i].dest = or_empty(route->destination);
    routes[i].gateway = or_empty(route->gateway);
    routes[i].source = or_empty(route->source);
    routes[i].device = route->device;
    routes[i].scope = route->scope;
    routes[i].family = family_of(route->family);
    routes[i].flags = route->flags;
    routes[i].mtu = route->mtu;
    pointers[i] = &routes[i];
  }
  Grpc__Routes list = GRPC__ROUTES__INIT;
  Grpc__UpdateRoutesRequest request = GRPC__UPDATE_ROUTES_REQUEST__INIT;
  list.routes = pointers;
  list.n_routes = from->len;
  request.routes = &list;
  if (agent_call_update_routes(agent, &request, AGENT_CALL_TIMEOUT_MS, NULL, error)) return TRUE;
  g_prefix_error(error, "the guest could not set up its routes: ");
  return FALSE;
}

/* ---- neighbours ---- */

static gboolean tell_neighbours(TtrpcClient *agent, const GPtrArray *from, GError **error) {
  if (from->len == 0) return TRUE;
  g_autofree Types__IPAddress *addresses = g_new0(Types__IPAddress, from->len);
  g_autofree Types__ARPNeighbor *neighbours = g_new0(Types__ARPNeighbor, from->len);
  g_autofree Types__ARPNeighbor **pointers = g_new0(Types__ARPNeighbor *, from->len);
  for (guint i = 0; i < from->len; i++) {
    const NetNeighbour *neighbour = from->pdata[i];
    types__ipaddress__init(&addresses[i]);
    types__arpneighbor__init(&neighbours[i]);
    addresses[i].family = family_of(neighbour->family);
    addresses[i].address = neighbour->address;
    neighbours[i].toipaddress = &addresses[i];
    neighbours[i].device = neighbour->device;
    neighbours[i].lladdr = neighbour->mac;
    neighbours[i].state = (gint32)neighbour->state;
    pointers[i] = &neighbours[i];
  }
  Grpc__ARPNeighbors list = GRPC__ARPNEIGHBORS__INIT;
  Grpc__AddARPNeighborsRequest request = GRPC__ADD_ARPNEIGHBORS_REQUEST__INIT;
  list.arpneighbors = pointers;
  list.n_arpneighbors = from->len;
  request.neighbors = &list;
  if (agent_call_add_arp_neighbors(agent, &request, AGENT_CALL_TIMEOUT_MS, error)) return TRUE;
  g_prefix_error(error, "the guest could not set up its neighbours: ");
  return FALSE;
}

/* ---- the card for 127.0.0.1 ---- */

static gboolean tell_localhost(TtrpcClient *agent, guint nic, GError **error) {
  NetAddress own = {.family = AF_INET, .text = (char *)NET_BPF_GUEST_TEXT, .prefix = 30};
  NetNeighbour peer = {.family = AF_INET,
                       .address = (char *)NET_BPF_PEER_TEXT,
                       .device = (char *)NET_LOCALHOST_NAME,
                       .mac = (char *)NET_LOCALHOST_TAP_MAC,
                       .state = NUD_PERMANENT};
  g_autoptr(GPtrArray) addresses = g_ptr_array_new(), neighbours = g_ptr_array_new();
  g_ptr_array_add(addresses, &own);
  g_ptr_array_add(neighbours, &peer);
  NetInterface card = {.name = (char *)NET_LOCALHOST_NAME,
                       .kind = (char *)NET_LOCALHOST_TYPE,
                       .mac = (char *)NET_LOCALHOST_MAC,
                       .addresses = addresses};
  return tell_interface(agent, &card, NET_LOCALHOST_MTU, nic, error) && tell_neighbours(agent, neighbours, error);
}

gboolean net_tell_guest(const Net *net, TtrpcClient *agent, GError **error) {
  const NetScan *scan = net->scan;
  for (guint i = 0; i < scan->interfaces->len; i++) {
    const NetLink *link = net->links->pdata[i];
    if (!tell_interface(agent, scan->interfaces->pdata[i], link->mtu, i, error)) return FALSE;
  }
  return tell_routes(agent, scan->routes, error) && tell_neighbours(agent, scan->neighbours, error) &&
         (scan->interfaces->len == 0 || tell_localhost(agent, scan->interfaces->len, error));
}
