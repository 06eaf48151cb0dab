// SPDX-License-Identifier: LGPL-2.1-or-later
/* kata.v1.Owner: what libkata asks beyond containerd's services. */
#include <string.h>

#include "common/error.h"
#include "proto/kata-v1.pb-c.h"
#include "shim/agent-link.h"
#include "shim/net-follow.h"
#include "shim/service.h"

/* A caller that waits for an event may have gone: its wait ends after this long. */
#define EVENT_WAIT_MAX_MS 30000u

static void owner_domain_xml(ServiceJob *job) {
  Sandbox *sandbox = job->owner->sandbox;
  if (sandbox_get_status(sandbox) == SANDBOX_CREATED || sandbox->domain_xml == NULL) {
    ttrpc_call_fail(job->call, TTRPC_FAILED_PRECONDITION, "sandbox '%s' has not been started", sandbox->id);
    return;
  }
  Kata__V1__DomainXmlResponse reply = KATA__V1__DOMAIN_XML_RESPONSE__INIT;
  reply.xml = sandbox->domain_xml;
  ttrpc_call_reply(job->call, &reply.base);
}

static void owner_boot_timeline(ServiceJob *job) {
  g_autoptr(GArray) steps = timeline_get(job->owner->sandbox->timeline);
  g_autofree Kata__V1__BootStep *entries = g_new0(Kata__V1__BootStep, steps->len + 1);
  g_autofree Kata__V1__BootStep **pointers = g_new0(Kata__V1__BootStep *, steps->len + 1);
  for (guint i = 0; i < steps->len; i++) {
    const TimelineStep *step = &g_array_index(steps, TimelineStep, i);
    kata__v1__boot_step__init(&entries[i]);
    entries[i].name = (char *)step->name;
    entries[i].begin_us = (guint64)step->begin_us;
    entries[i].end_us = (guint64)step->end_us;
    pointers[i] = &entries[i];
  }
  Kata__V1__BootTimelineResponse reply = KATA__V1__BOOT_TIMELINE_RESPONSE__INIT;
  reply.steps = pointers;
  reply.n_steps = steps->len;
  ttrpc_call_reply(job->call, &reply.base);
}

static void owner_containers(ServiceJob *job) {
  const Kata__V1__ContainersRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(GPtrArray) containers = NULL;
  if (*request->id != '\0') {
    g_autoptr(GError) error = NULL;
    Container *container = sandbox_find_container(sandbox, request->id, &error);
    if (container == NULL) {
      ttrpc_call_fail_error(job->call, error);
      return;
    }
    containers = g_ptr_array_new_with_free_func((GDestroyNotify)container_unref);
    g_ptr_array_add(containers, container);
  } else {
    containers = sandbox_get_containers(sandbox);
  }
  guint32 hypervisor = sandbox_get_hypervisor_pid(sandbox);
  g_autofree Kata__V1__ContainerInfo **infos = g_new0(Kata__V1__ContainerInfo *, containers->len + 1);
  for (guint i = 0; i < containers->len; i++) infos[i] = container_describe(containers->pdata[i], hypervisor);
  Kata__V1__ContainersResponse reply = KATA__V1__CONTAINERS_RESPONSE__INIT;
  reply.containers = infos;
  reply.n_containers = containers->len;
  ttrpc_call_reply(job->call, &reply.base);
  for (guint i = 0; i < containers->len; i++) protobuf_c_message_free_unpacked(&infos[i]->base, NULL);
}

static void owner_agent_stats(ServiceJob *job) {
  const Kata__V1__AgentStatsRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(GError) error = NULL;
  g_autoptr(Container) container = sandbox_find_container(sandbox, request->id, &error);
  g_autoptr(TtrpcClient) agent = container != NULL ? sandbox_get_agent(sandbox, &error) : NULL;
  Grpc__StatsContainerRequest call = GRPC__STATS_CONTAINER_REQUEST__INIT;
  call.container_id = request->id;
  Grpc__StatsContainerResponse *stats = NULL;
  if (agent == NULL || !agent_call_stats_container(agent, &call, AGENT_CALL_TIMEOUT_MS, &stats, &error)) {
    ttrpc_call_fail_error(job->call, error);
    return;
  }
  gsize size = grpc__stats_container_response__get_packed_size(stats);
  g_autofree guint8 *packed = g_malloc(MAX(size, 1));
  grpc__stats_container_response__pack(stats, packed);
  grpc__stats_container_response__free_unpacked(stats, NULL);
  Kata__V1__AgentStatsResponse reply = KATA__V1__AGENT_STATS_RESPONSE__INIT;
  reply.stats.data = packed;
  reply.stats.len = size;
  ttrpc_call_reply(job->call, &reply.base);
}

