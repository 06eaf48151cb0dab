/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/stats.h"

#include <stdio.h>
#include <string.h>

#include "agent/cgroup.h"

#define NANOSECONDS_PER_MICROSECOND 1000

typedef struct {
  StatsReadFunc read;
  gpointer user_data;
} Source;

static char *read_file(const Source *source, const char *file) { return source->read(file, source->user_data); }

/* One number, or "max". */
static guint64 read_number(const Source *source, const char *file, guint64 if_max) {
  g_autofree char *text = read_file(source, file);
  if (!text) return 0;
  return g_str_has_prefix(text, "max") ? if_max : g_ascii_strtoull(text, NULL, 10);
}

/* Lines of "key number". */
static guint64 find_number(const char *text, const char *key) {
  gsize length = strlen(key);
  for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
    if (strncmp(line, key, length) == 0 && line[length] == ' ') return g_ascii_strtoull(line + length, NULL, 10);
  return 0;
}

static Grpc__CpuStats *collect_cpu(const Source *source) {
  g_autofree char *text = read_file(source, "cpu.stat");
  if (!text) return NULL;
  Grpc__CpuStats *cpu = g_new(Grpc__CpuStats, 1);
  grpc__cpu_stats__init(cpu);
  cpu->cpu_usage = g_new(Grpc__CpuUsage, 1);
  grpc__cpu_usage__init(cpu->cpu_usage);
  cpu->cpu_usage->total_usage = find_number(text, "usage_usec") * NANOSECONDS_PER_MICROSECOND;
  cpu->cpu_usage->usage_in_kernelmode = find_number(text, "system_usec") * NANOSECONDS_PER_MICROSECOND;
  cpu->cpu_usage->usage_in_usermode = find_number(text, "user_usec") * NANOSECONDS_PER_MICROSECOND;
  cpu->throttling_data = g_new(Grpc__ThrottlingData, 1);
  grpc__throttling_data__init(cpu->throttling_data);
  cpu->throttling_data->periods = find_number(text, "nr_periods");
  cpu->throttling_data->throttled_periods = find_number(text, "nr_throttled");
  cpu->throttling_data->throttled_time = find_number(text, "throttled_usec") * NANOSECONDS_PER_MICROSECOND;
  return cpu;
}

static Grpc__MemoryData *memory_data(guint64 usage, guint64 max_usage, guint64 failcnt, guint64 limit) {
  Grpc__MemoryData *data = g_new(Grpc__MemoryData, 1);
  grpc__memory_data__init(data);
  data->usage = usage;
  data->max_usage = max_usage;
  data->failcnt = failcnt;
  data->limit = limit;
  return data;
}

static void add_memory_lines(Grpc__MemoryStats *memory, const char *text) {
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_autoptr(GPtrArray) entries = g_ptr_array_new();
  for (char **line = lines; *line; line++) {
    char *space = strchr(*line, ' ');
    if (!space) continue;
    Grpc__MemoryStats__StatsEntry *entry = g_new(Grpc__MemoryStats__StatsEntry, 1);
    grpc__memory_stats__stats_entry__init(entry);
    entry->key = g_strndup(*line, (gsize)(space - *line));
    entry->value = g_ascii_strtoull(space, NULL, 10);
    g_ptr_array_add(entries, entry);
  }
  memory->n_stats = entries->len;
  memory->stats = (Grpc__MemoryStats__StatsEntry **)g_ptr_array_steal(entries, NULL);
}

static Grpc__MemoryStats *collect_memory(const Source *source) {
  g_autofree char *current = read_file(source, "memory.current");
  if (!current) return NULL;
  g_autofree char *events = read_file(source, "memory.events");
  g_autofree char *swap_events = read_file(source, "memory.swap.events");
  g_autofree char *lines = read_file(source, "memory.stat");
  Grpc__MemoryStats *memory = g_new(Grpc__MemoryStats, 1);
  grpc__memory_stats__init(memory);
  memory->use_hierarchy = TRUE;
  memory->usage = memory_data(g_ascii_strtoull(current, NULL, 10), read_number(source, "memory.peak", 0),
                              find_number(events, "max"), read_number(source, "memory.max", STATS_UNLIMITED));
  memory->swap_usage =
      memory_data(read_number(source, "memory.swap.current", 0), read_number(source, "memory.swap.peak", 0),
                  find_number(swap_events, "max"), read_number(source, "memory.swap.max", STATS_UNLIMITED));
  memory->kernel_usage = memory_data(find_number(lines, "kernel"), 0, 0, 0);
  memory->cache = find_number(lines, "file");
  if (lines) add_memory_lines(memory, lines);
  return memory;
}

