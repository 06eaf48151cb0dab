// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "lib/vm-size.h"

static void test_limits(void **state) {
  static const struct {
    gint64 quota;
    guint64 period, shares;
    gint64 memory;
    double vcpus;
    guint64 memory_mib;
  } cases[] = {
      {0, 0, 0, 0, 0, 0},
      {50000, 100000, 0, 0, 0.5, 0},
      {250000, 100000, 2, 0, 2.5, 0},
      {0, 100000, 2048, 0, 0, 0},  /* best effort: shares alone are no demand */
      {-1, 100000, 2048, 0, 2, 0}, /* CPUs of its own */
      {-1, 100000, 2049, 0, 3, 0},
      {-1, 0, 0, 0, 0, 0},
      {100000, 0, 0, 0, 0, 0}, /* no period: nothing to divide by */
      {0, 0, 0, 1 << 20, 0, 1},
      {0, 0, 0, (1 << 20) + 1, 0, 2},
      {0, 0, 0, -1, 0, 0},
      {0, 0, 0, 9223372036854771712LL, 0, 0}, /* version 1's word for no limit */
      {INT64_MAX, 1, 0, 0, 4096, 0},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    VmDemand demand = vm_demand_of_limits(cases[i].quota, cases[i].period, cases[i].shares, cases[i].memory);
    assert_true(demand.vcpus == cases[i].vcpus);
    assert_int_equal(demand.memory_mib, cases[i].memory_mib);
  }
}

static void test_sums(void **state) {
  const VmSize base = {1, 256}, none = {0, 0};
  const VmDemand demands[] = {{0.1, 10}, {0.1, 20}, {0.8, 0}};
  assert_int_equal(vm_size_sum(&base, demands, 0, &none).vcpus, 1);
  assert_int_equal(vm_size_sum(&base, demands, 1, &none).vcpus, 2);
  VmSize all = vm_size_sum(&base, demands, 3, &none);
  assert_int_equal(all.vcpus, 2); /* exactly one more, whatever floating point makes of it */
  assert_int_equal(all.memory_mib, 286);
  const VmSize nothing = {0, 128};
  assert_int_equal(vm_size_sum(&nothing, demands, 0, &none).vcpus, 1);
}

static void test_bounds(void **state) {
  const VmSize base = {2, 512}, limit = {4, 1024}, low = {1, 256};
  const VmDemand large = {100, 100000}, absurd[] = {{4096, G_MAXUINT64 / 2}, {4096, G_MAXUINT64 / 2}};
  VmSize size = vm_size_sum(&base, &large, 1, &limit);
  assert_int_equal(size.vcpus, 4);
  assert_int_equal(size.memory_mib, 1024);
  size = vm_size_sum(&base, &large, 1, &low);
  assert_int_equal(size.vcpus, 2);
  assert_int_equal(size.memory_mib, 512);
  size = vm_size_sum(&base, absurd, 2, &limit);
  assert_int_equal(size.memory_mib, 1024);
}

static OciSpec *parse(const char *members) {
  g_autofree char *text = g_strdup_printf(
      "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"r\"}, \"process\": {\"args\": [\"true\"], \"cwd\": \"/\"}, "
      "%s}",
      members);
  g_autoptr(GError) error = NULL;
  OciSpec *spec = oci_spec_parse(text, strlen(text), "test", &error);
  if (spec == NULL) fail_msg("%s", error->message);
  return spec;
}

static void test_documents(void **state) {
  g_autoptr(OciSpec) limits = parse(
      "\"linux\": {\"resources\": {\"cpu\": {\"quota\": 150000, \"period\": 100000},"
      " \"memory\": {\"limit\": 67108864}}}");
  VmDemand demand = vm_demand_of_resources(limits->linux->resources);
  assert_true(demand.vcpus == 1.5);
  assert_int_equal(demand.memory_mib, 64);
  assert_false(vm_demand_of_annotations(limits, &demand));
  demand = vm_demand_of_resources(NULL);
  assert_true(demand.vcpus == 0 && demand.memory_mib == 0);

  g_autoptr(OciSpec) pod = parse(
      "\"annotations\": {\"io.kubernetes.cri.sandbox-cpu-quota\": \"200000\","
      " \"io.kubernetes.cri.sandbox-cpu-period\": \"100000\","
      " \"io.kubernetes.cri.sandbox-memory\": \"134217728\"}");
  assert_true(vm_demand_of_annotations(pod, &demand));
  assert_true(demand.vcpus == 2);
  assert_int_equal(demand.memory_mib, 128);
  g_autoptr(OciSpec) bad = parse("\"annotations\": {\"io.kubernetes.cri.sandbox-memory\": \"much\"}");
  assert_false(vm_demand_of_annotations(bad, &demand));
}

static void check_extra(const VmDemand *demands, gsize n_demands, double vcpus, guint64 memory_mib) {
  VmDemand extra = vm_demand_extra(demands, n_demands);
  assert_true(extra.vcpus == vcpus);
  assert_int_equal(extra.memory_mib, memory_mib);
}

static guint count_named(const char *list) {
  g_autofree char *members = g_strdup_printf("\"linux\": {\"resources\": {\"cpu\": {\"cpus\": \"%s\"}}}", list);
  g_autoptr(OciSpec) spec = parse(members);
  return vm_demand_of_resources(spec->linux->resources).named_cpus;
}

static void test_extra(void **state) {
  assert_int_equal(count_named(""), 0);
  assert_int_equal(count_named("0"), 1);
  assert_int_equal(count_named("0-2,5, 7-8"), 6);
  assert_int_equal(count_named("0-3,2-5,5"), 6);
  assert_int_equal(count_named("0-4096"), 4096);
  assert_int_equal(count_named("5-1,x,-3,4-,1-2-3"), 0);
  assert_int_equal(count_named("0-18446744073709551615"), 0);
  g_autoptr(OciSpec) spec = parse(
      "\"linux\": {\"resources\": {\"cpu\": {\"cpus\": \"0-1\"}, \"hugepageLimits\": ["
      "{\"pageSize\": \"2MB\", \"limit\": 4194304}, {\"pageSize\": \"1GB\", \"limit\": 9223372036854771712}]}}");
  VmDemand demands[] = {vm_demand_of_resources(spec->linux->resources), {.named_cpus = 3, .huge_page_mib = 10}};
  check_extra(demands, 0, 0, 0);
  check_extra(demands, 2, 5, 14);
  demands[1].vcpus = 0.5; /* who has CPU time of its own shows what it needs */
  check_extra(demands, 2, 0, 14);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_limits),    cmocka_unit_test(test_sums),  cmocka_unit_test(test_bounds),
      cmocka_unit_test(test_documents), cmocka_unit_test(test_extra),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
