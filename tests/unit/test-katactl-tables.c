// SPDX-License-Identifier: LGPL-2.1-or-later
/* What katactl makes of documents: tables of processes, statistics, limits, spans of time, a first config.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "common/oci.h"
#include "katactl/boot-chart.h"
#include "katactl/duration.h"
#include "katactl/process-table.h"
#include "katactl/resources-json.h"
#include "katactl/state-json.h"
#include "katactl/stats-json.h"

#define NOW 1000000000

static json_object *two_processes(void) {
  static const char text[] =
      "[{\"pid\": 70, \"container_pid\": 1, \"parent_pid\": 1, \"state\": \"S\", \"command\": \"sh\","
      " \"arguments\": [\"sh\", \"-c\", \"sleep\\n1\"], \"terminal\": \"pts/0\", \"started_at\": 999990000,"
      " \"user_ms\": 61000, \"system_ms\": 5, \"resident_bytes\": 2048, \"threads\": 2, \"is_init\": true,"
      " \"host_pid\": 900},"
      " {\"pid\": 711, \"container_pid\": 12, \"parent_pid\": 70, \"uid\": 33, \"gid\": 34, \"state\": \"Z\","
      " \"command\": \"cat\", \"started_at\": 100, \"threads\": 1, \"host_pid\": 89},"
      " {\"pid\": 712, \"command\": \"x\"}]";
  json_object *processes = json_tokener_parse(text);
  assert_non_null(processes);
  return processes;
}

static char *print(const char *const *options) {
  g_autoptr(GError) error = NULL;
  g_autoptr(ProcessTable) table = process_table_new((char *const *)options, &error);
  if (table == NULL) fail_msg("%s", error->message);
  g_autoptr(json_object) processes = two_processes();
  return process_table_print(table, processes, NOW);
}

static void test_chosen_columns(void **state) {
  static const char *const forms[][4] = {
      {"-o", "pid,ppid,user,args"}, {"-eo", "pid ppid,user args"}, {"-opid,ppid,user,cmd"}};
  for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
    g_autofree char *text = print(forms[i]);
    assert_string_equal(text,
                        "PID PPID USER COMMAND\n"
                        " 70    1 root sh -c sleep\\x0a1\n"
                        "711   70 33   [cat]\n"
                        "712    0 root [x]\n");
  }
  static const char *const titled[] = {"-o", "cpid=INNER", "-o", "stat,nlwp,rss,time,tty", NULL};
  g_autofree char *text = print(titled);
  assert_string_equal(text,
                      "INNER STAT NLWP RSS     TIME TTY\n"
                      "    1 S       2   2 00:01:01 pts/0\n"
                      "   12 Z       1   0 00:00:00 ?\n"
                      "    0         0   0 00:00:00 ?\n");
}

static void test_usual_columns(void **state) {
  static const char *const none[] = {NULL}, *const full[] = {"-ef", NULL}, *const user[] = {"aux", NULL};
  g_autofree char *first = print(none), *second = print(full), *third = print(user);
  assert_string_equal(first, second);
  assert_true(g_str_has_prefix(first, "UID  PID PPID C STIME "));
  assert_non_null(strstr(first, " CMD\n"));
  assert_true(g_str_has_prefix(third, "USER PID %CPU RSS TTY "));
}

static void test_unknown_columns_and_options(void **state) {
  static const char *const wrong[][3] = {{"-o", "pid,bogus"}, {"-Z"}, {"--forest"}, {"-o"}, {"q"}, {"-o", "%s%n"}};
  for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autoptr(GError) error = NULL;
    assert_null(process_table_new((char *const *)wrong[i], &error));
    assert_true(g_str_has_prefix(error->message, "ps: "));
  }
}

static void test_host_pids(void **state) {
  g_autoptr(json_object) processes = two_processes(), none = json_object_new_array();
  g_autofree char *text = process_table_list_host_pids(processes), *empty = process_table_list_host_pids(none);
  assert_string_equal(text, "[89,900]");
  assert_string_equal(empty, "null");
}

/* The guest can put anything into its answer. */
static void test_hostile_processes(void **state) {
  g_autoptr(json_object) processes = json_tokener_parse(
      "[{\"pid\": 18446744073709551615, \"state\": \"S\\u001b[2J\", \"command\": \"a\\u009b31mb\","
      " \"arguments\": [\"x\\u0007\\r\"], \"terminal\": \"pts/0\\u001b]0;t\\u0007\", \"started_at\":"
      " -9223372036854775808, \"user_ms\": 9223372036854775807, \"system_ms\": 9223372036854775807,"
      " \"resident_bytes\": 18446744073709551615}]");
  assert_non_null(processes);
  static const char *const everything[] = {"-o", "pid,stat,comm,args,tty,time,etime,etimes,stime,c,pcpu,rss,nlwp",
                                           NULL};
  g_autoptr(ProcessTable) table = process_table_new((char *const *)everything, NULL);
  g_autofree char *text = process_table_print(table, processes, NOW);
  assert_true(g_utf8_validate(text, -1, NULL));
  for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at))
    assert_true(*at == '\n' || !g_unichar_iscntrl(g_utf8_get_char(at)));
  assert_null(strstr(text, " -")); /* no sum has become negative */
}

