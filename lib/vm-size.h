/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How large a guest must be for what its containers ask for: upstream's arithmetic, pure. */
#pragma once

#include <glib.h>

#include "common/oci.h"

/* What one container may use. */
typedef struct {
  double vcpus;       /* 0: it does not say */
  guint64 memory_mib; /* 0: it does not say */
  guint64 shares;     /* its weight where CPU time is short, on the host; 0: it does not say */
  /* What only a machine that can grow follows, see vm_demand_extra(). */
  guint named_cpus;      /* of its cpuset */
  guint64 huge_page_mib; /* its limits of huge pages together */
} VmDemand;

typedef struct {
  guint vcpus;
  guint64 memory_mib;
} VmSize;

/* quota/period; a quota below 0 (CPUs of its own by shares): one for each begun 1024 shares. Memory in MiB, rounded up;
 * below 0: no limit. */
VmDemand vm_demand_of_limits(gint64 quota, guint64 period, guint64 shares, gint64 memory_bytes);

/* From linux.resources (may be NULL). */
VmDemand vm_demand_of_resources(const OciResources *resources);

/* From what an engine says of a whole pod in the annotations of its sandbox container (containerd's
 * io.kubernetes.cri.sandbox-*); FALSE if it says nothing. */
gboolean vm_demand_of_annotations(const OciSpec *spec, VmDemand *ret);

/* What a container's document asks for, or the pod's that it begins. */
VmDemand vm_demand_of_spec(const OciSpec *spec);

/* What upstream counts on top of demands while a machine runs: limits of huge pages, and where none of them has CPU
 * time of its own, the CPUs that cpusets name. */
VmDemand vm_demand_extra(const VmDemand *demands, gsize n_demands);

/* base and all demands together: CPUs rounded up, at least one. limit: at most this much; a 0 in it: no limit. */
VmSize vm_size_sum(const VmSize *base, const VmDemand *demands, gsize n_demands, const VmSize *limit);
