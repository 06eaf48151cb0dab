// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "resources-json.h"

#define RESOURCES_LIMIT (1u << 20)

static const char *file;
static const char *l3_cache, *memory_bandwidth;

enum {
  BLKIO_WEIGHT,
  CPU_PERIOD,
  CPU_QUOTA,
  CPU_BURST,
  CPU_SHARE,
  CPU_RT_PERIOD,
  CPU_RT_RUNTIME,
  CPUSET_CPUS,
  CPUSET_MEMS,
  CPU_IDLE,
  KERNEL_MEMORY,
  KERNEL_MEMORY_TCP,
  MEMORY,
  MEMORY_RESERVATION,
  MEMORY_SWAP,
  PIDS_LIMIT,
  N_CHANGES
};

static ResourceChange changes[N_CHANGES + 1] = {
    [BLKIO_WEIGHT] = {"blkio-weight", NULL, RESOURCE_UNSIGNED, "blockIO", "weight"},
    [CPU_PERIOD] = {"cpu-period", NULL, RESOURCE_UNSIGNED, "cpu", "period"},
    [CPU_QUOTA] = {"cpu-quota", NULL, RESOURCE_SIGNED, "cpu", "quota"},
    [CPU_BURST] = {"cpu-burst", NULL, RESOURCE_UNSIGNED, "cpu", "burst"},
    [CPU_SHARE] = {"cpu-share", NULL, RESOURCE_UNSIGNED, "cpu", "shares"},
    [CPU_RT_PERIOD] = {"cpu-rt-period", NULL, RESOURCE_UNSIGNED, "cpu", "realtimePeriod"},
    [CPU_RT_RUNTIME] = {"cpu-rt-runtime", NULL, RESOURCE_SIGNED, "cpu", "realtimeRuntime"},
    [CPUSET_CPUS] = {"cpuset-cpus", NULL, RESOURCE_TEXT, "cpu", "cpus"},
    [CPUSET_MEMS] = {"cpuset-mems", NULL, RESOURCE_TEXT, "cpu", "mems"},
    [CPU_IDLE] = {"cpu-idle", NULL, RESOURCE_SIGNED, "cpu", "idle"},
    [KERNEL_MEMORY] = {"kernel-memory", NULL, RESOURCE_SIZE, "memory", "kernel"},
    [KERNEL_MEMORY_TCP] = {"kernel-memory-tcp", NULL, RESOURCE_SIZE, "memory", "kernelTCP"},
    [MEMORY] = {"memory", NULL, RESOURCE_SIZE, "memory", "limit"},
    [MEMORY_RESERVATION] = {"memory-reservation", NULL, RESOURCE_SIZE, "memory", "reservation"},
    [MEMORY_SWAP] = {"memory-swap", NULL, RESOURCE_SIZE, "memory", "swap"},
    [PIDS_LIMIT] = {"pids-limit", NULL, RESOURCE_SIGNED, "pids", "limit"},
};

