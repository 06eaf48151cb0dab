/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/device-spec.h"
#include "common/error.h"

static OciSpec *parse(const char *text) {
  g_autoptr(GError) error = NULL;
  OciSpec *spec = oci_spec_parse(text, strlen(text), "test", &error);
  if (!spec) fail_msg("%s", error->message);
  return spec;
}

static void add_found(GPtrArray *found, const char *path, char type, dev_t numbers) {
  DeviceFound *device = g_new0(DeviceFound, 1);
  device->container_path = g_strdup(path);
  device->type = type;
  device->numbers = numbers;
  device->pci_addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_ptr_array_add(found, device);
}

#define DOCUMENT(rules)                                                                                               \
  "{\"ociVersion\": \"1.0.2\", \"process\": {\"args\": [\"x\"], \"cwd\": \"/\", \"env\": [\"PCIDEVICE_A=0:1,0:2\"]}," \
  "\"root\": {\"path\": \"r\"}, \"linux\": {\"devices\": ["                                                           \
  "{\"path\": \"/dev/a\", \"type\": \"b\", \"major\": 253, \"minor\": 0},"                                            \
  "{\"path\": \"/dev/b\", \"type\": \"b\", \"major\": 253, \"minor\": 16}],"                                          \
  "\"resources\": {\"devices\": [" rules "]}}}"
#define RULE(minor, access) \
  "{\"allow\": true, \"type\": \"b\", \"major\": 253, \"minor\": " minor ", \"access\": \"" access "\"}"

static void assert_rule(const OciSpec *spec, gsize i, guint rule_major, guint rule_minor, const char *access) {
  const Grpc__LinuxDeviceCgroup *rule = spec->linux->resources->devices[i];
  assert_true(rule->allow);
  assert_int_equal(rule->major, rule_major);
  assert_int_equal(rule->minor, rule_minor);
  assert_string_equal(rule->access, access);
}

/* The numbers of one in the guest are the other's on the host. */
static void test_crossed_numbers(void **state) {
  g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)device_found_free);
  g_autoptr(OciSpec) spec = parse(DOCUMENT(RULE("0", "r") "," RULE("16", "rw")));
  add_found(found, "/dev/a", 'b', makedev(253, 16));
  add_found(found, "/dev/b", 'b', makedev(253, 0));
  device_spec_apply(found, spec);
  assert_int_equal(spec->linux->devices[0]->minor, 16);
  assert_int_equal(spec->linux->devices[1]->minor, 0);
  assert_int_equal(spec->linux->resources->n_devices, 2);
  assert_rule(spec, 0, 253, 16, "r");
  assert_rule(spec, 1, 253, 0, "rw");
}

static void test_rules(void **state) {
  g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)device_found_free);
  add_found(found, "/dev/a", 'b', makedev(254, 7));
  /* One for any number of a driver is not one for this device. */
  g_autoptr(OciSpec) any = parse(DOCUMENT("{\"allow\": true, \"type\": \"b\", \"major\": 253, \"access\": \"r\"}"));
  device_spec_apply(found, any);
  assert_int_equal(any->linux->resources->n_devices, 2);
  assert_rule(any, 0, 253, 0, "r");
  assert_rule(any, 1, 254, 7, "rwm");
  /* Where all is allowed nothing needs to be. */
  g_autoptr(OciSpec) none = parse(DOCUMENT(""));
  device_spec_apply(found, none);
  assert_int_equal(none->linux->resources->n_devices, 0);
  assert_int_equal(none->linux->devices[0]->major, 254);
  assert_int_equal(none->linux->devices[1]->major, 253);
  assert_string_equal(none->process->env[0], "PCIDEVICE_A=0:1,0:2");
}