static void test_statistics(void **state) {
  g_autoptr(GError) error = NULL;
  json_object *data = stats_json_build(
      "{\"cgroup_stats\": {\"cpu_stats\": {\"cpu_usage\": {\"total_usage\": 5, \"usage_in_usermode\": 3},"
      " \"throttling_data\": {\"throttled_time\": 9}}, \"memory_stats\": {\"cache\": 1, \"usage\": {\"usage\": 2,"
      " \"max_usage\": 3, \"limit\": 18446744073709551615}, \"stats\": {\"anon\": 4}}, \"pids_stats\": {\"current\": "
      "6},"
      " \"blkio_stats\": {\"io_service_bytes_recursive\": [{\"major\": 8, \"op\": \"Read\", \"value\": 7}]},"
      " \"hugetlb_stats\": {\"2MB\": {\"failcnt\": 1}}}, \"network_stats\": [{\"name\": \"eth0\", \"rx_bytes\": 11}]}",
      &error);
  assert_non_null(data);
  g_autofree char *line = stats_json_print_event("stats", "c1", data);
  assert_string_equal(
      line,
      "{\"type\":\"stats\",\"id\":\"c1\",\"data\":{"
      "\"cpu\":{\"usage\":{\"total\":5,\"kernel\":0,\"user\":3},"
      "\"throttling\":{\"periods\":0,\"throttledPeriods\":0,\"throttledTime\":9}},\"cpuset\":{"
      "\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,"
      "\"memory_migrate\":0,\"memory_spread_page\":0,\"memory_spread_slab\":0,"
      "\"memory_pressure\":0,\"sched_load_balance\":0,\"sched_relax_domain_level\":0},"
      "\"memory\":{\"cache\":1,\"usage\":{\"limit\":18446744073709551615,\"usage\":2,\"max\":3,\"failcnt\":0},"
      "\"swap\":{\"limit\":0,\"usage\":0,\"max\":0,\"failcnt\":0},\"kernel\":{\"limit\":0,\"usage\":0,\"max\":0,"
      "\"failcnt\":0},\"kernelTCP\":{\"limit\":0,\"usage\":0,\"max\":0,\"failcnt\":0},\"raw\":{\"anon\":4}},"
      "\"pids\":{\"current\":6,\"limit\":0},"
      "\"blkio\":{\"ioServiceBytesRecursive\":[{\"major\":8,\"minor\":0,\"value\":7,\"op\":\"Read\"}]},"
      "\"hugetlb\":{\"2MB\":{\"usage\":0,\"max\":0,\"failcnt\":1}},\"intel_rdt\":{},"
      "\"network_interfaces\":[{\"Name\":\"eth0\",\"RxBytes\":11,\"RxPackets\":0,\"RxErrors\":0,\"RxDropped\":0,"
      "\"TxBytes\":0,\"TxPackets\":0,\"TxErrors\":0,\"TxDropped\":0}]}}\n");
  g_autofree char *oom = stats_json_print_event("oom", "c1", NULL);
  assert_string_equal(oom, "{\"type\":\"oom\",\"id\":\"c1\"}\n");
  json_object *empty = stats_json_build("{}", NULL);
  g_autofree char *nothing = stats_json_print_event("stats", "c1", empty);
  assert_non_null(strstr(nothing, "\"network_interfaces\":null}"));
  assert_null(stats_json_build("[]", &error));
  assert_non_null(error);
}

static void test_sizes(void **state) {
  static const struct {
    const char *text;
    gint64 bytes;
  } good[] = {{"-1", -1},           {"0", 0},       {"4096", 4096}, {"512m", 536870912}, {"512M", 536870912},
              {"512mb", 536870912}, {"1.5k", 1536}, {"2KiB", 2048}, {"3 g", 3221225472}, {"7b", 7},
              {"1p", 1LL << 50}};
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    gint64 bytes = -7;
    assert_true(resources_parse_size(good[i].text, &bytes, NULL));
    assert_int_equal(bytes, good[i].bytes);
  }
  static const char *const bad[] = {"",    "-2",  "m",    "1x",   "1mm", "1e9",   "0x10", "1..2",
                                    "nan", "inf", "1bib", "1 mi", ".",   "9999p", "1ib",  "99999999999999999999999"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    gint64 bytes = -7;
    g_autoptr(GError) error = NULL;
    if (resources_parse_size(bad[i], &bytes, &error)) fail_msg("'%s' was taken as %ld", bad[i], (long)bytes);
    assert_int_equal(bytes, -7);
    assert_non_null(strstr(error->message, bad[i]));
  }
}

