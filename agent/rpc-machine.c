/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about what the guest has as a machine: memory, CPUs, measurements. */
#include "agent/metrics.h"
#include "agent/online.h"
#include "agent/oom.h"
#include "agent/rpc.h"
#include "common/error.h"

/* ---- out of memory ---- */

typedef struct {
  TtrpcCall *call;
  Sandbox *sandbox;
} OomWait;

static void oom_told(const char *container_id, const GError *error, gpointer user_data) {
  g_autofree OomWait *wait = user_data;
  Grpc__OOMEvent reply = GRPC__OOMEVENT__INIT;
  reply.container_id = (char *)container_id;
  if (error)
    ttrpc_call_fail_error(wait->call, error);
  else
    ttrpc_call_reply(wait->call, &reply.base);
}

static void oom_gone(TtrpcCall *call, gpointer user_data) {
  g_autofree OomWait *wait = user_data;
  oom_monitor_cancel(wait->sandbox->oom, wait);
  ttrpc_call_fail(call, TTRPC_CANCELLED, "the caller is gone");
}

void rpc_get_oom_event(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  OomWait *wait = g_new(OomWait, 1);
  *wait = (OomWait){call, user_data};
  ttrpc_call_set_gone_func(call, oom_gone, wait);
  oom_monitor_wait(wait->sandbox->oom, oom_told, wait);
}

/* ---- CPUs and memory ---- */

void rpc_online_cpu_mem(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__OnlineCPUMemRequest *asked = (const Grpc__OnlineCPUMemRequest *)request;
  const Sandbox *sandbox = user_data;
  online_start(sandbox->reaper, ONLINE_SYSTEM, asked->nb_cpus, !asked->cpu_only, rpc_answer, call);
}

void rpc_mem_hotplug_by_probe(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__MemHotplugByProbeRequest *asked = (const Grpc__MemHotplugByProbeRequest *)request;
  const Sandbox *sandbox = user_data;
  online_probe(sandbox->reaper, ONLINE_SYSTEM, asked->memhotplugprobeaddr, asked->n_memhotplugprobeaddr, rpc_answer,
               call);
}

/* ---- measurements ---- */

void rpc_get_metrics(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  g_autofree char *text = metrics_collect();
  Grpc__Metrics reply = GRPC__METRICS__INIT;
  reply.metrics = text;
  ttrpc_call_reply(call, &reply.base);
}

/* ---- what this agent does not do ---- */

void rpc_set_policy(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  ttrpc_call_fail(call, TTRPC_UNIMPLEMENTED, "this agent has no policy: every call that is well-formed is served");
}

void rpc_mem_agent(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  ttrpc_call_fail(call, TTRPC_UNIMPLEMENTED,
                  "this agent has no memory agent: the kernel reclaims and compacts memory by itself");
}