/* The disk's limits and weight go with it, also those that come later, and no other's. */
static void test_block_io(void **state) {
  static const char limits[] =
      "{\"blockIO\": {\"weightDevice\": [{\"major\": 253, \"minor\": 16, \"weight\": 10}, {\"major\": 253, \"minor\": "
      "0, "
      "\"weight\": 20}],"
      "\"throttleReadBpsDevice\": [{\"major\": 253, \"minor\": 0, \"rate\": 1}],"
      "\"throttleWriteBpsDevice\": [{\"major\": 253, \"minor\": 16, \"rate\": 2}],"
      "\"throttleReadIOPSDevice\": [{\"major\": 253, \"minor\": 1, \"rate\": 3}],"
      "\"throttleWriteIOPSDevice\": [{\"major\": 253, \"minor\": 0, \"rate\": 4}]}}";
  g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)device_found_free);
  g_autoptr(GError) error = NULL;
  g_autoptr(OciSpec) spec = parse(DOCUMENT(""));
  add_found(found, "/dev/a", 'b', makedev(253, 16));
  add_found(found, "/dev/b", 'b', makedev(8, 0));
  device_spec_apply(found, spec);
  g_autoptr(OciResources) later = oci_resources_parse(limits, strlen(limits), "resources", &error);
  assert_non_null(later);
  device_spec_apply_to_resources(found, later);
  device_spec_apply_to_resources(found, NULL);
  const Grpc__LinuxBlockIO *block_io = later->blockio;
  assert_int_equal(block_io->weightdevice[0]->major, 8);
  assert_int_equal(block_io->weightdevice[0]->minor, 0);
  assert_int_equal(block_io->weightdevice[1]->major, 253);
  assert_int_equal(block_io->weightdevice[1]->minor, 16);
  assert_int_equal(block_io->throttlereadbpsdevice[0]->minor, 16);
  assert_int_equal(block_io->throttlewritebpsdevice[0]->major, 8);
  assert_int_equal(block_io->throttlereadiopsdevice[0]->major, 253);
  assert_int_equal(block_io->throttlereadiopsdevice[0]->minor, 1);
  assert_int_equal(block_io->throttlewriteiopsdevice[0]->minor, 16);
}

static void test_environment(void **state) {
  g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)device_found_free);
  g_autoptr(OciSpec) spec = parse(DOCUMENT(""));
  add_found(found, "/dev/vfio/1", 0, 0);
  add_found(found, "/dev/vfio/2", 0, 0);
  DeviceFound *first = g_ptr_array_index(found, 0), *second = g_ptr_array_index(found, 1);
  g_hash_table_insert(first->pci_addresses, g_strdup("0:1"), g_strdup("9:9"));
  g_hash_table_insert(second->pci_addresses, g_strdup("0:2"), g_strdup("0:1"));
  device_spec_apply(found, spec);
  assert_string_equal(spec->process->env[0], "PCIDEVICE_A=9:9,0:1");
}

static void test_checks(void **state) {
  g_autoptr(OciSpec) spec = parse(DOCUMENT(""));
  static const struct {
    const char *type, *id, *vm_path, *container_path, *option;
    int code;
  } cases[] = {
      {"blk", "02", "", "/dev/a", NULL, 0},
      {"mmioblk", "", "/dev/vda", "/dev/a", NULL, 0},
      {"scsi", "0:1", "", "/dev/b", NULL, 0},
      {"vfio-pci-gk", "1", "", "/dev/vfio/1", "0000:3b:00.0=02/01", 0},
      {"", "02", "", "/dev/a", NULL, KATA_ERR_INVALID_ARGUMENT},
      {"blk", "", "", "/dev/a", NULL, KATA_ERR_INVALID_ARGUMENT},
      {"blk", "02", "", "", NULL, KATA_ERR_INVALID_ARGUMENT},
      {"blk", "02", "", "/dev/c", NULL, KATA_ERR_INVALID_ARGUMENT},
      {"blk", "x", "", "/dev/a", NULL, KATA_ERR_INVALID_ARGUMENT},
      {"nvdimm", "", "/etc/passwd", "/dev/a", NULL, KATA_ERR_INVALID_ARGUMENT},
      {"vfio-pci-gk", "1", "", "/dev/vfio/1", NULL, KATA_ERR_INVALID_ARGUMENT},
      {"vfio-pci-gk", "1", "", "/dev/vfio/1", "=02", KATA_ERR_INVALID_ARGUMENT},
      {"vfio-pci-gk", "1", "", "/dev/vfio/1", "0000:3b:00.0=zz", KATA_ERR_INVALID_ARGUMENT},
      {"vfio-pci", "1", "", "/dev/vfio/1", "0000:3b:00.0=02", KATA_ERR_UNSUPPORTED},
      {"vfio-ap", "1", "", "/dev/vfio/1", NULL, KATA_ERR_INTERNAL},
      {"blk-ccw", "1", "", "/dev/a", NULL, KATA_ERR_INTERNAL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    Grpc__Device device = GRPC__DEVICE__INIT;
    char *options[] = {(char *)cases[i].option};
    device.type = (char *)cases[i].type;
    device.id = (char *)cases[i].id;
    device.vm_path = (char *)cases[i].vm_path;
    device.container_path = (char *)cases[i].container_path;
    device.options = options;
    device.n_options = cases[i].option ? 1 : 0;
    assert_int_equal(device_spec_check(&device, spec, &error), cases[i].code == 0);
    assert_int_equal(error ? (int)error_get_code(error) : 0, cases[i].code);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_crossed_numbers), cmocka_unit_test(test_rules),  cmocka_unit_test(test_block_io),
      cmocka_unit_test(test_environment),     cmocka_unit_test(test_checks),
  };
  return cmocka_run_group_tests_name("agent-device-spec", tests, NULL, NULL);
}
