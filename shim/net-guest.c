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
/* Our agent waits itself (agent.hotplug_timeout) before it says so, upstream's may not. */
#define NOT_YET_LIMIT_US G_TIME_SPAN_SECOND
#define NOT_YET_WAIT_US (20u * 1000u)

static Types__IPFamily family_of(int family) { return family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4; }

static char *or_empty(char *text) { return text != NULL ? text : (char *)""; }

/* ---- interfaces ---- */

static gboolean send_interface(TtrpcClient *agent, Types__Interface *interface, GError **error) {
  Grpc__UpdateInterfaceRequest request = GRPC__UPDATE_INTERFACE_REQUEST__INIT;
  request.interface = interface;
  gint64 deadline = g_get_monotonic_time() + NOT_YET_LIMIT_US;
  while (TRUE) {
    g_autoptr(GError) why = NULL;
    if (agent_call_update_interface(agent, &request, AGENT_CALL_TIMEOUT_MS, NULL, &why)) return TRUE;
    if (strstr(why->message, NOT_YET) == NULL || g_get_monotonic_time() >= deadline) {
      g_propagate_prefixed_error(error, g_steal_pointer(&why),
                                 "the guest could not set up interface '%s': ", interface->name);
      return FALSE;
    }
    g_usleep(NOT_YET_WAIT_US);
  }
}

static Types__IPAddress **make_addresses(const NetInterface *from, GPtrArray *memory) {
  Types__IPAddress **pointers = g_new0(Types__IPAddress *, from->addresses->len + 1);
  g_ptr_array_add(memory, pointers);
  for (guint i = 0; i < from->addresses->len; i++) {
    const NetAddress *address = from->addresses->pdata[i];
    Types__IPAddress *message = g_new(Types__IPAddress, 1);
    types__ipaddress__init(message);
    message->family = family_of(address->family);
    message->address = address->text;
    message->mask = g_strdup_printf("%u", address->prefix);
    g_ptr_array_add(memory, message->mask);
    g_ptr_array_add(memory, message);
    pointers[i] = message;
  }
  return pointers;
}

static gboolean tell_card(TtrpcClient *agent, guint number, const NetInterface *from, guint mtu,
                          const Types__Interface *given, GError **error) {
  g_autoptr(GPtrArray) memory = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *pci_path = vm_config_nic_pci_path(number);
  Types__Interface interface = TYPES__INTERFACE__INIT;
  interface.device = interface.name = from->name;
  interface.ipaddresses = make_addresses(from, memory);
  interface.n_ipaddresses = from->addresses->len;
  interface.mtu = mtu;
  interface.hwaddr = from->mac;
  interface.devicepath = pci_path;
  interface.type = from->kind;
  interface.raw_flags = from->flags & IFF_NOARP;
  if (given != NULL && *given->name != '\0') interface.name = given->name;
  if (given != NULL && given->mtu != 0) interface.mtu = given->mtu;
  if (given != NULL && given->n_ipaddresses > 0) {
    interface.ipaddresses = given->ipaddresses;
    interface.n_ipaddresses = given->n_ipaddresses;
  }
  return send_interface(agent, &interface, error);
}

gboolean net_tell_interface(TtrpcClient *agent, const NetLink *link, const NetInterface *interface,
                            const Types__Interface *given, GError **error) {
  return tell_card(agent, link->number, interface, MIN(interface->mtu, link->mtu), given, error);
}

/* The guest's name of an interface; NULL: it has none of the kind. */
static char *find_guest_name(const Net *net, const char *device) {
  for (guint i = 0; i < net->links->len; i++) {
    const NetLink *link = net->links->pdata[i];
    if (!link->is_stuck && strcmp(link->name, device) == 0) return link->guest_name;
  }
  return NULL;
}

/* ---- routes ---- */

