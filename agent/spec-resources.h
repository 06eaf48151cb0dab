/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits of a container as this guest's kernel and crun can take them. */
#pragma once

#include "common/oci.h"

/* What this kernel has, for those who only rewrite documents. */
typedef struct {
  const char *cpus; /* that containers may use; NULL: it has no cpusets */
  const char *mems;
  gboolean has_io_weight;
  gboolean has_swap_limit;
  gboolean has_cpus_limit, has_mems_limit; /* the container's cgroup has lists already */
} SpecKernel;

/* Refuses numbers that are none, and what only cgroup version 1 has: nobody would enforce it. resources may be NULL. */
gboolean spec_check_resources(const OciResources *resources, GError **error);

/* Changes them in place, checked as above. Zeros that mean "not set", which crun would write, go. What crun does not
 * know, but the kernel does, becomes an entry of "unified". The host's CPUs become the guest's. resources may be
 * NULL. */
gboolean spec_prepare_resources(OciResources *resources, const SpecKernel *kernel, GError **error);

/* Weights of single block devices, as lines for "io.weight": crun 1.8.1 looks for that file in the wrong place. To be
 * freed with g_strfreev(). */
char **spec_get_device_weights(const OciResources *resources);

/* With memory.checkBeforeUpdate: refuses limits that what is used now is above already, in runc's words. used: bytes in
 * memory.current. */
gboolean spec_check_memory_update(const OciResources *resources, guint64 used, GError **error);
