// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/resize.h"

#include <string.h>

#include "common/error.h"
#include "shim/agent-link.h"
#include "shim/guest-spec.h"
#include "shim/limits.h"
#include "shim/sandbox-pod.h"
#include "shim/store.h"

/* What x86's Linux takes memory in, as long as there are less than 64 GiB (arch/x86/mm/init_64.c). */
#define MEMORY_BLOCK_MIB 128u
/* As long as the agent looks for CPUs. */
#define MEMORY_WAIT_MS 5000
#define MEMORY_POLL_MS 100

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
  VmDemand pods = sandbox_pod_get_demand(sandbox);
  g_array_append_val(of_pod, pods);
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

/* ---- what the guest makes of it ---- */

static VmSize get_taken(const Sandbox *sandbox) {
  return (VmSize){sandbox->size.vcpus - sandbox->untaken.vcpus, sandbox->size.memory_mib - sandbox->untaken.memory_mib};
}

/* Of ours and of upstream's agent. */
static guint64 find_total(const char *metrics) {
  static const char *const lines[] = {"kata_guest_meminfo{item=\"memtotal\"} ",
                                      "kata_guest_meminfo{item=\"mem_total\"} "};
  for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
    const char *found = strstr(metrics, lines[i]);
    double bytes = found != NULL ? g_ascii_strtod(found + strlen(lines[i]), NULL) : 0;
    if (bytes >= 1 << 20 && bytes < (double)G_MAXINT64) return (guint64)bytes >> 20;
  }
  return 0;
}

/* The memory that the guest's kernel counts; 0: nobody says. */
static guint64 count_memory(TtrpcClient *agent) {
  Grpc__GetMetricsRequest request = GRPC__GET_METRICS_REQUEST__INIT;
  Grpc__Metrics *reply = NULL;
  if (!agent_call_get_metrics(agent, &request, AGENT_CALL_TIMEOUT_MS, &reply, NULL)) return 0;
  guint64 mib = find_total(reply->metrics);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  return mib;
}

/* The kernel takes memory in a thread of its own, and says nowhere that it will not. */
static gboolean wait_for_memory(Sandbox *sandbox, TtrpcClient *agent, GError **error) {
  guint64 untaken = sandbox->untaken.memory_mib, wanted = sandbox->counted_mib + untaken - untaken / 8;
  gint64 deadline = g_get_monotonic_time() + MEMORY_WAIT_MS * G_TIME_SPAN_MILLISECOND;
  if (untaken == 0 || sandbox->counted_mib == 0) return TRUE;
  for (;;) {
    guint64 found = count_memory(agent);
    if (found == 0 || found >= wanted) return TRUE;
    if (g_get_monotonic_time() > deadline) {
      g_set_error(
          error, KATA_ERROR, KATA_ERR_GUEST,
          "the guest does not take the memory that was plugged in: after %d ms its kernel has %" G_GUINT64_FORMAT
          " MiB, and should have %" G_GUINT64_FORMAT,
          MEMORY_WAIT_MS, found, wanted);
      return FALSE;
    }
    g_usleep(MEMORY_POLL_MS * 1000);
  }
}

static gboolean tell_guest(Sandbox *sandbox, TtrpcClient *agent, guint n_cpus, GError **error) {
  Grpc__OnlineCPUMemRequest request = GRPC__ONLINE_CPUMEM_REQUEST__INIT;
  request.wait = TRUE;
  request.nb_cpus = n_cpus;
  if (!agent_call_online_cpu_mem(agent, &request, AGENT_CALL_TIMEOUT_MS, error)) {
    g_prefix_error(error, "the guest does not take what was plugged in: ");
    return FALSE;
  }
  if (n_cpus == sandbox->size.vcpus) sandbox->untaken.vcpus = 0;
  if (!wait_for_memory(sandbox, agent, error)) return FALSE;
  sandbox->untaken.memory_mib = 0;
  return TRUE;
}

