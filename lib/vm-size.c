// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/vm-size.h"

#include <string.h>

#define SHARES_PER_CPU 1024
#define MIB (1u << 20)
/* Nobody means this much: version 1 cgroups write "no limit" as a number near it. */
#define MEMORY_ABSURD (G_MAXINT64 / 2)
#define CPUS_ABSURD 4096.0

VmDemand vm_demand_of_limits(gint64 quota, guint64 period, guint64 shares, gint64 memory_bytes) {
  VmDemand demand = {.shares = shares};
  if (quota > 0 && period > 0)
    demand.vcpus = MIN((double)quota / (double)period, CPUS_ABSURD);
  else if (quota < 0 && shares > 0)
    demand.vcpus = MIN((double)(shares / SHARES_PER_CPU + (shares % SHARES_PER_CPU != 0)), CPUS_ABSURD);
  if (memory_bytes > 0 && memory_bytes < MEMORY_ABSURD) demand.memory_mib = ((guint64)memory_bytes + MIB - 1) / MIB;
  return demand;
}

/* Of a list such as "0-2,5"; what is no such list is not counted, and others refuse it. */
static guint count_cpus(const char *list) {
  g_auto(GStrv) parts = g_strsplit(list, ",", -1);
  guint8 named[(guint)CPUS_ABSURD + 1] = {0};
  guint count = 0;
  for (char **part = parts; *part != NULL; part++) {
    guint64 first = 0, last = 0;
    char *dash = strchr(g_strstrip(*part), '-');
    if (dash != NULL) *dash = '\0';
    if (**part == '\0' || !g_ascii_string_to_unsigned(*part, 10, 0, (guint64)CPUS_ABSURD, &first, NULL) ||
        !g_ascii_string_to_unsigned(dash != NULL ? dash + 1 : *part, 10, first, (guint64)CPUS_ABSURD, &last, NULL))
      continue;
    memset(named + first, 1, last - first + 1);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(named); i++) count += named[i];
  return MIN(count, (guint)CPUS_ABSURD);
}

VmDemand vm_demand_of_resources(const OciResources *resources) {
  const Grpc__LinuxCPU *cpu = resources != NULL ? resources->cpu : NULL;
  const Grpc__LinuxMemory *memory = resources != NULL ? resources->memory : NULL;
  VmDemand demand = vm_demand_of_limits(cpu != NULL ? cpu->quota : 0, cpu != NULL ? cpu->period : 0,
                                        cpu != NULL ? cpu->shares : 0, memory != NULL ? memory->limit : 0);
  if (cpu != NULL) demand.named_cpus = count_cpus(cpu->cpus);
  for (size_t i = 0; resources != NULL && i < resources->n_hugepagelimits; i++) {
    guint64 limit = resources->hugepagelimits[i]->limit;
    if (limit < MEMORY_ABSURD) demand.huge_page_mib += limit / MIB;
  }
  return demand;
}

VmDemand vm_demand_extra(const VmDemand *demands, gsize n_demands) {
  VmDemand extra = {0};
  gboolean has_time = FALSE;
  for (gsize i = 0; i < n_demands; i++) {
    has_time |= demands[i].vcpus > 0;
    extra.vcpus = MIN(extra.vcpus + demands[i].named_cpus, CPUS_ABSURD);
    extra.memory_mib = MIN(extra.memory_mib + demands[i].huge_page_mib, MEMORY_ABSURD / MIB);
  }
  if (has_time) extra.vcpus = 0;
  return extra;
}

static gint64 get_number(const OciSpec *spec, const char *name, gboolean *any) {
  const char *text = oci_spec_get_annotation(spec, name);
  gint64 number = 0;
  if (text == NULL || !g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, NULL)) return 0;
  *any = TRUE;
  return number;
}

gboolean vm_demand_of_annotations(const OciSpec *spec, VmDemand *ret) {
  gboolean any = FALSE;
  gint64 quota = get_number(spec, "io.kubernetes.cri.sandbox-cpu-quota", &any);
  gint64 period = get_number(spec, "io.kubernetes.cri.sandbox-cpu-period", &any);
  gint64 shares = get_number(spec, "io.kubernetes.cri.sandbox-cpu-shares", &any);
  gint64 memory = get_number(spec, "io.kubernetes.cri.sandbox-memory", &any);
  if (any) *ret = vm_demand_of_limits(quota, (guint64)MAX(period, 0), (guint64)MAX(shares, 0), memory);
  return any;
}

VmDemand vm_demand_of_spec(const OciSpec *spec) {
  VmDemand demand;
  if (vm_demand_of_annotations(spec, &demand)) return demand;
  return vm_demand_of_resources(spec->linux != NULL ? spec->linux->resources : NULL);
}

/* Three times 0.1 is not above 0.3. */
static guint round_up(double vcpus) {
  guint whole = (guint)vcpus;
  return vcpus - whole > 1e-6 ? whole + 1 : whole;
}

VmSize vm_size_sum(const VmSize *base, const VmDemand *demands, gsize n_demands, const VmSize *limit) {
  double vcpus = base->vcpus;
  guint64 memory = base->memory_mib;
  for (gsize i = 0; i < n_demands; i++) {
    vcpus += demands[i].vcpus;
    memory += MIN(demands[i].memory_mib, G_MAXUINT64 / 2 - memory);
  }
  VmSize size = {.vcpus = MAX(round_up(vcpus), 1), .memory_mib = memory};
  /* Never below what it would be without any demand. */
  if (limit->vcpus > 0) size.vcpus = MIN(size.vcpus, MAX(limit->vcpus, base->vcpus));
  if (limit->memory_mib > 0) size.memory_mib = MIN(size.memory_mib, MAX(limit->memory_mib, base->memory_mib));
  return size;
}
