/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/metrics.h"

typedef struct {
  const char *path;
  const char *text;
} File;

static char *read_file(const char *path, gpointer user_data) {
  for (const File *file = user_data; file->path; file++)
    if (strcmp(file->path, path) == 0) return g_strdup(file->text);
  return NULL;
}

static char *format(const File *files) {
  MetricsSource source = {.read = read_file,
                          .user_data = (gpointer)files,
                          .scrapes = 3,
                          .ticks = 100,
                          .page_size = 4096,
                          .boot_s = 1700000000,
                          .open_fds = 12};
  return metrics_format(&source);
}

static void check(const char *text, const char *line) {
  g_autofree char *whole = g_strconcat("\n", line, "\n", NULL);
  if (!strstr(text, whole)) fail_msg("no '%s' in\n%s", line, text);
}

/* Each family says what it is, once, before its samples. */
static void check_form(const char *text) {
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_autoptr(GHashTable) families = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (char **line = lines; *line; line++) {
    if (!**line || g_str_has_prefix(*line, "# HELP ")) continue;
    if (g_str_has_prefix(*line, "# TYPE ")) {
      g_auto(GStrv) words = g_strsplit(*line, " ", -1);
      assert_int_equal(g_strv_length(words), 4);
      assert_true(strcmp(words[3], "gauge") == 0 || strcmp(words[3], "counter") == 0);
      assert_true(g_hash_table_add(families, g_strdup(words[2])));
      continue;
    }
    g_autofree char *name = g_strndup(*line, strcspn(*line, "{ "));
    assert_true(g_hash_table_contains(families, name));
    assert_true(g_regex_match_simple("^[a-z_]+(\\{([a-z]+=\"([^\"\\\\]|\\\\.)*\",?)+\\})? [0-9.e+]+$", *line, 0, 0));
  }
}

static void test_everything(void **state) {
  static const File files[] = {
      {"/proc/stat", "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 4\nintr 5 6\nctxt 7\n"},
      {"/proc/diskstats", " 254       0 vda 11 12 13 14 15 16 17 18 19 20 21\n"},
      {"/proc/loadavg", "0.50 0.25 0.10 2/77 1234\n"},
      {"/proc/meminfo", "MemTotal:  100 kB\nHugePages_Total:       3\nActive(anon):     5 kB\n"},
      {"/proc/net/dev",
       "Inter-|   Receive  |  Transmit\n face |bytes    packets errs\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 "
       "16\n"},
      {"/proc/vmstat", "nr_free_pages 42\nbroken\n"},
      {"/proc/self/io", "rchar: 1\nwrite_bytes: 2\n"},
      {"/proc/self/stat", "1 (a) b) S 0 1 1 0 -1 4 0 0 0 0 250 50 7 8 20 0 1 0 500 8192 3 18446744073709551615\n"},
      {"/proc/self/status", "Name:\tinit\nVmRSS:\t   12 kB\nThreads:\t1\nvoluntary_ctxt_switches:\t9\n"},
      {"/proc/self/limits",
       "Limit   Soft Limit\nMax open files            65536                1048576              files\n"},
      {NULL, NULL},
  };
  g_autofree char *text = format(files);
  check_form(text);
  check(text, "kata_agent_scrape_count 3");
  check(text, "kata_guest_cpu_time{cpu=\"cpu\",item=\"guest_nice\"} 100");
  check(text, "kata_guest_cpu_time{cpu=\"cpu0\",item=\"idle\"} 4");
  check(text, "kata_guest_diskstat{disk=\"vda\",item=\"sectors_read\"} 13");
  check(text, "kata_guest_load{item=\"load5\"} 0.25");
  check(text, "kata_guest_tasks{item=\"cur\"} 2");
  check(text, "kata_guest_tasks{item=\"max\"} 77");
  check(text, "kata_guest_meminfo{item=\"memtotal\"} 102400");
  check(text, "kata_guest_meminfo{item=\"hugepages_total\"} 3");
  check(text, "kata_guest_meminfo{item=\"active_anon_\"} 5120");
  check(text, "kata_guest_netdev_stat{interface=\"lo\",item=\"recv_bytes\"} 1");
  check(text, "kata_guest_netdev_stat{interface=\"lo\",item=\"sent_compressed\"} 16");
  check(text, "kata_guest_vm_stat{item=\"nr_free_pages\"} 42");
  check(text, "kata_agent_io_stat{item=\"write_bytes\"} 2");
  check(text, "kata_agent_proc_stat{item=\"cstime\"} 8");
  check(text, "kata_agent_process_cpu_seconds_total 3");
  check(text, "kata_agent_process_start_time_seconds 1700000005");
  check(text, "kata_agent_process_resident_memory_bytes 12288");
  check(text, "kata_agent_process_virtual_memory_bytes 8192");
  check(text, "kata_agent_threads 1");
  check(text, "kata_agent_total_time 300");
  check(text, "kata_agent_proc_status{item=\"vmrss\"} 12288");
  check(text, "kata_agent_proc_status{item=\"voluntary_ctxt_switches\"} 9");
  check(text, "kata_agent_process_max_fds 65536");
  check(text, "kata_agent_process_open_fds 12");
  assert_null(strstr(text, "item=\"threads\""));
}

/* A device's name is no way into the format. */
static void test_hostile_names(void **state) {
  static const File files[] = {{"/proc/net/dev", "a\"b\\c: 1 2\n\xff: 3 4\nn\u00e9\x01: 5 6\n"},
                               {"/proc/stat", "cpu\n\ncpu0 x y\n"},
                               {NULL, NULL}};
  g_autofree char *text = format(files);
  check_form(text);
  check(text, "kata_guest_netdev_stat{interface=\"a\\\"b\\\\c\",item=\"recv_bytes\"} 1");
  /* No escapes but those that Prometheus knows. */
  check(text, "kata_guest_netdev_stat{interface=\"n\u00e9\x01\",item=\"recv_bytes\"} 5");
  assert_true(g_utf8_validate(text, -1, NULL));
}

static void test_this_system(void **state) {
  g_autofree char *text = metrics_collect();
  check_form(text);
  assert_non_null(strstr(text, "kata_guest_meminfo{item=\"memtotal\"} "));
  assert_non_null(strstr(text, "kata_agent_process_resident_memory_bytes "));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_everything),
      cmocka_unit_test(test_hostile_names),
      cmocka_unit_test(test_this_system),
  };
  return cmocka_run_group_tests_name("agent-metrics", tests, NULL, NULL);
}
