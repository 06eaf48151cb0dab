// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/metrics.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "proto/cgroups-v1.pb-c.h"
#include "proto/cgroups-v2.pb-c.h"

#define NANOSECONDS_PER_MICROSECOND 1000

/* ---- what both have ---- */

static guint64 find(const Grpc__MemoryStats *memory, const char *key) {
  for (size_t i = 0; i < memory->n_stats; i++)
    if (strcmp(memory->stats[i]->key, key) == 0) return memory->stats[i]->value;
  return 0;
}

/* Sets the field of that name, if there is one. */
static void set_field(ProtobufCMessage *message, const char *name, guint64 value) {
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
  if (field == NULL || field->type != PROTOBUF_C_TYPE_UINT64 || field->label == PROTOBUF_C_LABEL_REPEATED) return;
  G_STRUCT_MEMBER(guint64, message, field->offset) = value;
}

static guint64 get_field(const ProtobufCMessage *message, const char *name) {
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
  return field != NULL ? G_STRUCT_MEMBER(guint64, message, field->offset) : 0;
}

static void set_text(ProtobufCMessage *message, const char *name, char *text) {
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
  G_STRUCT_MEMBER(char *, message, field->offset) = text;
}

static ProtobufCMessage *new_message(const ProtobufCMessageDescriptor *type) {
  ProtobufCMessage *message = g_malloc0(type->sizeof_message);
  protobuf_c_message_init(type, message);
  return message;
}

/* Both versions count the same of a network under the same names as the agent's. */
static gpointer *build_networks(const Grpc__StatsContainerResponse *stats, const ProtobufCMessageDescriptor *type) {
  gpointer *networks = g_new0(gpointer, stats->n_network_stats + 1);
  for (size_t i = 0; i < stats->n_network_stats; i++) {
    ProtobufCMessage *network = new_message(type);
    for (unsigned k = 0; k < type->n_fields; k++)
      set_field(network, type->fields[k].name, get_field(&stats->network_stats[i]->base, type->fields[k].name));
    set_text(network, "name", stats->network_stats[i]->name);
    networks[i] = network;
  }
  return networks;
}

/* usage: what that version calls the bytes in use. */
static gpointer *build_huge_pages(const Grpc__CgroupStats *cgroup, const ProtobufCMessageDescriptor *type,
                                  const char *usage, size_t *ret_n) {
  size_t length = cgroup != NULL ? cgroup->n_hugetlb_stats : 0, n = 0;
  gpointer *list = g_new0(gpointer, length + 1);
  for (size_t i = 0; i < length; i++) {
    const Grpc__HugetlbStats *from = cgroup->hugetlb_stats[i]->value;
    if (from == NULL) continue; /* the guest may leave an entry of a map without one */
    ProtobufCMessage *pages = new_message(type);
    set_field(pages, usage, from->usage);
    set_field(pages, "max", from->max_usage);
    set_field(pages, "failcnt", from->failcnt);
    set_text(pages, "pagesize", cgroup->hugetlb_stats[i]->key);
    list[n++] = pages;
  }
  *ret_n = n;
  return list;
}

static void free_list(gpointer *list, gsize length) {
  for (gsize i = 0; i < length; i++) g_free(list[i]);
  g_free(list);
}

static Google__Protobuf__Any *pack(const ProtobufCMessage *message) {
  Google__Protobuf__Any *any = g_new(Google__Protobuf__Any, 1);
  google__protobuf__any__init(any);
  any->type_url = g_strdup(message->descriptor->name);
  any->value.len = protobuf_c_message_get_packed_size(message);
  any->value.data = g_malloc(MAX(any->value.len, 1));
  protobuf_c_message_pack(message, any->value.data);
  return any;
}

void metrics_free(Google__Protobuf__Any *any) {
  if (any == NULL) return;
  g_free(any->type_url);
  g_free(any->value.data);
  g_free(any);
}

/* ---- version 1 ---- */

/* What the guest's cgroups, which are of version 2, call it. */
static const char *const names1[][2] = {
    {"cache", "file"},
    {"rss", "anon"},
    {"rss_huge", "anon_thp"},
    {"mapped_file", "file_mapped"},
    {"dirty", "file_dirty"},
    {"writeback", "file_writeback"},
    {"pg_fault", "pgfault"},
    {"pg_maj_fault", "pgmajfault"},
    {"inactive_anon", "inactive_anon"},
    {"active_anon", "active_anon"},
    {"inactive_file", "inactive_file"},
    {"active_file", "active_file"},
    {"unevictable", "unevictable"},
};