static void test_limits(void **state) {
  const ResourceChange changes[] = {{"memory", "1k", RESOURCE_SIZE, "memory", "limit"},
                                    {"memory-swap", "-1", RESOURCE_SIZE, "memory", "swap"},
                                    {"cpu-share", NULL, RESOURCE_UNSIGNED, "cpu", "shares"},
                                    {"cpu-quota", "-1", RESOURCE_SIGNED, "cpu", "quota"},
                                    {"cpu-period", "18446744073709551615", RESOURCE_UNSIGNED, "cpu", "period"},
                                    {"cpuset-cpus", "0-1", RESOURCE_TEXT, "cpu", "cpus"},
                                    {NULL}};
  g_autofree char *text = resources_json_build(changes, NULL);
  assert_string_equal(text,
                      "{\"memory\":{\"limit\":1024,\"swap\":-1},"
                      "\"cpu\":{\"quota\":-1,\"period\":18446744073709551615,\"cpus\":\"0-1\"}}");
  static const char *const wrong[] = {"", "-1", "x", "1x", "18446744073709551616"};
  for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
    const ResourceChange change[] = {{"cpu-period", wrong[i], RESOURCE_UNSIGNED, "cpu", "period"}, {NULL}};
    g_autoptr(GError) error = NULL;
    assert_null(resources_json_build(change, &error));
    assert_true(g_str_has_prefix(error->message, "invalid value for cpu-period: "));
  }
}

static void test_durations(void **state) {
  static const struct {
    const char *text;
    gint64 us;
  } good[] = {{"5s", 5000000}, {"250ms", 250000}, {"1m30s", 90000000}, {"1.5h", 5400000000}, {"10us", 10},
              {"0", 0},        {"2\302\265s", 2}, {"-1s", -1000000},   {"1500ns", 1},        {".5s", 500000}};
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    gint64 us = -7;
    assert_true(duration_parse(good[i].text, &us, NULL));
    assert_int_equal(us, good[i].us);
  }
  static const char *const bad[] = {"", "5", "s", "5x", "5s5", "1..5s", "--1s", "5 s", ".s", "9e9s", "99999999999999h"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    gint64 us = -7;
    g_autoptr(GError) error = NULL;
    if (duration_parse(bad[i], &us, &error)) fail_msg("'%s' was taken as %ld us", bad[i], (long)us);
    assert_int_equal(us, -7);
  }
}

/* 600 units are 1.2 s; what has not ended, or ended before it began, is not there. */
static void test_boot_chart(void **state) {
  g_autoptr(json_object) steps = json_tokener_parse(
      "[{\"name\": \"one\", \"begin_us\": 0, \"end_us\": 300000},"
      " {\"name\": \"<two>\", \"begin_us\": 300000, \"end_us\": 1200000},"
      " {\"name\": \"open\", \"begin_us\": 1200000, \"end_us\": 0},"
      " {\"name\": \"wrong\", \"begin_us\": 7, \"end_us\": 6}, {\"begin_us\": 1, \"end_us\": 2}]");
  g_autofree char *svg = boot_chart_draw("start of \"a&b\"", steps);
  assert_non_null(strstr(svg, "start of &quot;a&amp;b&quot;: 1.200 s"));
  assert_non_null(strstr(svg, "x=\"120.00\" width=\"150.00\"><title>one: 0.300 s</title>"));
  assert_non_null(strstr(svg, "x=\"270.00\" width=\"450.00\"><title>&lt;two&gt;: 0.900 s</title>"));
  assert_null(strstr(svg, "open"));
  assert_null(strstr(svg, "wrong"));
  /* A mark each 0.2 s: no more than eight spans. */
  assert_non_null(strstr(svg, ">0.200 s<"));
  assert_non_null(strstr(svg, ">1.200 s<"));
  assert_null(strstr(svg, ">0.100 s<"));
  g_autoptr(json_object) none = json_object_new_array();
  g_autofree char *empty = boot_chart_draw("nothing", none);
  assert_true(g_str_has_suffix(empty, "</svg>\n"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_chosen_columns),
      cmocka_unit_test(test_usual_columns),
      cmocka_unit_test(test_unknown_columns_and_options),
      cmocka_unit_test(test_host_pids),
      cmocka_unit_test(test_hostile_processes),
      cmocka_unit_test(test_statistics),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_durations),
      cmocka_unit_test(test_boot_chart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
