// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stats-json.h"

#include <string.h>

#include "common/error.h"
#include "state-json.h"

/* From a member of the agent's document to one of runc's. */
typedef struct {
  const char *from;
  const char *to;
} Rename;

static json_object *get(json_object *object, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

/* A number that is not there is 0, as protobuf has it. */
static json_object *copy_number(json_object *from, const char *key) {
  json_object *value = from != NULL ? get(from, key) : NULL;
  return value != NULL ? json_object_new_uint64(json_object_get_uint64(value)) : json_object_new_uint64(0);
}

static json_object *copy_numbers(json_object *from, const Rename *names, gsize n_names) {
  json_object *to = json_object_new_object();
  for (gsize i = 0; i < n_names; i++) json_object_object_add(to, names[i].to, copy_number(from, names[i].from));
  return to;
}

static json_object *copy_or_empty(json_object *from, const char *key, gboolean is_array) {
  json_object *value = from != NULL ? get(from, key) : NULL;
  if (value != NULL) return json_object_get(value);
  return is_array ? json_object_new_array() : json_object_new_object();
}

static json_object *build_cpu(json_object *cpu) {
  static const Rename usage[] = {
      {"total_usage", "total"}, {"usage_in_kernelmode", "kernel"}, {"usage_in_usermode", "user"}};
  static const Rename throttling[] = {
      {"periods", "periods"}, {"throttled_periods", "throttledPeriods"}, {"throttled_time", "throttledTime"}};
  json_object *to = json_object_new_object();
  json_object *from = cpu != NULL ? get(cpu, "cpu_usage") : NULL;
  json_object *numbers = copy_numbers(from, usage, G_N_ELEMENTS(usage));
  json_object *each = from != NULL ? get(from, "percpu_usage") : NULL;
  if (each != NULL) json_object_object_add(numbers, "percpu", json_object_get(each));
  json_object_object_add(to, "usage", numbers);
  json_object_object_add(
      to, "throttling",
      copy_numbers(cpu != NULL ? get(cpu, "throttling_data") : NULL, throttling, G_N_ELEMENTS(throttling)));
  return to;
}

static json_object *build_memory(json_object *memory) {
  static const Rename data[] = {{"limit", "limit"}, {"usage", "usage"}, {"max_usage", "max"}, {"failcnt", "failcnt"}};
  static const Rename parts[] = {
      {"usage", "usage"}, {"swap_usage", "swap"}, {"kernel_usage", "kernel"}, {"", "kernelTCP"}};
  json_object *to = json_object_new_object();
  json_object_object_add(to, "cache", copy_number(memory, "cache"));
  for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
    json_object *from = memory != NULL ? get(memory, parts[i].from) : NULL;
    json_object_object_add(to, parts[i].to, copy_numbers(from, data, G_N_ELEMENTS(data)));
  }
  json_object_object_add(to, "raw", copy_or_empty(memory, "stats", FALSE));
  return to;
}

static json_object *build_blkio(json_object *blkio) {
  static const Rename lists[] = {{"io_service_bytes_recursive", "ioServiceBytesRecursive"},
                                 {"io_serviced_recursive", "ioServicedRecursive"},
                                 {"io_queued_recursive", "ioQueueRecursive"},
                                 {"io_service_time_recursive", "ioServiceTimeRecursive"},
                                 {"io_wait_time_recursive", "ioWaitTimeRecursive"},
                                 {"io_merged_recursive", "ioMergedRecursive"},
                                 {"io_time_recursive", "ioTimeRecursive"},
                                 {"sectors_recursive", "sectorsRecursive"}};
  static const Rename numbers[] = {{"major", "major"}, {"minor", "minor"}, {"value", "value"}};
  json_object *to = json_object_new_object();
  for (gsize i = 0; i < G_N_ELEMENTS(lists); i++) {
    json_object *from = blkio != NULL ? get(blkio, lists[i].from) : NULL;
    if (from == NULL) continue; /* as runc: an empty list is left out */
    json_object *list = json_object_new_array();
    for (gsize k = 0; k < json_object_array_length(from); k++) {
      json_object *entry = json_object_array_get_idx(from, k), *op = get(entry, "op");
      json_object *copy = copy_numbers(entry, numbers, G_N_ELEMENTS(numbers));
      if (op != NULL) json_object_object_add(copy, "op", json_object_get(op));
      json_object_array_add(list, copy);
    }
    json_object_object_add(to, lists[i].to, list);
  }
  return to;
}

