// SPDX-License-Identifier: LGPL-2.1-or-later
/* Task.Update: what a container may use, in the guest, on the host, and with it the size of the machine. */

#include "common/error.h"
#include "common/oci.h"
#include "proto/shim-task.pb-c.h"
#include "shim/agent-link.h"
#include "shim/cgroup-limits.h"
#include "shim/cgroup.h"
#include "shim/guest-spec.h"
#include "shim/limits.h"
#include "shim/resize.h"
#include "shim/store.h"
#include "shim/task-service.h"

/* What is not named stays. */
static VmDemand change_demand(VmDemand demand, const OciResources *resources) {
  VmDemand named = vm_demand_of_resources(resources);
  gint64 quota = resources->cpu != NULL ? resources->cpu->quota : 0;
  guint64 period = resources->cpu != NULL ? resources->cpu->period : 0;
  if (quota != 0)
    demand.vcpus = period > 0 ? named.vcpus : vm_demand_of_limits(quota, CGROUP_CPU_PERIOD_US, 0, 0).vcpus;
  if (resources->memory != NULL && resources->memory->limit != 0) demand.memory_mib = named.memory_mib;
  if (named.shares != 0) demand.shares = named.shares;
  if (named.named_cpus != 0) demand.named_cpus = named.named_cpus;
  if (resources->n_hugepagelimits > 0) demand.huge_page_mib = named.huge_page_mib;
  return demand;
}

/* What the host's cgroup of the container itself has. */
static gboolean update_on_host(const Container *container, const OciResources *resources, GError **error) {
  const Grpc__LinuxCPU *cpu = resources->cpu;
  if (cpu != NULL && !cgroup_limits_set_cpuset(container->cgroups, cpu->cpus, cpu->mems, error)) return FALSE;
  cgroup_limits_apply_block_io(container->cgroups, resources);
  return TRUE;
}

static gboolean update_in_guest(Sandbox *sandbox, const Container *container, OciResources *resources, GError **error) {
  guest_resources_rewrite(container->info->id, resources, NULL);
  Grpc__UpdateContainerRequest call = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
  call.container_id = container->info->id;
  call.resources = resources;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  return agent != NULL && agent_call_update_container(agent, &call, AGENT_CALL_TIMEOUT_MS, error);
}

static OciResources *read_resources(const Google__Protobuf__Any *any, GError **error) {
  if (any == NULL || !g_str_has_suffix(any->type_url, "/LinuxResources")) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "update: the resources are not OCI LinuxResources");
    return NULL;
  }
  const char *json = any->value.len > 0 ? (const char *)any->value.data : "";
  return oci_resources_parse(json, any->value.len, "resources", error);
}

static gboolean update(Sandbox *sandbox, Container *container, const Containerd__Task__V2__UpdateTaskRequest *request,
                       GError **error) {
  g_autoptr(OciResources) resources = read_resources(request->resources, error);
  if (resources == NULL) return FALSE;
  VmDemand before = resize_exchange_demand(sandbox, container, NULL), after = change_demand(before, resources);
  resize_exchange_demand(sandbox, container, &after);
  /* The machine first: the guest's kernel can give no more than it has. */
  gboolean updated = resize_follow(sandbox, NULL, NULL, error) && update_on_host(container, resources, error) &&
                     update_in_guest(sandbox, container, resources, error);
  /* A machine that has grown stays so, but nothing counts on what the container did not get. */
  if (!updated) resize_exchange_demand(sandbox, container, &before);
  limits_follow(sandbox);
  /* A later owner shall count as this one does. */
  g_autoptr(GError) why = NULL;
  if (!store_save(sandbox, &why)) g_warning("%s", why->message);
  return updated;
}

void task_update(ServiceJob *job) {
  const Containerd__Task__V2__UpdateTaskRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!task_find(job, request->id, "", &container, &init)) return;
  g_autoptr(GError) error = NULL;
  task_answer(job, update(job->owner->sandbox, container, request, &error), &error);
}
