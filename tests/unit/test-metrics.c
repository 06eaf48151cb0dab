// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <glib.h>
#include <string.h>

#include "proto/cgroups-v1.pb-c.h"
#include "proto/cgroups-v2.pb-c.h"
#include "shim/metrics.h"

/* What a guest could say, with another number everywhere. */
static Google__Protobuf__Any *build(gboolean version2) {
  Grpc__CpuUsage usage = GRPC__CPU_USAGE__INIT;
  usage.total_usage = 5000;
  usage.usage_in_kernelmode = 2000;
  usage.usage_in_usermode = 3000;
  Grpc__ThrottlingData throttling = GRPC__THROTTLING_DATA__INIT;
  throttling.periods = 7;
  throttling.throttled_periods = 6;
  throttling.throttled_time = 9000;
  Grpc__CpuStats cpu = GRPC__CPU_STATS__INIT;
  cpu.cpu_usage = &usage;
  cpu.throttling_data = &throttling;
  Grpc__MemoryStats__StatsEntry lines[] = {GRPC__MEMORY_STATS__STATS_ENTRY__INIT, GRPC__MEMORY_STATS__STATS_ENTRY__INIT,
                                           GRPC__MEMORY_STATS__STATS_ENTRY__INIT};
  const char *keys[] = {"anon", "inactive_file", "a_word_of_tomorrow"};
  Grpc__MemoryStats__StatsEntry *stats[] = {&lines[0], &lines[1], &lines[2]};
  for (int i = 0; i < 3; i++) lines[i].key = (char *)keys[i], lines[i].value = 100 + (guint64)i;
  Grpc__MemoryData data = GRPC__MEMORY_DATA__INIT;
  data.usage = 4096;
  data.max_usage = 8192;
  data.limit = 65536;
  Grpc__MemoryStats memory = GRPC__MEMORY_STATS__INIT;
  memory.usage = &data;
  memory.stats = stats;
  memory.n_stats = 3;
  Grpc__PidsStats pids = GRPC__PIDS_STATS__INIT;
  pids.current = 11;
  Grpc__BlkioStatsEntry io[] = {GRPC__BLKIO_STATS_ENTRY__INIT, GRPC__BLKIO_STATS_ENTRY__INIT};
  Grpc__BlkioStatsEntry *entries[] = {&io[0], &io[1]};
  io[0].op = (char *)"wbytes", io[1].op = (char *)"rios";
  io[0].major = io[1].major = 254;
  io[0].value = 512, io[1].value = 3;
  Grpc__BlkioStats blkio = GRPC__BLKIO_STATS__INIT;
  blkio.io_service_bytes_recursive = entries;
  blkio.n_io_service_bytes_recursive = 2;
  Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
  cgroup.cpu_stats = &cpu;
  cgroup.memory_stats = &memory;
  cgroup.pids_stats = &pids;
  cgroup.blkio_stats = &blkio;
  Grpc__HugetlbStats pages = GRPC__HUGETLB_STATS__INIT;
  pages.usage = 31, pages.max_usage = 32, pages.failcnt = 33;
  Grpc__CgroupStats__HugetlbStatsEntry sizes[] = {GRPC__CGROUP_STATS__HUGETLB_STATS_ENTRY__INIT,
                                                  GRPC__CGROUP_STATS__HUGETLB_STATS_ENTRY__INIT};
  Grpc__CgroupStats__HugetlbStatsEntry *huge[] = {&sizes[0], &sizes[1]};
  sizes[0].key = (char *)"1GB"; /* without a value, as only a hostile guest says it */
  sizes[1].key = (char *)"2MB", sizes[1].value = &pages;
  cgroup.hugetlb_stats = huge;
  cgroup.n_hugetlb_stats = 2;
  Grpc__NetworkStats network = GRPC__NETWORK_STATS__INIT;
  network.name = (char *)"eth0";
  network.rx_bytes = 21;
  network.tx_dropped = 22;
  Grpc__NetworkStats *networks[] = {&network};
  Grpc__StatsContainerResponse response = GRPC__STATS_CONTAINER_RESPONSE__INIT;
  response.cgroup_stats = &cgroup;
  response.network_stats = networks;
  response.n_network_stats = 1;
  return metrics_build(&response, version2);
}