static void fill_entry1(Io__Containerd__Cgroups__V1__MemoryEntry *entry, const Grpc__MemoryData *data) {
  io__containerd__cgroups__v1__memory_entry__init(entry);
  if (data == NULL) return;
  entry->limit = data->limit;
  entry->usage = data->usage;
  entry->max = data->max_usage;
  entry->failcnt = data->failcnt;
}

typedef struct {
  Io__Containerd__Cgroups__V1__MemoryStat stat;
  Io__Containerd__Cgroups__V1__MemoryEntry usage, swap, kernel;
} Memory1;

static void fill_memory1(Memory1 *to, const Grpc__MemoryStats *memory) {
  io__containerd__cgroups__v1__memory_stat__init(&to->stat);
  fill_entry1(&to->usage, memory->usage);
  fill_entry1(&to->swap, memory->swap_usage);
  fill_entry1(&to->kernel, memory->kernel_usage);
  to->stat.usage = &to->usage;
  to->stat.swap = &to->swap;
  to->stat.kernel = &to->kernel;
  to->stat.hierarchical_memory_limit = to->usage.limit;
  to->stat.hierarchical_swap_limit = to->swap.limit;
  for (gsize i = 0; i < G_N_ELEMENTS(names1); i++) {
    g_autofree char *total = g_strconcat("total_", names1[i][0], NULL);
    guint64 value = find(memory, names1[i][1]);
    set_field(&to->stat.base, names1[i][0], value);
    set_field(&to->stat.base, total, value);
  }
}

typedef struct {
  Io__Containerd__Cgroups__V1__CPUStat stat;
  Io__Containerd__Cgroups__V1__CPUUsage usage;
  Io__Containerd__Cgroups__V1__Throttle throttling;
} Cpu1;

static void fill_cpu1(Cpu1 *to, const Grpc__CpuStats *cpu) {
  io__containerd__cgroups__v1__cpustat__init(&to->stat);
  io__containerd__cgroups__v1__cpuusage__init(&to->usage);
  io__containerd__cgroups__v1__throttle__init(&to->throttling);
  to->stat.usage = &to->usage;
  to->stat.throttling = &to->throttling;
  if (cpu->cpu_usage != NULL) {
    to->usage.total = cpu->cpu_usage->total_usage;
    to->usage.kernel = cpu->cpu_usage->usage_in_kernelmode;
    to->usage.user = cpu->cpu_usage->usage_in_usermode;
    to->usage.per_cpu = cpu->cpu_usage->percpu_usage;
    to->usage.n_per_cpu = cpu->cpu_usage->n_percpu_usage;
  }
  if (cpu->throttling_data == NULL) return;
  to->throttling.periods = cpu->throttling_data->periods;
  to->throttling.throttled_periods = cpu->throttling_data->throttled_periods;
  to->throttling.throttled_time = cpu->throttling_data->throttled_time;
}

/* The agent gives all counters of a disk in one list, by version 2's words. */
static void add_block1(const Grpc__BlkioStats *io, const char *const words[2], size_t *ret_n,
                       Io__Containerd__Cgroups__V1__BlkIOEntry ***ret) {
  static const char *const ops[] = {"Read", "Write"};
  Io__Containerd__Cgroups__V1__BlkIOEntry **list = g_new0(Io__Containerd__Cgroups__V1__BlkIOEntry *,  //
                                                          io->n_io_service_bytes_recursive + 1);
  size_t n = 0;
  for (size_t i = 0; i < io->n_io_service_bytes_recursive; i++) {
    const Grpc__BlkioStatsEntry *from = io->io_service_bytes_recursive[i];
    int op = strcmp(from->op, words[0]) == 0 ? 0 : strcmp(from->op, words[1]) == 0 ? 1 : -1;
    if (op < 0) continue;
    Io__Containerd__Cgroups__V1__BlkIOEntry *entry = g_new(Io__Containerd__Cgroups__V1__BlkIOEntry, 1);
    io__containerd__cgroups__v1__blk_ioentry__init(entry);
    entry->op = (char *)ops[op];
    entry->major = from->major;
    entry->minor = from->minor;
    entry->value = from->value;
    list[n++] = entry;
  }
  *ret_n = n;
  *ret = list;
}

/* What a message of version 1 points at until it is packed. */
typedef struct {
  Io__Containerd__Cgroups__V1__Metrics metrics;
  Io__Containerd__Cgroups__V1__PidsStat pids;
  Io__Containerd__Cgroups__V1__BlkIOStat blkio;
  Memory1 memory;
  Cpu1 cpu;
} Metrics1;

