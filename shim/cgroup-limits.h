/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the cgroup with the machine may use on the host: what the machine was made for, so that a guest that breaks out
 * of its own limits still has them, and never so little that a workload at its limit costs the machine its life. The
 * number of processes is left to the guest: QEMU's threads are not the container's.
 */
#pragma once

#include <glib.h>

#include "common/oci.h"
#include "lib/vm-size.h"

/* The period of CPU quotas, in microseconds. */
#define CGROUP_CPU_PERIOD_US 100000
/* What QEMU, virtiofsd and the owner need beside the guest's memory; QEMU's translated code is up to 1 GiB. */
#define CGROUP_OVERHEAD_MIB 256u
#define CGROUP_OVERHEAD_TCG_MIB 1280u

typedef struct {
  guint64 cpu_shares;  /* weight, as version 1 counts */
  gint64 cpu_quota_us; /* in each CGROUP_CPU_PERIOD_US; -1: no limit */
  gint64 memory_bytes; /* -1: no limit */
} CgroupLimits;

/* From what the containers ask for that do the work (a pod's own container does none). CPUs and memory have a limit if
 * all of them have one: the machine's CPUs are its first ones and theirs, its memory is all it has. Pure. */
CgroupLimits cgroup_limits_sum(const VmDemand *demands, gsize n_demands, double base_vcpus, guint64 memory_mib,
                               guint64 overhead_mib);

/* Their weight as version 2 counts. */
guint64 cgroup_limits_get_weight(const CgroupLimits *limits);

/* Sets them in all of a cgroup's directories. What cannot be set is logged. */
void cgroup_limits_apply(char *const *directories, const CgroupLimits *limits);

/* Lists for the cpuset controller, "" for no change. An error names what the kernel refused. */
gboolean cgroup_limits_set_cpuset(char *const *directories, const char *cpus, const char *mems, GError **error);

/* Limits of disks of the host: the container's files are read and written there. resources may be NULL. What cannot be
 * set is logged. */
void cgroup_limits_apply_block_io(char *const *directories, const OciResources *resources);