static Grpc__PidsStats *collect_pids(const Source *source) {
  g_autofree char *current = read_file(source, "pids.current");
  if (!current) return NULL;
  Grpc__PidsStats *pids = g_new(Grpc__PidsStats, 1);
  grpc__pids_stats__init(pids);
  pids->current = g_ascii_strtoull(current, NULL, 10);
  pids->limit = read_number(source, "pids.max", 0);
  return pids;
}

/* "MAJOR:MINOR rbytes=N wbytes=N ..." */
static void add_io_line(GPtrArray *entries, const char *line) {
  unsigned major = 0, minor = 0;
  if (sscanf(line, "%u:%u", &major, &minor) != 2) return;
  g_auto(GStrv) words = g_strsplit(line, " ", -1);
  for (char **word = words + 1; *word; word++) {
    const char *equals = strchr(*word, '=');
    if (!equals) continue;
    Grpc__BlkioStatsEntry *entry = g_new(Grpc__BlkioStatsEntry, 1);
    grpc__blkio_stats_entry__init(entry);
    entry->major = major;
    entry->minor = minor;
    entry->op = g_strndup(*word, (gsize)(equals - *word));
    entry->value = g_ascii_strtoull(equals + 1, NULL, 10);
    g_ptr_array_add(entries, entry);
  }
}

static Grpc__BlkioStats *collect_io(const Source *source) {
  g_autofree char *text = read_file(source, "io.stat");
  if (!text) return NULL;
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_autoptr(GPtrArray) entries = g_ptr_array_new();
  for (char **line = lines; *line; line++)
    if (**line) add_io_line(entries, *line);
  Grpc__BlkioStats *io = g_new(Grpc__BlkioStats, 1);
  grpc__blkio_stats__init(io);
  io->n_io_service_bytes_recursive = entries->len;
  io->io_service_bytes_recursive = (Grpc__BlkioStatsEntry **)g_ptr_array_steal(entries, NULL);
  return io;
}

static Grpc__CgroupStats__HugetlbStatsEntry *collect_hugepages(const Source *source, const char *size) {
  g_autofree char *current_file = g_strdup_printf("hugetlb.%s.current", size);
  g_autofree char *events_file = g_strdup_printf("hugetlb.%s.events", size);
  g_autofree char *events = read_file(source, events_file);
  Grpc__CgroupStats__HugetlbStatsEntry *entry = g_new(Grpc__CgroupStats__HugetlbStatsEntry, 1);
  grpc__cgroup_stats__hugetlb_stats_entry__init(entry);
  entry->key = g_strdup(size);
  entry->value = g_new(Grpc__HugetlbStats, 1);
  grpc__hugetlb_stats__init(entry->value);
  entry->value->usage = read_number(source, current_file, 0);
  entry->value->failcnt = find_number(events, "max");
  return entry;
}

Grpc__CgroupStats *stats_collect(StatsReadFunc read, gpointer user_data, char *const *hugepage_sizes) {
  Source source = {read, user_data};
  Grpc__CgroupStats *stats = g_new(Grpc__CgroupStats, 1);
  grpc__cgroup_stats__init(stats);
  stats->cpu_stats = collect_cpu(&source);
  stats->memory_stats = collect_memory(&source);
  stats->pids_stats = collect_pids(&source);
  stats->blkio_stats = collect_io(&source);
  gsize n_sizes = g_strv_length((char **)hugepage_sizes);
  if (n_sizes == 0) return stats;
  stats->n_hugetlb_stats = n_sizes;
  stats->hugetlb_stats = g_new(Grpc__CgroupStats__HugetlbStatsEntry *, n_sizes);
  for (gsize i = 0; i < n_sizes; i++) stats->hugetlb_stats[i] = collect_hugepages(&source, hugepage_sizes[i]);
  return stats;
}

static char *read_cgroup_file(const char *file, gpointer user_data) { return cgroup_read(user_data, file); }

/* "hugetlb.SIZE.current" names a size. */
static char **find_hugepage_sizes(const char *path) {
  g_autofree char *directory = g_strconcat(CGROUP_ROOT, path, NULL);
  g_autoptr(GDir) files = g_dir_open(directory, 0, NULL);
  g_autoptr(GPtrArray) sizes = g_ptr_array_new();
  const char *name = NULL;
  while (files && (name = g_dir_read_name(files))) {
    g_auto(GStrv) parts = g_strsplit(name, ".", -1);
    if (g_strv_length(parts) == 3 && strcmp(parts[0], "hugetlb") == 0 && strcmp(parts[2], "current") == 0)
      g_ptr_array_add(sizes, g_strdup(parts[1]));
  }
  g_ptr_array_add(sizes, NULL);
  return (char **)g_ptr_array_steal(sizes, NULL);
}

Grpc__CgroupStats *stats_of_cgroup(const char *path) {
  g_auto(GStrv) sizes = find_hugepage_sizes(path);
  return stats_collect(read_cgroup_file, (gpointer)path, sizes);
}