static void test_version1(void **state) {
  g_autoptr(Google__Protobuf__Any) any = build(FALSE);
  assert_string_equal(any->type_url, "io.containerd.cgroups.v1.Metrics");
  Io__Containerd__Cgroups__V1__Metrics *metrics =
      io__containerd__cgroups__v1__metrics__unpack(NULL, any->value.len, any->value.data);
  assert_non_null(metrics);
  assert_int_equal(metrics->cpu->usage->total, 5000);
  assert_int_equal(metrics->cpu->usage->kernel, 2000);
  assert_int_equal(metrics->cpu->usage->user, 3000);
  assert_int_equal(metrics->cpu->throttling->throttled_time, 9000);
  assert_int_equal(metrics->memory->usage->usage, 4096);
  assert_int_equal(metrics->memory->usage->limit, 65536);
  assert_int_equal(metrics->memory->rss, 100);
  assert_int_equal(metrics->memory->total_rss, 100);
  assert_int_equal(metrics->memory->total_inactive_file, 101);
  assert_int_equal(metrics->pids->current, 11);
  assert_int_equal(metrics->blkio->n_io_service_bytes_recursive, 1);
  assert_string_equal(metrics->blkio->io_service_bytes_recursive[0]->op, "Write");
  assert_int_equal(metrics->blkio->io_service_bytes_recursive[0]->value, 512);
  assert_string_equal(metrics->blkio->io_serviced_recursive[0]->op, "Read");
  assert_string_equal(metrics->network[0]->name, "eth0");
  assert_int_equal(metrics->network[0]->rx_bytes, 21);
  assert_int_equal(metrics->network[0]->tx_dropped, 22);
  assert_int_equal(metrics->n_hugetlb, 1);
  assert_string_equal(metrics->hugetlb[0]->pagesize, "2MB");
  assert_int_equal(metrics->hugetlb[0]->usage, 31);
  assert_int_equal(metrics->hugetlb[0]->max, 32);
  assert_int_equal(metrics->hugetlb[0]->failcnt, 33);
  io__containerd__cgroups__v1__metrics__free_unpacked(metrics, NULL);
}

static void test_version2(void **state) {
  g_autoptr(Google__Protobuf__Any) any = build(TRUE);
  assert_string_equal(any->type_url, "io.containerd.cgroups.v2.Metrics");
  Io__Containerd__Cgroups__V2__Metrics *metrics =
      io__containerd__cgroups__v2__metrics__unpack(NULL, any->value.len, any->value.data);
  assert_non_null(metrics);
  assert_int_equal(metrics->cpu->usage_usec, 5);
  assert_int_equal(metrics->cpu->user_usec, 3);
  assert_int_equal(metrics->cpu->system_usec, 2);
  assert_int_equal(metrics->cpu->throttled_usec, 9);
  assert_int_equal(metrics->memory->usage, 4096);
  assert_int_equal(metrics->memory->usage_limit, 65536);
  assert_int_equal(metrics->memory->max_usage, 8192);
  assert_int_equal(metrics->memory->anon, 100);
  assert_int_equal(metrics->memory->inactive_file, 101);
  assert_int_equal(metrics->io->n_usage, 1);
  assert_int_equal(metrics->io->usage[0]->wbytes, 512);
  assert_int_equal(metrics->io->usage[0]->rios, 3);
  assert_int_equal(metrics->network[0]->rx_bytes, 21);
  assert_int_equal(metrics->n_hugetlb, 1);
  assert_string_equal(metrics->hugetlb[0]->pagesize, "2MB");
  assert_int_equal(metrics->hugetlb[0]->current, 31);
  assert_int_equal(metrics->hugetlb[0]->max, 32);
  assert_int_equal(metrics->hugetlb[0]->failcnt, 33);
  io__containerd__cgroups__v2__metrics__free_unpacked(metrics, NULL);
}

static void test_nothing(void **state) {
  Grpc__StatsContainerResponse empty = GRPC__STATS_CONTAINER_RESPONSE__INIT;
  g_autoptr(Google__Protobuf__Any) one = metrics_build(&empty, FALSE), two = metrics_build(&empty, TRUE);
  assert_string_equal(one->type_url, "io.containerd.cgroups.v1.Metrics");
  assert_string_equal(two->type_url, "io.containerd.cgroups.v2.Metrics");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_version1), cmocka_unit_test(test_version2),
                                     cmocka_unit_test(test_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