const Option update_options[] = {
    {"resources", 'r', OPTION_TEXT, &file, "FILE|-",
     "an OCI linux.resources object; all other options are ignored then"},
    {"memory", 0, OPTION_TEXT, &changes[MEMORY].value, "SIZE", "memory limit, -1: none"},
    {"memory-reservation", 0, OPTION_TEXT, &changes[MEMORY_RESERVATION].value, "SIZE", "soft memory limit, -1: none"},
    {"memory-swap", 0, OPTION_TEXT, &changes[MEMORY_SWAP].value, "SIZE", "limit of memory and swap, -1: none"},
    {"cpu-period", 0, OPTION_TEXT, &changes[CPU_PERIOD].value, "US", "period of the CPU quota, in microseconds"},
    {"cpu-quota", 0, OPTION_TEXT, &changes[CPU_QUOTA].value, "US", "CPU time in a period, in microseconds"},
    {"cpu-share", 0, OPTION_TEXT, &changes[CPU_SHARE].value, "N", "relative weight for CPU time"},
    {"pids-limit", 0, OPTION_TEXT, &changes[PIDS_LIMIT].value, "N", "how many processes it may have, -1: any number"},
    {"cpu-burst", 0, OPTION_TEXT, &changes[CPU_BURST].value, "US",
     "CPU time saved up for a later period, in microseconds"},
    {"cpu-idle", 0, OPTION_TEXT, &changes[CPU_IDLE].value, "0|1", "1: run only when nobody else in the guest wants to"},
    {"cpu-rt-period", 0, OPTION_TEXT, &changes[CPU_RT_PERIOD].value, "US", "accepted: cgroup v2 has no such limit"},
    {"cpu-rt-runtime", 0, OPTION_TEXT, &changes[CPU_RT_RUNTIME].value, "US", "accepted: cgroup v2 has no such limit"},
    {"cpuset-cpus", 0, OPTION_TEXT, &changes[CPUSET_CPUS].value, "LIST",
     "CPUs of the host, in the guest as many of its own"},
    {"cpuset-mems", 0, OPTION_TEXT, &changes[CPUSET_MEMS].value, "LIST",
     "memory nodes of the host, in the guest as many of its own"},
    {"blkio-weight", 0, OPTION_TEXT, &changes[BLKIO_WEIGHT].value, "10-1000",
     "relative weight for disks of the guest, where its kernel has such weights"},
    {"kernel-memory", 0, OPTION_TEXT, &changes[KERNEL_MEMORY].value, "SIZE", NULL},
    {"kernel-memory-tcp", 0, OPTION_TEXT, &changes[KERNEL_MEMORY_TCP].value, "SIZE", NULL},
    {"l3-cache-schema", 0, OPTION_TEXT, &l3_cache, "SCHEMA", "refused: guests have no Intel RDT"},
    {"mem-bw-schema", 0, OPTION_TEXT, &memory_bandwidth, "SCHEMA", "refused: guests have no Intel RDT"},
    OPTIONS_END};

static char *read_resources(GError **error) {
  if (strcmp(file, "-") != 0) return safe_read_file(file, RESOURCES_LIMIT, NULL, error);
  g_autofree char *text = g_malloc(RESOURCES_LIMIT + 1);
  ssize_t length = fd_read_all(STDIN_FILENO, text, RESOURCES_LIMIT + 1);
  if (length < 0) {
    error_set_errno(error, errno, "cannot read the resources from standard input");
    return NULL;
  }
  if (length > (ssize_t)RESOURCES_LIMIT) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "the resources on standard input exceed %u bytes",
                RESOURCES_LIMIT);
    return NULL;
  }
  text[length] = '\0';
  if (strlen(text) == (gsize)length) return g_steal_pointer(&text);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the resources on standard input are not JSON text");
  return NULL;
}

/* What is understood, checked, and has no effect in a guest. */
static void drop_ignored(void) {
  static const int ignored[] = {CPU_RT_PERIOD, CPU_RT_RUNTIME};
  for (gsize i = 0; i < G_N_ELEMENTS(ignored); i++) {
    if (changes[ignored[i]].value == NULL) continue;
    g_warning("--%s is ignored: cgroup version 2, the guest's, has no such limit", changes[ignored[i]].option);
    changes[ignored[i]].value = NULL;
  }
  if (changes[KERNEL_MEMORY].value == NULL && changes[KERNEL_MEMORY_TCP].value == NULL) return;
  g_warning("Kernel memory settings are ignored and will be removed");
  changes[KERNEL_MEMORY].value = changes[KERNEL_MEMORY_TCP].value = NULL;
}

static char *build_resources(GError **error) {
  if (file != NULL) return read_resources(error);
  if (l3_cache != NULL || memory_bandwidth != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "Intel RDT is not there in a guest: --%s cannot be set",
                l3_cache != NULL ? "l3-cache-schema" : "mem-bw-schema");
    return NULL;
  }
  g_autofree char *checked = resources_json_build(changes, error); /* the ignored ones too */
  if (checked == NULL) return NULL;
  drop_ignored();
  return resources_json_build(changes, error);
}

int cmd_update(App *app, char **operands, GError **error) {
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  g_autofree char *resources = container != NULL ? build_resources(error) : NULL;
  int status = resources != NULL ? app_get_status(container, error) : -1;
  if (status < 0) return 1;
  if (status == KATA_CONTAINER_STOPPED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "container not running");
    return 1;
  }
  kata_error *err = NULL;
  if (kata_container_update(container, resources, 0, &err) == 0) return 0;
  app_take_error(err, error);
  return 1;
}
