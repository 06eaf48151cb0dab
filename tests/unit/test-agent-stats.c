/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/stats.h"

typedef struct {
  const char *name;
  const char *text;
} File;

static char *read_file(const char *name, gpointer user_data) {
  for (const File *file = user_data; file->name; file++)
    if (strcmp(file->name, name) == 0) return g_strdup(file->text);
  return NULL;
}

static char *no_sizes[] = {NULL};

static void test_everything(void **state) {
  static const File files[] = {
      {"cpu.stat",
       "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n"},
      {"memory.current", "4096\n"},
      {"memory.peak", "8192\n"},
      {"memory.max", "65536\n"},
      {"memory.events", "low 0\nhigh 1\nmax 3\noom 0\n"},
      {"memory.swap.current", "10\n"},
      {"memory.swap.max", "max\n"},
      {"memory.stat", "anon 100\nfile 200\nkernel 300\nfile_mapped 9\n"},
      {"pids.current", "4\n"},
      {"pids.max", "max\n"},
      {"io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n253:16 rbytes=5\n"},
      {"hugetlb.2MB.current", "2097152\n"},
      {"hugetlb.2MB.events", "max 6\n"},
      {NULL, NULL},
  };
  char *sizes[] = {(char *)"2MB", NULL};
  Grpc__CgroupStats *stats = stats_collect(read_file, (gpointer)files, sizes);
  assert_int_equal(stats->cpu_stats->cpu_usage->total_usage, 1234000);
  assert_int_equal(stats->cpu_stats->cpu_usage->usage_in_usermode, 1000000);
  assert_int_equal(stats->cpu_stats->cpu_usage->usage_in_kernelmode, 234000);
  assert_int_equal(stats->cpu_stats->throttling_data->periods, 5);
  assert_int_equal(stats->cpu_stats->throttling_data->throttled_periods, 2);
  assert_int_equal(stats->cpu_stats->throttling_data->throttled_time, 7000);
  assert_int_equal(stats->memory_stats->usage->usage, 4096);
  assert_int_equal(stats->memory_stats->usage->max_usage, 8192);
  assert_int_equal(stats->memory_stats->usage->limit, 65536);
  assert_int_equal(stats->memory_stats->usage->failcnt, 3);
  assert_int_equal(stats->memory_stats->swap_usage->usage, 10);
  assert_true(stats->memory_stats->swap_usage->limit == STATS_UNLIMITED);
  assert_int_equal(stats->memory_stats->kernel_usage->usage, 300);
  assert_int_equal(stats->memory_stats->cache, 200);
  assert_int_equal(stats->memory_stats->n_stats, 4);
  assert_string_equal(stats->memory_stats->stats[3]->key, "file_mapped");
  assert_int_equal(stats->memory_stats->stats[3]->value, 9);
  assert_int_equal(stats->pids_stats->current, 4);
  assert_int_equal(stats->pids_stats->limit, 0);
  assert_int_equal(stats->blkio_stats->n_io_service_bytes_recursive, 5);
  const Grpc__BlkioStatsEntry *last = stats->blkio_stats->io_service_bytes_recursive[4];
  assert_int_equal(last->major, 253);
  assert_int_equal(last->minor, 16);
  assert_string_equal(last->op, "rbytes");
  assert_int_equal(last->value, 5);
  assert_int_equal(stats->n_hugetlb_stats, 1);
  assert_string_equal(stats->hugetlb_stats[0]->key, "2MB");
  assert_int_equal(stats->hugetlb_stats[0]->value->usage, 2097152);
  assert_int_equal(stats->hugetlb_stats[0]->value->failcnt, 6);
  protobuf_c_message_free_unpacked(&stats->base, NULL);
}

static void test_nothing(void **state) {
  static const File files[] = {{NULL, NULL}};
  Grpc__CgroupStats *stats = stats_collect(read_file, (gpointer)files, no_sizes);
  assert_null(stats->cpu_stats);
  assert_null(stats->memory_stats);
  assert_null(stats->pids_stats);
  assert_null(stats->blkio_stats);
  protobuf_c_message_free_unpacked(&stats->base, NULL);
}

static void test_odd_texts(void **state) {
  static const File files[] = {
      {"cpu.stat", ""},
      {"memory.current", "garbage"},
      {"memory.stat", "\n \nx\n"},
      {"pids.current", ""},
      {"io.stat", "\n8:x rbytes=1\n8:0\n8:0 =\n8:0 rbytes\n"},
      {NULL, NULL},
  };
  Grpc__CgroupStats *stats = stats_collect(read_file, (gpointer)files, no_sizes);
  assert_int_equal(stats->cpu_stats->cpu_usage->total_usage, 0);
  assert_int_equal(stats->memory_stats->usage->usage, 0);
  assert_int_equal(stats->pids_stats->current, 0);
  assert_int_equal(stats->blkio_stats->n_io_service_bytes_recursive, 1);
  protobuf_c_message_free_unpacked(&stats->base, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_everything),
      cmocka_unit_test(test_nothing),
      cmocka_unit_test(test_odd_texts),
  };
  return cmocka_run_group_tests_name("agent-stats", tests, NULL, NULL);
}
