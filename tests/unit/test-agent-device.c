/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/device.h"
#include "common/error.h"

static void test_pci_paths(void **state) {
  static const char *const good[] = {"02", "2", "1f.7", "02/01", "1e.1/00", "02/01/00.3", "20/02/01", "ff/1f/00"};
  static const char *const bad[] = {"",
                                    "/",
                                    "02/",
                                    "20",
                                    "20/01",
                                    "02.8",
                                    "zz",
                                    "0x2",
                                    "02//1",
                                    "-1",
                                    "02/01/20",
                                    "../02",
                                    "02.",
                                    "100/1/2",
                                    "1 ",
                                    "1\n",
                                    "0/0/0/0/0/0/0/0/0"};
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    if (!device_check_pci_path(good[i], &error)) fail_msg("'%s': %s", good[i], error->message);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    if (device_check_pci_path(bad[i], &error)) fail_msg("'%s' is taken", bad[i]);
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
    assert_null(device_find_pci(bad[i]));
    assert_null(device_find_pci_block(bad[i]));
    assert_null(device_find_pci_net(bad[i]));
  }
}

static void test_scsi_addresses(void **state) {
  static const char *const good[] = {"0:0", "255:16383"};
  static const char *const bad[] = {"", "0", "0:0:0", "256:0", "0:16384", "a:0", ":", "0:-1", "*:*"};
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) assert_true(device_check_scsi_address(good[i], NULL));
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_false(device_check_scsi_address(bad[i], &error));
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
    assert_null(device_find_scsi_block(bad[i]));
  }
}

static void test_nodes(void **state) {
  char type = 0;
  dev_t numbers = 0;
  g_autoptr(GError) error = NULL;
  assert_true(device_get_numbers("/dev/null", &type, &numbers, &error));
  assert_int_equal(type, 'c');
  assert_int_equal(major(numbers), 1);
  assert_int_equal(minor(numbers), 3);
  assert_null(device_find_block_node("/dev/null"));
  assert_null(device_find_block_node("/dev/no-such-disk"));
  assert_false(device_get_numbers("/proc", &type, &numbers, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
  g_clear_error(&error);
  assert_false(device_get_numbers("/dev/no-such-disk", &type, &numbers, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_NOT_FOUND));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pci_paths),
      cmocka_unit_test(test_scsi_addresses),
      cmocka_unit_test(test_nodes),
  };
  return cmocka_run_group_tests_name("agent-device", tests, NULL, NULL);
}
