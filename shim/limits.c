// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/limits.h"

#include "common/pod.h"
#include "shim/cgroup-limits.h"
#include "shim/cgroup-systemd.h"
#include "shim/sandbox-pod.h"

gboolean limits_is_pods_own(const Kata__V1__ContainerInfo *info) {
  OciSpec spec = GRPC__SPEC__INIT;
  PodPlace place;
  /* Entries of both maps have the same form: key 1, value 2. */
  spec.n_annotations = info->n_annotations;
  spec.annotations = (Grpc__Spec__AnnotationsEntry **)info->annotations;
  return pod_read_place(&spec, &place, NULL) && place.role == POD_SANDBOX;
}

/* What the pod's own container asks for, by its annotations, it does for all of them. */
static GArray *collect_demands(Sandbox *sandbox) {
  g_autoptr(GArray) demands = g_array_new(FALSE, FALSE, sizeof(VmDemand));
  g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
  VmDemand pods = sandbox_pod_get_demand(sandbox);
  if (pods.vcpus > 0 || pods.memory_mib > 0) {
    g_array_append_val(demands, pods);
    return g_steal_pointer(&demands);
  }
  for (guint i = 0; i < containers->len; i++) {
    Container *container = containers->pdata[i];
    gboolean asks = container->demand.vcpus > 0 || container->demand.memory_mib > 0;
    if (limits_is_pods_own(container->info) && asks) {
      g_array_set_size(demands, 0);
      g_array_append_val(demands, container->demand);
      break;
    }
    if (!limits_is_pods_own(container->info)) g_array_append_val(demands, container->demand);
  }
  return g_steal_pointer(&demands);
}

void limits_follow(Sandbox *sandbox) {
  if (sandbox->cgroups == NULL) return;
  g_mutex_lock(&sandbox->resizing);
  g_autoptr(GArray) demands = collect_demands(sandbox);
  guint64 overhead = sandbox->accelerator == ACCELERATOR_TCG ? CGROUP_OVERHEAD_TCG_MIB : CGROUP_OVERHEAD_MIB;
  CgroupLimits limits = cgroup_limits_sum((const VmDemand *)(const void *)demands->data, demands->len,
                                          sandbox->base_size.vcpus, sandbox->size.memory_mib, overhead);
  if (sandbox->scope != NULL) cgroup_systemd_apply(sandbox->scope, &limits);
  cgroup_limits_apply(sandbox->cgroups, &limits);
  g_mutex_unlock(&sandbox->resizing);
}
