// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/resize.h"

#include <string.h>

#include "common/error.h"
#include "shim/agent-link.h"
#include "shim/limits.h"
#include "shim/store.h"

/* What x86's Linux takes memory in, as long as there are less than 64 GiB (arch/x86/mm/init_64.c). */
#define MEMORY_BLOCK_MIB 128u

static gboolean is_static(const Sandbox *sandbox) {
  return settings_get_bool(sandbox->settings, "runtime", "static_sandbox_resource_mgmt");
}

void resize_decide(Sandbox *sandbox, VmConfig *config) {
  VmSize limit = vm_config_get_limit(sandbox->settings);
  if (sandbox->size.vcpus == 0) {
    sandbox->base_size = (VmSize){config->vcpus, config->memory_mib};
    sandbox->size = vm_size_sum(&sandbox->base_size, &sandbox->demand, is_static(sandbox) ? 1 : 0, &limit);
  }
  vm_config_set_size(config, sandbox->settings, &sandbox->size);
}

VmDemand resize_exchange_demand(Sandbox *sandbox, Container *container, const VmDemand *demand) {
  g_mutex_lock(&sandbox->resizing);
  VmDemand before = container->demand;
  if (demand != NULL) container->demand = *demand;
  g_mutex_unlock(&sandbox->resizing);
  return before;
}

/* Takes down one more demand. */
static VmSize sum(Sandbox *sandbox, GArray *demands) {
  VmSize limit = vm_config_get_limit(sandbox->settings);
  VmDemand extra = vm_demand_extra((const VmDemand *)(const void *)demands->data, demands->len);
  g_array_append_val(demands, extra);
  return vm_size_sum(&sandbox->base_size, (const VmDemand *)(const void *)demands->data, demands->len, &limit);
}

/* What a pod's own container asks for, by its annotations, it does for all of them: it is not on top of what they ask
 * for themselves. extra, extra_demand: of one that is being made, or NULL. */
static VmSize get_target(Sandbox *sandbox, const Kata__V1__ContainerInfo *extra, const VmDemand *extra_demand) {
  g_autoptr(GArray) of_pod = g_array_new(FALSE, FALSE, sizeof(VmDemand));
  g_autoptr(GArray) of_others = g_array_new(FALSE, FALSE, sizeof(VmDemand));
  g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
  for (guint i = 0; i < containers->len; i++) {
    Container *container = containers->pdata[i];
    if (strcmp(container_get_status(container), "stopped") == 0) continue;
    g_array_append_val(limits_is_pods_own(container->info) ? of_pod : of_others, container->demand);
  }
  if (extra != NULL) g_array_append_val(limits_is_pods_own(extra) ? of_pod : of_others, *extra_demand);
  VmSize one = sum(sandbox, of_pod), other = sum(sandbox, of_others);
  return (VmSize){MAX(one.vcpus, other.vcpus), MAX(one.memory_mib, other.memory_mib)};
}

static gboolean grow(Sandbox *sandbox, const VmSize *target, GError **error) {
  VmSize *size = &sandbox->size;
  if (sandbox->vm == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "it has ended");
    return FALSE;
  }
  if (target->vcpus > size->vcpus) {
    if (!vm_set_vcpus(sandbox->vm, target->vcpus, error)) return FALSE;
    size->vcpus = target->vcpus;
  }
  if (target->memory_mib > size->memory_mib) {
    guint64 missing = target->memory_mib - size->memory_mib;
    guint64 added = (missing + MEMORY_BLOCK_MIB - 1) / MEMORY_BLOCK_MIB * MEMORY_BLOCK_MIB;
    if (!vm_add_memory(sandbox->vm, added, error)) return FALSE;
    size->memory_mib += added;
  }
  return TRUE;
}

static gboolean tell_guest(Sandbox *sandbox, GError **error) {
  Grpc__OnlineCPUMemRequest request = GRPC__ONLINE_CPUMEM_REQUEST__INIT;
  request.wait = TRUE;
  request.nb_cpus = sandbox->size.vcpus;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  return agent != NULL && agent_call_online_cpu_mem(agent, &request, AGENT_CALL_TIMEOUT_MS, error);
}

/* What the machine was not made for cannot be plugged in. */
static gboolean check_target(const Sandbox *sandbox, const VmSize *target, GError **error) {
  VmSize limit = vm_config_get_limit(sandbox->settings);
  if (target->vcpus < sandbox->size.vcpus || target->memory_mib < sandbox->size.memory_mib) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "it has %u CPUs and %" G_GUINT64_FORMAT " MiB, and does not shrink", sandbox->size.vcpus,
                sandbox->size.memory_mib);
    return FALSE;
  }
  if (is_static(sandbox) && (target->vcpus > sandbox->size.vcpus || target->memory_mib > sandbox->size.memory_mib)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "its size is fixed: the setting static_sandbox_resource_mgmt must be false when it starts");
    return FALSE;
  }
  if (target->vcpus <= MAX(limit.vcpus, sandbox->size.vcpus) && target->memory_mib <= limit.memory_mib) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "it may have at most %u CPUs (setting default_maxvcpus) and %" G_GUINT64_FORMAT " MiB (as the host)",
              MAX(limit.vcpus, sandbox->size.vcpus), limit.memory_mib);
  return FALSE;
}

gboolean resize_to(Sandbox *sandbox, VmSize *size, GError **error) {
  g_mutex_lock(&sandbox->resizing);
  VmSize before = sandbox->size;
  VmSize target = {size->vcpus != 0 ? size->vcpus : before.vcpus,
                   size->memory_mib != 0 ? size->memory_mib : before.memory_mib};
  gboolean done =
      sandbox_check_running(sandbox, error) && check_target(sandbox, &target, error) && grow(sandbox, &target, error);
  gboolean changed = before.vcpus != sandbox->size.vcpus || before.memory_mib != sandbox->size.memory_mib;
  if (done && changed) done = tell_guest(sandbox, error) && store_save(sandbox, error);
  *size = sandbox->size;
  g_mutex_unlock(&sandbox->resizing);
  if (!done)
    g_prefix_error(error, "cannot let sandbox '%s' grow to %u CPUs and %" G_GUINT64_FORMAT " MiB: ", sandbox->id,
                   target.vcpus, target.memory_mib);
  return done;
}

gboolean resize_follow(Sandbox *sandbox, const Kata__V1__ContainerInfo *extra, const VmDemand *extra_demand,
                       GError **error) {
  if (is_static(sandbox)) return TRUE;
  g_mutex_lock(&sandbox->resizing);
  VmSize before = sandbox->size, target = get_target(sandbox, extra, extra_demand);
  gboolean grown = grow(sandbox, &target, error);
  gboolean changed = before.vcpus != sandbox->size.vcpus || before.memory_mib != sandbox->size.memory_mib;
  gboolean done = grown && (!changed || (tell_guest(sandbox, error) && store_save(sandbox, error)));
  g_mutex_unlock(&sandbox->resizing);
  if (!done)
    g_prefix_error(error,
                   "cannot let the virtual machine grow to %u CPUs and %" G_GUINT64_FORMAT " MiB: ", target.vcpus,
                   target.memory_mib);
  return done;
}
