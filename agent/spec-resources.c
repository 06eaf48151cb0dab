/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/spec-resources.h"

#include <string.h>

#include "agent/cpuset.h"
#include "common/error.h"

#define BURST_FILE "cpu.max.burst"
/* Weights of block devices in OCI documents; cgroup version 2 counts from 1 to 10000. */
#define BLOCK_WEIGHT_MIN 10
#define BLOCK_WEIGHT_MAX 1000

/* A number that is not there, whatever its oneof is called. */
#define CLEAR(message, field) (message)->field##_given_case = 0

/* -1 is no limit; the kernel would take other negative numbers for something else, or not at all. */
static gboolean check_memory(const Grpc__LinuxMemory *memory, GError **error) {
  const struct {
    const char *name;
    gint64 value;
  } values[] = {{"limit", memory->limit}, {"reservation", memory->reservation}, {"swap", memory->swap}};
  for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
    if (values[i].value >= -1) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "memory.%s is %" G_GINT64_FORMAT ": not a number of bytes, nor -1 for no limit", values[i].name,
                values[i].value);
    return FALSE;
  }
  return TRUE;
}

static gboolean prepare_memory(Grpc__LinuxMemory *memory, GError **error) {
  if (!check_memory(memory, error)) return FALSE;
  CLEAR(memory, kernel);
  memory->kernel_tcpgiven_case = 0;
  CLEAR(memory, swappiness);
  memory->disableoomkiller = FALSE;
  if (memory->limit == 0) CLEAR(memory, limit);
  if (memory->reservation == 0) CLEAR(memory, reservation);
  if (memory->swap == 0) CLEAR(memory, swap);
  return TRUE;
}

/* A caller that names the file itself knows better. */
static void add_unified(OciResources *resources, const char *file, char *value) {
  for (gsize i = 0; i < resources->n_unified; i++) {
    if (strcmp(resources->unified[i]->key, file) != 0) continue;
    g_free(value);
    return;
  }
  Grpc__LinuxResources__UnifiedEntry *entry = g_new(Grpc__LinuxResources__UnifiedEntry, 1);
  grpc__linux_resources__unified_entry__init(entry);
  entry->key = g_strdup(file);
  entry->value = value;
  resources->unified = g_renew(Grpc__LinuxResources__UnifiedEntry *, resources->unified, resources->n_unified + 1);
  resources->unified[resources->n_unified++] = entry;
}

static void set_string(char **field, char *value) {
  if (*field != (char *)protobuf_c_empty_string) g_free(*field);
  *field = value;
}

static gboolean check_idle(const Grpc__LinuxCPU *cpu, GError **error) {
  if (cpu->idle_given_case == 0 || cpu->idle == 0 || cpu->idle == 1) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cpu.idle is %" G_GINT64_FORMAT ": it can be 0 or 1",
              cpu->idle);
  return FALSE;
}

static gboolean check_list(const char *list, const char *what, GError **error) {
  g_autoptr(GArray) numbers = *list ? cpuset_parse(list, what, error) : NULL;
  return !*list || numbers;
}

typedef struct {
  char **field;
  const char *host, *guest;
  gboolean is_limited; /* so far */
  const char *name;
} List;

/* All that the guest has is no limit: CPUs that are added later are not kept from the container. But the kernel lets
 * nobody take a list away from a cgroup with processes. */
static gboolean translate(const List *list, GError **error) {
  if (!list->guest || *list->host == '\0' || **list->field != '\0') return TRUE;
  g_autoptr(GArray) wanted = cpuset_parse(list->host, list->name, error);
  g_autoptr(GArray) there = wanted ? cpuset_parse(list->guest, "the guest's list", error) : NULL;
  if (!there) return FALSE;
  g_autoptr(GArray) chosen = cpuset_translate(wanted, there);
  if (chosen->len < there->len || list->is_limited) set_string(list->field, cpuset_to_text(chosen));
  return TRUE;
}

/* crun 1.8.1 leaves the old quota in place. */
static void lift_quota(OciResources *resources) {
  Grpc__LinuxCPU *cpu = resources->cpu;
  add_unified(resources, "cpu.max",
              cpu->period > 0 ? g_strdup_printf("max %" G_GUINT64_FORMAT, cpu->period) : g_strdup("max"));
  CLEAR(cpu, quota);
  CLEAR(cpu, period);
}