static void fill_blkio1(Io__Containerd__Cgroups__V1__BlkIOStat *to, const Grpc__BlkioStats *io) {
  static const char *const bytes[] = {"rbytes", "wbytes"}, *const operations[] = {"rios", "wios"};
  add_block1(io, bytes, &to->n_io_service_bytes_recursive, &to->io_service_bytes_recursive);
  add_block1(io, operations, &to->n_io_serviced_recursive, &to->io_serviced_recursive);
}

static void fill_cgroup1(Metrics1 *to, const Grpc__CgroupStats *cgroup) {
  if (cgroup->pids_stats != NULL) {
    to->pids.current = cgroup->pids_stats->current;
    to->pids.limit = cgroup->pids_stats->limit;
    to->metrics.pids = &to->pids;
  }
  if (cgroup->cpu_stats != NULL) {
    fill_cpu1(&to->cpu, cgroup->cpu_stats);
    to->metrics.cpu = &to->cpu.stat;
  }
  if (cgroup->memory_stats != NULL) {
    fill_memory1(&to->memory, cgroup->memory_stats);
    to->metrics.memory = &to->memory.stat;
  }
  if (cgroup->blkio_stats != NULL) {
    fill_blkio1(&to->blkio, cgroup->blkio_stats);
    to->metrics.blkio = &to->blkio;
  }
}

static Google__Protobuf__Any *build1(const Grpc__StatsContainerResponse *stats) {
  Metrics1 all = {.metrics = IO__CONTAINERD__CGROUPS__V1__METRICS__INIT,
                  .pids = IO__CONTAINERD__CGROUPS__V1__PIDS_STAT__INIT,
                  .blkio = IO__CONTAINERD__CGROUPS__V1__BLK_IOSTAT__INIT};
  if (stats->cgroup_stats != NULL) fill_cgroup1(&all, stats->cgroup_stats);
  gpointer *huge_pages = build_huge_pages(stats->cgroup_stats, &io__containerd__cgroups__v1__hugetlb_stat__descriptor,
                                          "usage", &all.metrics.n_hugetlb);
  all.metrics.hugetlb = (Io__Containerd__Cgroups__V1__HugetlbStat **)huge_pages;
  gpointer *networks = build_networks(stats, &io__containerd__cgroups__v1__network_stat__descriptor);
  all.metrics.network = (Io__Containerd__Cgroups__V1__NetworkStat **)networks;
  all.metrics.n_network = stats->n_network_stats;
  Google__Protobuf__Any *any = pack(&all.metrics.base);
  free_list((gpointer *)all.blkio.io_service_bytes_recursive, all.blkio.n_io_service_bytes_recursive);
  free_list((gpointer *)all.blkio.io_serviced_recursive, all.blkio.n_io_serviced_recursive);
  free_list(huge_pages, all.metrics.n_hugetlb);
  free_list(networks, stats->n_network_stats);
  return any;
}

/* ---- version 2 ---- */

static void fill_memory2(Io__Containerd__Cgroups__V2__MemoryStat *to, const Grpc__MemoryStats *memory) {
  io__containerd__cgroups__v2__memory_stat__init(to);
  for (size_t i = 0; i < memory->n_stats; i++) set_field(&to->base, memory->stats[i]->key, memory->stats[i]->value);
  to->workingset_refault = to->workingset_refault_anon + to->workingset_refault_file;
  to->workingset_activate = to->workingset_activate_anon + to->workingset_activate_file;
  if (memory->usage != NULL) {
    to->usage = memory->usage->usage;
    to->usage_limit = memory->usage->limit;
    to->max_usage = memory->usage->max_usage;
  }
  if (memory->swap_usage == NULL) return;
  to->swap_usage = memory->swap_usage->usage;
  to->swap_limit = memory->swap_usage->limit;
  to->swap_max_usage = memory->swap_usage->max_usage;
}

static void fill_cpu2(Io__Containerd__Cgroups__V2__CPUStat *to, const Grpc__CpuStats *cpu) {
  io__containerd__cgroups__v2__cpustat__init(to);
  if (cpu->cpu_usage != NULL) {
    to->usage_usec = cpu->cpu_usage->total_usage / NANOSECONDS_PER_MICROSECOND;
    to->user_usec = cpu->cpu_usage->usage_in_usermode / NANOSECONDS_PER_MICROSECOND;
    to->system_usec = cpu->cpu_usage->usage_in_kernelmode / NANOSECONDS_PER_MICROSECOND;
  }
  if (cpu->throttling_data == NULL) return;
  to->nr_periods = cpu->throttling_data->periods;
  to->nr_throttled = cpu->throttling_data->throttled_periods;
  to->throttled_usec = cpu->throttling_data->throttled_time / NANOSECONDS_PER_MICROSECOND;
}

