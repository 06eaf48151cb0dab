/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/spec-resources.h"

#include <string.h>

#include "agent/cpuset.h"
#include "common/error.h"
#include "common/protobuf-text.h"

#define BURST_FILE "cpu.max.burst"
/* Weights of block devices in OCI documents; cgroup version 2 counts from 1 to 10000. */
#define BLOCK_WEIGHT_MIN 10
#define BLOCK_WEIGHT_MAX 1000
/* What cgroup version 2 reclaims by, whatever a container wants: the kernel's own. */
#define SWAPPINESS_OF_KERNEL 60
/* "As it is", from Docker. */
#define SWAPPINESS_UNSET G_MAXUINT64
#define SWAP_FILE "memory.swap.max"

/* A number that is not there, whatever its oneof is called. */
#define CLEAR(message, field) (message)->field##_given_case = 0

/* ---- what cannot be had ---- */

static gboolean refuse_leaf_weight(const Grpc__LinuxBlockIO *block_io) {
  if (block_io && block_io->leaf_weight_given_case != 0 && block_io->leafweight != 0) return TRUE;
  for (gsize i = 0; block_io && i < block_io->n_weightdevice; i++)
    if (block_io->weightdevice[i]->leafweight != 0) return TRUE;
  return FALSE;
}

/* -1 of kernel memory is no limit, which is what there is; so is the kernel's own swappiness. */
static const char *find_of_version_1(const OciResources *resources) {
  const Grpc__LinuxMemory *memory = resources->memory;
  const Grpc__LinuxCPU *cpu = resources->cpu;
  const Grpc__LinuxNetwork *network = resources->network;
  if (memory && memory->kernel > 0) return "memory.kernel";
  if (memory && memory->kerneltcp > 0) return "memory.kernelTCP";
  if (memory && memory->disableoomkiller) return "memory.disableOOMKiller";
  if (memory && memory->swappiness != 0 && memory->swappiness != SWAPPINESS_OF_KERNEL &&
      memory->swappiness != SWAPPINESS_UNSET)
    return "memory.swappiness (but 0 and 60)";
  if (cpu && cpu->realtimeruntime > 0) return "cpu.realtimeRuntime";
  if (cpu && cpu->realtimeperiod > 0) return "cpu.realtimePeriod";
  if (network && network->classid != 0) return "network.classID";
  if (network && network->n_priorities > 0) return "network.priorities";
  return refuse_leaf_weight(resources->blockio) ? "blockIO.leafWeight" : NULL;
}

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

gboolean spec_check_resources(const OciResources *resources, GError **error) {
  const char *missing = resources ? find_of_version_1(resources) : NULL;
  if (!missing) return !resources || !resources->memory || check_memory(resources->memory, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "linux.resources.%s: this guest has cgroup version 2, without it", missing);
  return FALSE;
}

/* ---- what is changed ---- */

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

/* A container that is never to be swapped may be limited to no swap at all; of any that has a limit of its own beside
 * it, version 1 swapped nothing either. */
static void prepare_swappiness(OciResources *resources, const SpecKernel *kernel) {
  Grpc__LinuxMemory *memory = resources->memory;
  gboolean is_never = memory->swappiness_given_case != 0 && memory->swappiness == 0;
  CLEAR(memory, swappiness);
  if (!is_never) return;
  CLEAR(memory, swap);
  if (kernel->has_swap_limit) add_unified(resources, SWAP_FILE, g_strdup("0"));
}

static void prepare_memory(OciResources *resources, const SpecKernel *kernel) {
  Grpc__LinuxMemory *memory = resources->memory;
  CLEAR(memory, kernel);
  memory->kernel_tcpgiven_case = 0;
  memory->disableoomkiller = FALSE;
  if (memory->limit == 0) CLEAR(memory, limit);
  if (memory->reservation == 0) CLEAR(memory, reservation);
  if (memory->swap == 0) CLEAR(memory, swap);
  prepare_swappiness(resources, kernel);
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
  g_autofree char *text = cpuset_to_text(chosen);
  if (chosen->len < there->len || list->is_limited) protobuf_set_string(list->field, text);
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

/* 0 is "not set". */
static gboolean check_one_weight(guint weight, const char *name, GError **error) {
  if (weight == 0 || (weight >= BLOCK_WEIGHT_MIN && weight <= BLOCK_WEIGHT_MAX)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s is %u: it can be from %d to %d", name, weight,
              BLOCK_WEIGHT_MIN, BLOCK_WEIGHT_MAX);
  return FALSE;
}

static gboolean check_weights(const Grpc__LinuxBlockIO *block_io, const SpecKernel *kernel, GError **error) {
  gboolean is_wanted = block_io->weight != 0;
  if (!check_one_weight(block_io->weight, "blockIO.weight", error)) return FALSE;
  for (gsize i = 0; i < block_io->n_weightdevice; i++) {
    g_autofree char *name = g_strdup_printf("blockIO.weightDevice[%zu].weight", i);
    if (!check_one_weight(block_io->weightdevice[i]->weight, name, error)) return FALSE;
    is_wanted |= block_io->weightdevice[i]->weight != 0;
  }
  if (!is_wanted || kernel->has_io_weight) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "linux.resources.blockIO.weight: this guest's kernel cannot weigh block I/O");
  return FALSE;
}

/* FALSE: nothing is left of it; crun would look for the weight's file all the same. */
static gboolean prepare_block_io(Grpc__LinuxBlockIO *block_io) {
  block_io->leaf_weight_given_case = 0;
  drop_device_weights(block_io);
  if (block_io->weight == 0) CLEAR(block_io, weight);
  return block_io->weight_given_case != 0 || block_io->n_throttlereadbpsdevice > 0 ||
         block_io->n_throttlewritebpsdevice > 0 || block_io->n_throttlereadiopsdevice > 0 ||
         block_io->n_throttlewriteiopsdevice > 0;
}

/* They were checked. */
char **spec_get_device_weights(const OciResources *resources) {
  const Grpc__LinuxBlockIO *block_io = resources ? resources->blockio : NULL;
  g_autoptr(GPtrArray) lines = g_ptr_array_new();
  for (gsize i = 0; block_io && i < block_io->n_weightdevice; i++) {
    const Grpc__LinuxWeightDevice *entry = block_io->weightdevice[i];
    if (entry->weight == 0) continue;
    guint weight = entry->weight - BLOCK_WEIGHT_MIN;
    g_ptr_array_add(lines, g_strdup_printf("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT " %u", entry->major, entry->minor,
                                           1 + weight * 9999 / (BLOCK_WEIGHT_MAX - BLOCK_WEIGHT_MIN)));
  }
  g_ptr_array_add(lines, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&lines), FALSE);
}

gboolean spec_prepare_resources(OciResources *resources, const SpecKernel *kernel, GError **error) {
  if (!resources) return TRUE;
  if (!spec_check_resources(resources, error)) return FALSE;
  if (resources->memory) prepare_memory(resources, kernel);
  if (resources->cpu && !prepare_cpu(resources, kernel, error)) return FALSE;
  if (resources->blockio && !check_weights(resources->blockio, kernel, error)) return FALSE;
  if (resources->blockio && !prepare_block_io(resources->blockio)) {
    protobuf_c_message_free_unpacked(&resources->blockio->base, NULL);
    resources->blockio = NULL;
  }
  /* Empty: it was looked at above. */
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