/* Half of the memory that was there when it was mounted would be less than half now. What else is in memory is as large
 * as on the host, from the beginning. */
static void let_shm_grow(const Sandbox *sandbox, TtrpcClient *agent) {
  if (!sandbox->shm_is_free) return;
  char *options[] = {"size=50%"};
  Grpc__Storage shm = GRPC__STORAGE__INIT, *storages[] = {&shm};
  shm.driver = "ephemeral";
  shm.fstype = "tmpfs";
  shm.mount_point = GUEST_SHM_DIR;
  shm.options = options;
  shm.n_options = G_N_ELEMENTS(options);
  Grpc__UpdateEphemeralMountsRequest request = GRPC__UPDATE_EPHEMERAL_MOUNTS_REQUEST__INIT;
  request.storages = storages;
  request.n_storages = G_N_ELEMENTS(storages);
  g_autoptr(GError) error = NULL;
  if (!agent_call_update_ephemeral_mounts(agent, &request, AGENT_CALL_TIMEOUT_MS, &error))
    g_warning("the guest's /dev/shm does not grow with its memory: %s", error->message);
}

/* What a guest refuses stays plugged in: it cannot be taken out again without the guest. Nothing counts on it, and the
 * next one who needs it asks the guest again. */
static gboolean grow_with_guest(Sandbox *sandbox, const VmSize *target, GError **error) {
  VmSize taken = get_taken(sandbox), before = sandbox->size, missing = sandbox->untaken;
  if (target->vcpus <= taken.vcpus && target->memory_mib <= taken.memory_mib) return TRUE;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  if (agent == NULL) return FALSE;
  if (target->memory_mib > taken.memory_mib && sandbox->untaken.memory_mib == 0)
    sandbox->counted_mib = count_memory(agent);
  gboolean grown = grow(sandbox, target, error);
  sandbox->untaken.vcpus += sandbox->size.vcpus - before.vcpus;
  sandbox->untaken.memory_mib += sandbox->size.memory_mib - before.memory_mib;
  gboolean done =
      grown && tell_guest(sandbox, agent, target->vcpus > taken.vcpus ? sandbox->size.vcpus : taken.vcpus, error);
  if (done && target->memory_mib > taken.memory_mib) let_shm_grow(sandbox, agent);
  gboolean changed = before.vcpus != sandbox->size.vcpus || before.memory_mib != sandbox->size.memory_mib ||
                     missing.vcpus != sandbox->untaken.vcpus || missing.memory_mib != sandbox->untaken.memory_mib;
  return (!changed || store_save(sandbox, done ? error : NULL)) && done;
}

/* ---- who asks for it ---- */

/* What the machine was not made for cannot be plugged in. */
static gboolean check_target(const Sandbox *sandbox, const VmSize *target, GError **error) {
  VmSize limit = vm_config_get_limit(sandbox->settings), taken = get_taken(sandbox);
  if (target->vcpus < taken.vcpus || target->memory_mib < taken.memory_mib) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "it has %u CPUs and %" G_GUINT64_FORMAT " MiB, and does not shrink", taken.vcpus, taken.memory_mib);
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
  VmSize taken = get_taken(sandbox);
  VmSize target = {size->vcpus != 0 ? size->vcpus : taken.vcpus,
                   size->memory_mib != 0 ? size->memory_mib : taken.memory_mib};
  gboolean done = sandbox_check_running(sandbox, error) && check_target(sandbox, &target, error) &&
                  grow_with_guest(sandbox, &target, error);
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
  VmSize target = get_target(sandbox, extra, extra_demand);
  gboolean done = grow_with_guest(sandbox, &target, error);
  g_mutex_unlock(&sandbox->resizing);
  if (!done)
    g_prefix_error(error,
                   "cannot let the virtual machine grow to %u CPUs and %" G_GUINT64_FORMAT " MiB: ", target.vcpus,
                   target.memory_mib);
  return done;
}