static Io__Containerd__Cgroups__V2__IOEntry *find_disk(GPtrArray *disks, guint64 major, guint64 minor) {
  for (guint i = 0; i < disks->len; i++) {
    Io__Containerd__Cgroups__V2__IOEntry *disk = disks->pdata[i];
    if (disk->major == major && disk->minor == minor) return disk;
  }
  Io__Containerd__Cgroups__V2__IOEntry *disk = g_new(Io__Containerd__Cgroups__V2__IOEntry, 1);
  io__containerd__cgroups__v2__ioentry__init(disk);
  disk->major = major;
  disk->minor = minor;
  g_ptr_array_add(disks, disk);
  return disk;
}

static GPtrArray *build_disks2(const Grpc__CgroupStats *cgroup) {
  GPtrArray *disks = g_ptr_array_new_with_free_func(g_free);
  const Grpc__BlkioStats *io = cgroup != NULL ? cgroup->blkio_stats : NULL;
  for (size_t i = 0; io != NULL && i < io->n_io_service_bytes_recursive; i++) {
    const Grpc__BlkioStatsEntry *entry = io->io_service_bytes_recursive[i];
    /* "major" and "minor" are fields too, but no counters. */
    if (strcmp(entry->op, "major") == 0 || strcmp(entry->op, "minor") == 0) continue;
    set_field(&find_disk(disks, entry->major, entry->minor)->base, entry->op, entry->value);
  }
  return disks;
}

/* What a message of version 2 points at until it is packed. */
typedef struct {
  Io__Containerd__Cgroups__V2__Metrics metrics;
  Io__Containerd__Cgroups__V2__PidsStat pids;
  Io__Containerd__Cgroups__V2__IOStat io;
  Io__Containerd__Cgroups__V2__MemoryStat memory;
  Io__Containerd__Cgroups__V2__CPUStat cpu;
} Metrics2;

static void fill_cgroup2(Metrics2 *to, const Grpc__CgroupStats *cgroup) {
  if (cgroup->pids_stats != NULL) {
    to->pids.current = cgroup->pids_stats->current;
    to->pids.limit = cgroup->pids_stats->limit;
    to->metrics.pids = &to->pids;
  }
  if (cgroup->cpu_stats != NULL) {
    fill_cpu2(&to->cpu, cgroup->cpu_stats);
    to->metrics.cpu = &to->cpu;
  }
  if (cgroup->memory_stats != NULL) {
    fill_memory2(&to->memory, cgroup->memory_stats);
    to->metrics.memory = &to->memory;
  }
}

static Google__Protobuf__Any *build2(const Grpc__StatsContainerResponse *stats) {
  Metrics2 all = {.metrics = IO__CONTAINERD__CGROUPS__V2__METRICS__INIT,
                  .pids = IO__CONTAINERD__CGROUPS__V2__PIDS_STAT__INIT,
                  .io = IO__CONTAINERD__CGROUPS__V2__IOSTAT__INIT};
  if (stats->cgroup_stats != NULL) fill_cgroup2(&all, stats->cgroup_stats);
  g_autoptr(GPtrArray) disks = build_disks2(stats->cgroup_stats);
  all.io.usage = (Io__Containerd__Cgroups__V2__IOEntry **)disks->pdata;
  all.io.n_usage = disks->len;
  all.metrics.io = &all.io;
  gpointer *huge_pages = build_huge_pages(stats->cgroup_stats, &io__containerd__cgroups__v2__huge_tlb_stat__descriptor,
                                          "current", &all.metrics.n_hugetlb);
  all.metrics.hugetlb = (Io__Containerd__Cgroups__V2__HugeTlbStat **)huge_pages;
  gpointer *networks = build_networks(stats, &io__containerd__cgroups__v2__network_stat__descriptor);
  all.metrics.network = (Io__Containerd__Cgroups__V2__NetworkStat **)networks;
  all.metrics.n_network = stats->n_network_stats;
  Google__Protobuf__Any *any = pack(&all.metrics.base);
  free_list(huge_pages, all.metrics.n_hugetlb);
  free_list(networks, stats->n_network_stats);
  return any;
}

Google__Protobuf__Any *metrics_build(const Grpc__StatsContainerResponse *stats, gboolean version2) {
  return version2 ? build2(stats) : build1(stats);
}

gboolean metrics_host_has_version2(void) {
  struct statfs status;
  return statfs("/sys/fs/cgroup", &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}
