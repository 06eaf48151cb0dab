/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about the guest's network. */
#include <string.h>

#include "agent/iptables.h"
#include "agent/net-interface.h"
#include "agent/net-link.h"
#include "agent/net-neighbor.h"
#include "agent/net-report.h"
#include "agent/net-route-update.h"
#include "agent/net-wait.h"
#include "agent/rpc.h"
#include "common/error.h"

/* reply: to be freed; NULL: error says why. */
static void answer(TtrpcCall *call, ProtobufCMessage *reply, const GError *error) {
  if (!reply) return ttrpc_call_fail_error(call, error);
  ttrpc_call_reply(call, reply);
  protobuf_c_message_free_unpacked(reply, NULL);
}

typedef struct {
  TtrpcCall *call;
  const Types__Interface *asked; /* the request's */
} InterfaceUpdate;

/* What was asked, but for addresses a guest without IPv6 cannot have. */
static void reply_interface(TtrpcCall *call, const Types__Interface *asked) {
  Types__Interface reply = *asked;
  gboolean has_ipv6 = net_has_ipv6();
  g_autofree Types__IPAddress **addresses = g_new(Types__IPAddress *, asked->n_ipaddresses + 1);
  reply.ipaddresses = addresses;
  reply.n_ipaddresses = 0;
  for (gsize i = 0; i < asked->n_ipaddresses; i++)
    if (has_ipv6 || !strchr(asked->ipaddresses[i]->address, ':'))
      addresses[reply.n_ipaddresses++] = asked->ipaddresses[i];
  ttrpc_call_reply(call, &reply.base);
}

static void interface_updated(const GError *error, gpointer user_data) {
  g_autofree InterfaceUpdate *update = user_data;
  if (error)
    ttrpc_call_fail_error(update->call, error);
  else
    reply_interface(update->call, update->asked);
}

static void update_is_alone(TtrpcCall *call, gpointer wait) { net_wait_cancel(wait); }

void rpc_update_interface(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__UpdateInterfaceRequest *asked = (const Grpc__UpdateInterfaceRequest *)request;
  const Sandbox *sandbox = user_data;
  g_autoptr(GError) error = NULL;
  if (!asked->interface) return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "interface: is missing");
  NetInterface *wanted = net_interface_parse(asked->interface, &error);
  if (!wanted) return ttrpc_call_fail_error(call, error);
  InterfaceUpdate *update = g_new(InterfaceUpdate, 1);
  *update = (InterfaceUpdate){call, asked->interface};
  NetWait *wait = net_wait_and_apply(sandbox->config, wanted, interface_updated, update);
  if (wait) ttrpc_call_set_gone_func(call, update_is_alone, wait);
}

void rpc_update_routes(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__UpdateRoutesRequest *asked = (const Grpc__UpdateRoutesRequest *)request;
  g_autoptr(GError) error = NULL;
  if (!asked->routes) return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "routes: is missing");
  g_autoptr(Netlink) netlink = netlink_open(0, &error);
  Grpc__Routes *reply = NULL;
  if (netlink && net_routes_replace(netlink, asked->routes, &error)) reply = net_report_routes(netlink, &error);
  answer(call, (ProtobufCMessage *)reply, error);
}

void rpc_list_interfaces(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Netlink) netlink = netlink_open(0, &error);
  Grpc__Interfaces *reply = netlink ? net_report_interfaces(netlink, &error) : NULL;
  answer(call, (ProtobufCMessage *)reply, error);
}

void rpc_list_routes(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Netlink) netlink = netlink_open(0, &error);
  Grpc__Routes *reply = netlink ? net_report_routes(netlink, &error) : NULL;
  answer(call, (ProtobufCMessage *)reply, error);
}

void rpc_add_arp_neighbors(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__AddARPNeighborsRequest *asked = (const Grpc__AddARPNeighborsRequest *)request;
  g_autoptr(GError) error = NULL;
  if (!asked->neighbors) return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "neighbors: is missing");
  g_autoptr(Netlink) netlink = netlink_open(0, &error);
  if (netlink) net_neighbors_add(netlink, asked->neighbors, &error);
  rpc_answer(error, call);
}

/* ---- the packet filter ---- */

static ProtobufCBinaryData view_bytes(GBytes *bytes) {
  gsize length = 0;
  const void *data = g_bytes_get_data(bytes, &length);
  return (ProtobufCBinaryData){length, (uint8_t *)data};
}

static void iptables_got(GBytes *output, const GError *error, gpointer call) {
  Grpc__GetIPTablesResponse reply = GRPC__GET_IPTABLES_RESPONSE__INIT;
  if (error) return ttrpc_call_fail_error(call, error);
  reply.data = view_bytes(output);
  ttrpc_call_reply(call, &reply.base);
}

void rpc_get_iptables(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__GetIPTablesRequest *asked = (const Grpc__GetIPTablesRequest *)request;
  const Sandbox *sandbox = user_data;
  iptables_get(sandbox->reaper, asked->is_ipv6, iptables_got, call);
}

static void iptables_were_set(GBytes *output, const GError *error, gpointer call) {
  Grpc__SetIPTablesResponse reply = GRPC__SET_IPTABLES_RESPONSE__INIT;
  if (error) return ttrpc_call_fail_error(call, error);
  reply.data = view_bytes(output);
  ttrpc_call_reply(call, &reply.base);
}

void rpc_set_iptables(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__SetIPTablesRequest *asked = (const Grpc__SetIPTablesRequest *)request;
  const Sandbox *sandbox = user_data;
  if (asked->data.len == 0 || asked->data.len > IPTABLES_RULES_MAX)
    return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "data: must be rules of 1 to %u bytes, not %zu",
                           IPTABLES_RULES_MAX, asked->data.len);
  GBytes *rules = g_bytes_new(asked->data.data, asked->data.len);
  iptables_set(sandbox->reaper, asked->is_ipv6, rules, iptables_were_set, call);
}
