/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about containers. */
#include "agent/net-report.h"
#include "agent/rpc.h"
#include "agent/stats.h"
#include "common/error.h"

/* So that milliseconds fit. */
#define REMOVE_TIMEOUT_MAX_S 86400

void rpc_create_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  container_create(user_data, (const Grpc__CreateContainerRequest *)request, rpc_answer, call);
}

void rpc_start_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__StartContainerRequest *asked = (const Grpc__StartContainerRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INTERNAL);
  if (container) container_start(container, rpc_answer, call);
}

void rpc_remove_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__RemoveContainerRequest *asked = (const Grpc__RemoveContainerRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INTERNAL);
  if (container) container_remove(container, MIN(asked->timeout, REMOVE_TIMEOUT_MAX_S) * 1000, rpc_answer, call);
}

void rpc_pause_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__PauseContainerRequest *asked = (const Grpc__PauseContainerRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INVALID_ARGUMENT);
  if (container) container_pause(container, rpc_answer, call);
}

void rpc_resume_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__ResumeContainerRequest *asked = (const Grpc__ResumeContainerRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INVALID_ARGUMENT);
  if (container) container_resume(container, rpc_answer, call);
}

void rpc_update_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__UpdateContainerRequest *asked = (const Grpc__UpdateContainerRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INVALID_ARGUMENT);
  if (!container) return;
  /* Nothing to change, whatever the container's state. */
  if (!asked->resources)
    rpc_reply_empty(call);
  else
    container_update(container, asked->resources, rpc_answer, call);
}

/* Of the guest: its containers share its interfaces. */
static void add_network_stats(Grpc__StatsContainerResponse *reply) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Netlink) netlink = netlink_open(0, &error);
  if (netlink) reply->network_stats = net_report_counters(netlink, &reply->n_network_stats, &error);
  if (error) g_warning("statistics without the network's: %s", error->message);
}

void rpc_stats_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__StatsContainerRequest *asked = (const Grpc__StatsContainerRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INVALID_ARGUMENT);
  if (!container) return;
  if (!container->cgroup_path) {
    ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container '%s' has no cgroup yet", container->id);
    return;
  }
  Grpc__StatsContainerResponse *reply = g_new(Grpc__StatsContainerResponse, 1);
  grpc__stats_container_response__init(reply);
  reply->cgroup_stats = stats_of_cgroup(container->cgroup_path);
  add_network_stats(reply);
  ttrpc_call_reply(call, &reply->base);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
}
