// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/cgroup-limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

/* Both versions' bounds of CPU weights: cgroups(7), Documentation/admin-guide/cgroup-v2.rst. */
#define SHARES_DEFAULT 1024
#define SHARES_MIN 2
#define SHARES_MAX 262144
#define WEIGHT_MAX 10000
#define BLOCK_WEIGHT_MIN 10
#define BLOCK_WEIGHT_MAX 1000

CgroupLimits cgroup_limits_sum(const VmDemand *demands, gsize n_demands, double base_vcpus, guint64 memory_mib,
                               guint64 overhead_mib) {
  gboolean all_cpu = n_demands > 0, all_memory = n_demands > 0;
  double vcpus = base_vcpus;
  guint64 shares = 0;
  for (gsize i = 0; i < n_demands; i++) {
    all_cpu = all_cpu && demands[i].vcpus > 0;
    all_memory = all_memory && demands[i].memory_mib > 0;
    vcpus += demands[i].vcpus;
    shares += MIN(demands[i].shares > 0 ? demands[i].shares : SHARES_DEFAULT, SHARES_MAX);
  }
  CgroupLimits limits = {.cpu_quota_us = -1, .memory_bytes = -1};
  limits.cpu_shares = n_demands > 0 ? CLAMP(shares, SHARES_MIN, SHARES_MAX) : SHARES_DEFAULT;
  if (all_cpu) limits.cpu_quota_us = (gint64)(vcpus * CGROUP_CPU_PERIOD_US);
  if (all_memory) limits.memory_bytes = (gint64)(memory_mib + overhead_mib) << 20;
  return limits;
}

/* As runc maps one to the other. */
guint64 cgroup_limits_get_weight(const CgroupLimits *limits) {
  return 1 + (limits->cpu_shares - SHARES_MIN) * (WEIGHT_MAX - 1) / (SHARES_MAX - SHARES_MIN);
}

/* ---- writing ---- */

/* 0, or why not; ENOENT: the controller is not there, in this version. */
static int write_file(const char *directory, const char *file, const char *value) {
  g_autofree char *path = g_build_filename(directory, file, NULL);
  autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  return write(fd, value, strlen(value)) < 0 ? errno : 0;
}

static void set(const char *directory, const char *file, const char *value) {
  int reason = write_file(directory, file, value);
  if (reason != 0 && reason != ENOENT)
    g_warning("cannot write '%s' to '%s/%s': %s", value, directory, file, g_strerror(reason));
}

static void set_number(const char *directory, const char *file, gint64 value) {
  g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, value);
  set(directory, file, text);
}

static void apply(const char *directory, const CgroupLimits *limits) {
  g_autofree char *memory =
      limits->memory_bytes < 0 ? g_strdup("max") : g_strdup_printf("%" G_GINT64_FORMAT, limits->memory_bytes);
  g_autofree char *cpu = limits->cpu_quota_us < 0
                             ? g_strdup_printf("max %d", CGROUP_CPU_PERIOD_US)
                             : g_strdup_printf("%" G_GINT64_FORMAT " %d", limits->cpu_quota_us, CGROUP_CPU_PERIOD_US);
  set_number(directory, "cpu.shares", (gint64)limits->cpu_shares);
  set_number(directory, "cpu.cfs_period_us", CGROUP_CPU_PERIOD_US);
  set_number(directory, "cpu.cfs_quota_us", limits->cpu_quota_us);
  set_number(directory, "memory.limit_in_bytes", limits->memory_bytes);
  set_number(directory, "cpu.weight", (gint64)cgroup_limits_get_weight(limits));
  set(directory, "cpu.max", cpu);
  set(directory, "memory.max", memory);
}

void cgroup_limits_apply(char *const *directories, const CgroupLimits *limits) {
  for (char *const *directory = directories; directory != NULL && *directory != NULL; directory++)
    apply(*directory, limits);
}

static gboolean set_list(const char *directory, const char *file, const char *list, GError **error) {
  int reason = *list != '\0' ? write_file(directory, file, list) : 0;
  if (reason == 0 || reason == ENOENT) return TRUE;
  error_set_errno(error, reason, "cannot set %s to '%s' for the host's cgroup '%s'", file, list, directory);
  return FALSE;
}

gboolean cgroup_limits_set_cpuset(char *const *directories, const char *cpus, const char *mems, GError **error) {
  for (char *const *directory = directories; directory != NULL && *directory != NULL; directory++)
    if (!set_list(*directory, "cpuset.cpus", cpus, error) || !set_list(*directory, "cpuset.mems", mems, error))
      return FALSE;
  return TRUE;
}

/* ---- disks ---- */

static void throttle(char *const *directories, Grpc__LinuxThrottleDevice *const *entries, gsize n_entries,
                     const char *file, const char *word) {
  for (gsize i = 0; i < n_entries; i++) {
    const Grpc__LinuxThrottleDevice *entry = entries[i];
    g_autofree char *old = g_strdup_printf("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT " %" G_GUINT64_FORMAT, entry->major,
                                           entry->minor, entry->rate);
    g_autofree char *rate = entry->rate > 0 ? g_strdup_printf("%" G_GUINT64_FORMAT, entry->rate) : g_strdup("max");
    g_autofree char *new =
        g_strdup_printf("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT " %s=%s", entry->major, entry->minor, word, rate);
    for (char *const *directory = directories; *directory != NULL; directory++) {
      set(*directory, file, old);
      set(*directory, "io.max", new);
    }
  }
}

static void set_weight(const char *directory, guint weight) {
  set_number(directory, "blkio.weight", weight);
  set_number(directory, "blkio.bfq.weight", weight);
  set_number(directory, "io.bfq.weight", weight);
  set_number(directory, "io.weight",
             1 + (weight - BLOCK_WEIGHT_MIN) * (WEIGHT_MAX - 1) / (BLOCK_WEIGHT_MAX - BLOCK_WEIGHT_MIN));
}

void cgroup_limits_apply_block_io(char *const *directories, const OciResources *resources) {
  const Grpc__LinuxBlockIO *block_io = resources != NULL ? resources->blockio : NULL;
  if (block_io == NULL || directories == NULL) return;
  for (char *const *directory = directories; *directory != NULL && block_io->weight > 0; directory++)
    set_weight(*directory, CLAMP(block_io->weight, BLOCK_WEIGHT_MIN, BLOCK_WEIGHT_MAX));
  throttle(directories, block_io->throttlereadbpsdevice, block_io->n_throttlereadbpsdevice,
           "blkio.throttle.read_bps_device", "rbps");
  throttle(directories, block_io->throttlewritebpsdevice, block_io->n_throttlewritebpsdevice,
           "blkio.throttle.write_bps_device", "wbps");
  throttle(directories, block_io->throttlereadiopsdevice, block_io->n_throttlereadiopsdevice,
           "blkio.throttle.read_iops_device", "riops");
  throttle(directories, block_io->throttlewriteiopsdevice, block_io->n_throttlewriteiopsdevice,
           "blkio.throttle.write_iops_device", "wiops");
}