/* Which processes of the host stand for those of the guest; what the guest itself says of that is not believed. */
static void set_host_pids(Container *container, Kata__V1__ListProcessesResponse *list) {
  for (gsize i = 0; i < list->n_processes; i++) {
    Kata__V1__GuestProcess *entry = list->processes[i];
    entry->host_pid = 0;
    if (!entry->is_init && *entry->exec_id == '\0') continue;
    g_autoptr(Process) process = container_find_process(container, entry->is_init ? "" : entry->exec_id, NULL);
    if (process != NULL) entry->host_pid = process_get_host_pid(process);
  }
}

static void owner_processes(ServiceJob *job) {
  const Kata__V1__ProcessesRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(GError) error = NULL;
  g_autoptr(Container) container = sandbox_find_container(sandbox, request->id, &error);
  g_autoptr(TtrpcClient) agent = container != NULL ? sandbox_get_agent(sandbox, &error) : NULL;
  Kata__V1__ListProcessesResponse *list = agent != NULL ? agent_list_processes(agent, request->id, &error) : NULL;
  if (list == NULL) {
    ttrpc_call_fail_error(job->call, error);
    return;
  }
  set_host_pids(container, list);
  ttrpc_call_reply(job->call, &list->base);
  protobuf_c_message_free_unpacked(&list->base, NULL);
}

static void owner_next_event(ServiceJob *job) {
  const Kata__V1__NextEventRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(GError) error = NULL;
  g_autoptr(Container) container = *request->id != '\0' ? sandbox_find_container(sandbox, request->id, &error) : NULL;
  if (error != NULL) {
    ttrpc_call_fail_error(job->call, error);
    return;
  }
  Kata__V1__NextEventResponse reply = KATA__V1__NEXT_EVENT_RESPONSE__INIT;
  guint32 timeout_ms = MIN(request->timeout_ms, EVENT_WAIT_MAX_MS);
  reply.event = events_wait(sandbox->events, request->id, request->after, timeout_ms);
  ttrpc_call_reply(job->call, &reply.base);
  if (reply.event != NULL) protobuf_c_message_free_unpacked(&reply.event->base, NULL);
}

static void change_interface(ServiceJob *job,
                             gboolean (*change)(Sandbox *sandbox, const Types__Interface *given, GError **error)) {
  const Kata__V1__InterfaceRequest *request = (const void *)job->request;
  g_autoptr(GError) error = NULL;
  Kata__V1__InterfaceResponse reply = KATA__V1__INTERFACE_RESPONSE__INIT;
  if (request->interface == NULL)
    ttrpc_call_fail(job->call, TTRPC_INVALID_ARGUMENT, "interface: is missing");
  else if (sandbox_check_running(job->owner->sandbox, &error) &&
           change(job->owner->sandbox, request->interface, &error))
    ttrpc_call_reply(job->call, &reply.base);
  else
    ttrpc_call_fail_error(job->call, error);
}

static void owner_add_interface(ServiceJob *job) { change_interface(job, net_follow_add); }

static void owner_remove_interface(ServiceJob *job) { change_interface(job, net_follow_remove); }

static const ServiceMethod methods[] = {
    {"NextEvent", owner_next_event},
    {"DomainXml", owner_domain_xml},
    {"BootTimeline", owner_boot_timeline},
    {"Containers", owner_containers},
    {"AgentStats", owner_agent_stats},
    {"Processes", owner_processes},
    {"AgentCall", owner_agent_call},
    {"PauseSandbox", owner_pause_sandbox},
    {"ResizeSandbox", owner_resize_sandbox},
    {"SandboxStats", owner_sandbox_stats},
    {"Console", owner_console},
    {"AddInterface", owner_add_interface},
    {"RemoveInterface", owner_remove_interface},
    {NULL, NULL},
};

void owner_service_add(Owner *owner) { service_add(owner, &kata__v1__owner__descriptor, methods); }