gboolean net_tell_routes(TtrpcClient *agent, const Net *net, const GPtrArray *from, GError **error) {
  g_autofree Types__Route *routes = g_new0(Types__Route, from->len + 1);
  g_autofree Types__Route **pointers = g_new0(Types__Route *, from->len + 1);
  Types__Route dns = TYPES__ROUTE__INIT;
  guint count = 0;
  for (guint k = 0; k < from->len; k++) {
    const NetRoute *route = from->pdata[k];
    char *device = find_guest_name(net, route->device);
    if (device == NULL) continue;
    guint i = count++;
    types__route__init(&routes[i]);
    routes[i].dest = or_empty(route->destination);
    routes[i].gateway = or_empty(route->gateway);
    routes[i].source = or_empty(route->source);
    routes[i].device = device;
    routes[i].scope = route->scope;
    routes[i].family = family_of(route->family);
    routes[i].flags = route->flags;
    routes[i].mtu = route->mtu;
    pointers[i] = &routes[i];
  }
  if (net->has_dns) {
    dns.dest = (char *)NET_DNS_TEXT "/32";
    dns.gateway = (char *)NET_BPF_PEER_TEXT;
    dns.device = (char *)NET_LOCALHOST_NAME;
    pointers[count++] = &dns;
  }
  Grpc__Routes list = GRPC__ROUTES__INIT;
  Grpc__UpdateRoutesRequest request = GRPC__UPDATE_ROUTES_REQUEST__INIT;
  list.routes = pointers;
  list.n_routes = count;
  request.routes = &list;
  if (agent_call_update_routes(agent, &request, AGENT_CALL_TIMEOUT_MS, NULL, error)) return TRUE;
  g_prefix_error(error, "the guest could not set up its routes: ");
  return FALSE;
}

/* ---- neighbours ---- */

static gboolean send_neighbours(TtrpcClient *agent, const GPtrArray *from, GError **error) {
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

gboolean net_tell_neighbours(TtrpcClient *agent, const Net *net, const GPtrArray *from, GError **error) {
  g_autoptr(GPtrArray) known = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < from->len; i++) {
    NetNeighbour *neighbour = g_memdup2(from->pdata[i], sizeof *neighbour);
    neighbour->device = find_guest_name(net, neighbour->device);
    if (neighbour->device != NULL)
      g_ptr_array_add(known, neighbour);
    else
      g_free(neighbour);
  }
  return send_neighbours(agent, known, error);
}

/* ---- the card for 127.0.0.1 and ::1 ---- */

gboolean net_tell_localhost(TtrpcClient *agent, GError **error) {
  NetAddress own[] = {{.family = AF_INET, .text = (char *)NET_BPF_GUEST_TEXT, .prefix = 30},
                      {.family = AF_INET6, .text = (char *)NET_BPF_GUEST6_TEXT, .prefix = 64}};
  NetNeighbour peers[] = {{.family = AF_INET, .address = (char *)NET_BPF_PEER_TEXT},
                          {.family = AF_INET6, .address = (char *)NET_BPF_PEER6_TEXT}};
  g_autoptr(GPtrArray) addresses = g_ptr_array_new(), neighbours = g_ptr_array_new();
  for (guint i = 0; i < G_N_ELEMENTS(own); i++) g_ptr_array_add(addresses, &own[i]);
  for (guint i = 0; i < G_N_ELEMENTS(peers); i++) {
    peers[i].device = (char *)NET_LOCALHOST_NAME;
    peers[i].mac = (char *)NET_LOCALHOST_TAP_MAC;
    peers[i].state = NUD_PERMANENT;
    g_ptr_array_add(neighbours, &peers[i]);
  }
  NetInterface card = {.name = (char *)NET_LOCALHOST_NAME,
                       .kind = (char *)NET_LOCALHOST_TYPE,
                       .mac = (char *)NET_LOCALHOST_MAC,
                       .addresses = addresses};
  return tell_card(agent, NET_LOCALHOST_NUMBER, &card, NET_LOCALHOST_MTU, NULL, error) &&
         send_neighbours(agent, neighbours, error);
}

gboolean net_tell_guest(Net *net, TtrpcClient *agent, GError **error) {
  const NetScan *scan = net->scan;
  for (guint i = 0; i < scan->interfaces->len; i++) {
    NetLink *link = net->links->pdata[i];
    if (!net_tell_interface(agent, link, scan->interfaces->pdata[i], NULL, error)) return FALSE;
    g_free(link->told);
    link->told = net_fingerprint_interface(scan->interfaces->pdata[i]);
  }
  gboolean has_routes = scan->routes->len > 0 || net->has_dns;
  if ((net->has_localhost && !net_tell_localhost(agent, error)) ||
      (has_routes && !net_tell_routes(agent, net, scan->routes, error)) ||
      !net_tell_neighbours(agent, net, scan->neighbours, error))
    return FALSE;
  g_free(net->told_routes);
  net->told_routes = net_fingerprint_routes(scan->routes);
  g_free(net->told_neighbours);
  net->told_neighbours = net_fingerprint_neighbours(scan->neighbours);
  return TRUE;
}