static json_object *build_hugetlb(json_object *hugetlb) {
  static const Rename numbers[] = {{"usage", "usage"}, {"max_usage", "max"}, {"failcnt", "failcnt"}};
  json_object *to = json_object_new_object();
  if (hugetlb == NULL) return to;
  json_object_object_foreach(hugetlb, size, from) {
    json_object_object_add(to, size, copy_numbers(from, numbers, G_N_ELEMENTS(numbers)));
  }
  return to;
}

static json_object *build_networks(json_object *networks) {
  static const Rename numbers[] = {
      {"rx_bytes", "RxBytes"}, {"rx_packets", "RxPackets"}, {"rx_errors", "RxErrors"}, {"rx_dropped", "RxDropped"},
      {"tx_bytes", "TxBytes"}, {"tx_packets", "TxPackets"}, {"tx_errors", "TxErrors"}, {"tx_dropped", "TxDropped"}};
  gsize length = networks != NULL ? json_object_array_length(networks) : 0;
  if (length == 0) return NULL;
  json_object *to = json_object_new_array();
  for (gsize i = 0; i < length; i++) {
    json_object *from = json_object_array_get_idx(networks, i), *name = get(from, "name");
    json_object *entry = json_object_new_object();
    json_object_object_add(entry, "Name", json_object_new_string(name != NULL ? json_object_get_string(name) : ""));
    for (gsize k = 0; k < G_N_ELEMENTS(numbers); k++)
      json_object_object_add(entry, numbers[k].to, copy_number(from, numbers[k].from));
    json_object_array_add(to, entry);
  }
  return to;
}

/* What version 2 of cgroups does not tell, and runc writes as zeros there. */
static json_object *build_cpuset(void) {
  static const char *const names[] = {"cpu_exclusive",   "mem_hardwall",       "mem_exclusive",
                                      "memory_migrate",  "memory_spread_page", "memory_spread_slab",
                                      "memory_pressure", "sched_load_balance", "sched_relax_domain_level"};
  json_object *to = json_object_new_object();
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) json_object_object_add(to, names[i], json_object_new_int(0));
  return to;
}

json_object *stats_json_build(const char *stats, GError **error) {
  static const Rename pids[] = {{"current", "current"}, {"limit", "limit"}};
  g_autoptr(json_object) from = json_tokener_parse(stats);
  if (!json_object_is_type(from, json_type_object)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "cannot read the container's counters");
    return NULL;
  }
  json_object *cgroup = get(from, "cgroup_stats");
  json_object *to = json_object_new_object();
  json_object_object_add(to, "cpu", build_cpu(cgroup != NULL ? get(cgroup, "cpu_stats") : NULL));
  json_object_object_add(to, "cpuset", build_cpuset());
  json_object_object_add(to, "memory", build_memory(cgroup != NULL ? get(cgroup, "memory_stats") : NULL));
  json_object_object_add(to, "pids",
                         copy_numbers(cgroup != NULL ? get(cgroup, "pids_stats") : NULL, pids, G_N_ELEMENTS(pids)));
  json_object_object_add(to, "blkio", build_blkio(cgroup != NULL ? get(cgroup, "blkio_stats") : NULL));
  json_object_object_add(to, "hugetlb", build_hugetlb(cgroup != NULL ? get(cgroup, "hugetlb_stats") : NULL));
  json_object_object_add(to, "intel_rdt", json_object_new_object());
  json_object_object_add(to, "network_interfaces", build_networks(get(from, "network_stats")));
  return to;
}

char *stats_json_print_event(const char *type, const char *container_id, json_object *data) {
  json_object *event = json_object_new_object();
  json_object_object_add(event, "type", json_object_new_string(type));
  json_object_object_add(event, "id", json_object_new_string(container_id));
  if (data != NULL) json_object_object_add(event, "data", data);
  char *line = g_strconcat(
      json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), "\n", NULL);
  json_object_put(event);
  return line;
}