static gboolean prepare_cpu(OciResources *resources, const SpecKernel *kernel, GError **error) {
  Grpc__LinuxCPU *cpu = resources->cpu;
  if (!check_list(cpu->cpus, "cpu.cpus", error) || !check_list(cpu->mems, "cpu.mems", error) || !check_idle(cpu, error))
    return FALSE;
  cpu->realtime_runtime_given_case = 0;
  cpu->realtime_period_given_case = 0;
  if (cpu->shares == 0) CLEAR(cpu, shares);
  if (cpu->quota == 0) CLEAR(cpu, quota);
  if (cpu->period == 0) CLEAR(cpu, period);
  if (cpu->quota < 0) lift_quota(resources);
  if (cpu->burst_given_case != 0) add_unified(resources, BURST_FILE, g_strdup_printf("%" G_GUINT64_FORMAT, cpu->burst));
  CLEAR(cpu, burst);
  const List cpus = {&cpu->cpus, cpu->hostcpus, kernel->cpus, kernel->has_cpus_limit, "cpu.cpus"};
  const List mems = {&cpu->mems, cpu->hostmems, kernel->mems, kernel->has_mems_limit, "cpu.mems"};
  return translate(&cpus, error) && translate(&mems, error);
}

static void drop_device_weights(Grpc__LinuxBlockIO *block_io) {
  for (gsize i = 0; i < block_io->n_weightdevice; i++)
    protobuf_c_message_free_unpacked(&block_io->weightdevice[i]->base, NULL);
  block_io->n_weightdevice = 0;
}

/* FALSE: nothing is left of it; crun would look for the weight's file all the same. */
static gboolean prepare_block_io(Grpc__LinuxBlockIO *block_io, const SpecKernel *kernel) {
  block_io->leaf_weight_given_case = 0;
  drop_device_weights(block_io);
  if (block_io->weight == 0 || !kernel->has_io_weight) CLEAR(block_io, weight);
  return block_io->weight_given_case != 0 || block_io->n_throttlereadbpsdevice > 0 ||
         block_io->n_throttlewritebpsdevice > 0 || block_io->n_throttlereadiopsdevice > 0 ||
         block_io->n_throttlewriteiopsdevice > 0;
}

char **spec_get_device_weights(const OciResources *resources) {
  const Grpc__LinuxBlockIO *block_io = resources ? resources->blockio : NULL;
  g_autoptr(GPtrArray) lines = g_ptr_array_new();
  for (gsize i = 0; block_io && i < block_io->n_weightdevice; i++) {
    const Grpc__LinuxWeightDevice *entry = block_io->weightdevice[i];
    if (entry->weight == 0) continue;
    guint weight = CLAMP(entry->weight, BLOCK_WEIGHT_MIN, BLOCK_WEIGHT_MAX) - BLOCK_WEIGHT_MIN;
    g_ptr_array_add(lines, g_strdup_printf("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT " %u", entry->major, entry->minor,
                                           1 + weight * 9999 / (BLOCK_WEIGHT_MAX - BLOCK_WEIGHT_MIN)));
  }
  g_ptr_array_add(lines, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&lines), FALSE);
}

static gboolean check_weight(const Grpc__LinuxBlockIO *block_io, GError **error) {
  if (block_io->weight == 0 || (block_io->weight >= BLOCK_WEIGHT_MIN && block_io->weight <= BLOCK_WEIGHT_MAX))
    return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "blockIO.weight is %u: it can be from %d to %d",
              block_io->weight, BLOCK_WEIGHT_MIN, BLOCK_WEIGHT_MAX);
  return FALSE;
}

gboolean spec_prepare_resources(OciResources *resources, const SpecKernel *kernel, GError **error) {
  if (!resources) return TRUE;
  if (resources->memory && !prepare_memory(resources->memory, error)) return FALSE;
  if (resources->cpu && !prepare_cpu(resources, kernel, error)) return FALSE;
  if (resources->blockio && !check_weight(resources->blockio, error)) return FALSE;
  if (resources->blockio && !prepare_block_io(resources->blockio, kernel)) {
    protobuf_c_message_free_unpacked(&resources->blockio->base, NULL);
    resources->blockio = NULL;
  }
  if (resources->network) {
    protobuf_c_message_free_unpacked(&resources->network->base, NULL);
    resources->network = NULL;
  }
  return TRUE;
}

gboolean spec_check_memory_update(const OciResources *resources, guint64 used, GError **error) {
  const Grpc__LinuxMemory *memory = resources->memory;
  if (!memory || !memory->checkbeforeupdate) return TRUE;
  const struct {
    const char *name;
    gint64 limit;
  } limits[] = {{"memory+swap", memory->swap}, {"memory", memory->limit}};
  for (gsize i = 0; i < G_N_ELEMENTS(limits); i++) {
    if (limits[i].limit <= 0 || (guint64)limits[i].limit > used) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "rejecting %s limit %" G_GINT64_FORMAT " <= usage %" G_GUINT64_FORMAT, limits[i].name, limits[i].limit,
                used);
    return FALSE;
  }
  return TRUE;
}
