// SPDX-License-Identifier: LGPL-2.1-or-later
/* Each NAME.conf beside this file gives exactly NAME.xml (with two network cards if it begins with "nics-");
 * KATA_TEST_REGEN=1 writes the latter anew, to be read before it is kept. Every one of them must also please libvirt's
 * schema. */

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "lib/domain-xml-disk.h"
#include "lib/domain-xml.h"
#include "lib/paths.h"
#include "lib/settings.h"

static char *folder;

/* The golden domains are of a sandbox "sandbox-1" below /run/kata. */
static char *build(const char *conf) {
  g_autoptr(GError) error = NULL;
  g_autoptr(kata_settings) settings = settings_new();
  settings_load_file(settings, conf, &error);
  g_assert_no_error(error);
  Accelerator accelerator = settings_get_accelerator(settings);
  AgentChannel channel = settings_get_channel(settings);
  g_autofree char *directory = paths_sandbox_dir(PATHS_DEFAULT_ROOT, "sandbox-1");
  g_autoptr(VmConfig) config = vm_config_new(settings, "sandbox-1", directory, accelerator, channel, &error);
  g_assert_no_error(error);
  if (channel == CHANNEL_VSOCK) config->vsock_cid = 42;
  if (strstr(conf, "/nics-") != NULL) {
    vm_config_add_nic(config, 0, "tap0_kata", "02:00:00:00:00:01", 1500);
    vm_config_add_nic(config, 1, "tap1_kata", "02:00:00:00:00:02", 9000);
  }
  char *xml = domain_xml_build(config, &error);
  g_assert_no_error(error);
  return xml;
}

static char *sibling(const char *conf, const char *suffix) {
  g_autofree char *stem = g_strndup(conf, strlen(conf) - strlen(".conf"));
  return g_strconcat(stem, suffix, NULL);
}

static void gives_the_golden_xml(void **state) {
  const char *conf = *state;
  g_autofree char *xml = build(conf);
  g_autofree char *golden = sibling(conf, ".xml");
  if (g_getenv("KATA_TEST_REGEN") != NULL) assert_true(g_file_set_contents(golden, xml, -1, NULL));
  g_autofree char *expected = NULL;
  assert_true(g_file_get_contents(golden, &expected, NULL, NULL));
  assert_string_equal(xml, expected);
}

static void pleases_libvirts_schema(void **state) {
  g_autofree char *tool = g_find_program_in_path("virt-xml-validate");
  if (tool == NULL) {
    print_message("virt-xml-validate is not there (package libvirt-clients)\n");
    skip();
  }
  g_autofree char *golden = sibling(*state, ".xml");
  char *argv[] = {tool, golden, (char *)"domain", NULL};
  g_autofree char *output = NULL, *problems = NULL;
  int status = -1;
  assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, &problems, &status, NULL));
  if (status != 0) print_message("%s%s\n", output, problems);
  assert_int_equal(status, 0);
}

static void add(GArray *tests, const char *prefix, const char *conf, CMUnitTestFunction func) {
  g_autofree char *name = g_path_get_basename(conf);
  struct CMUnitTest test = {
      .name = g_strdup_printf("%s: %s", name, prefix), .test_func = func, .initial_state = g_strdup(conf)};
  g_array_append_val(tests, test);
}

/* ---- disks ---- */

static void disks_are_told_apart(void **state) {
  static const DiskOptions plain = {0}, native = {.aio = "native", .queues = 2, .own_thread = TRUE},
                           unsafe = {.aio = "io_uring",
                                     .cache_set = TRUE,
                                     .cache_noflush = TRUE,
                                     .logical_bytes = 512,
                                     .physical_bytes = 4096},
                           direct = {.aio = "native", .cache_set = TRUE, .cache_direct = TRUE};
  static const VmDisk disks[] = {{0, "/run/kata/s/0/d/0", FALSE, &plain},
                                 {9, "/run/kata/s/0/d/9", TRUE, &plain},
                                 {27, "/a&b", FALSE, &plain},
                                 {1, "/b", FALSE, &native},
                                 {2, "/c", TRUE, &native},
                                 {3, "/d", FALSE, &unsafe},
                                 {4, "/e", TRUE, &direct}};
  static const char *const expected[] = {
      "<disk type=\"block\" device=\"disk\" model=\"virtio-non-transitional\">\n"
      "  <driver name=\"qemu\" type=\"raw\" cache=\"none\" discard=\"unmap\"/>\n"
      "  <source dev=\"/run/kata/s/0/d/0\"/>\n"
      "  <target dev=\"vda\" bus=\"virtio\"/>\n"
      "  <address type=\"pci\" domain=\"0x0000\" bus=\"0x03\" slot=\"0x00\" function=\"0x0\"/>\n"
      "</disk>\n",
      "<disk type=\"block\" device=\"disk\" model=\"virtio-non-transitional\">\n"
      "  <driver name=\"qemu\" type=\"raw\" cache=\"writeback\"/>\n"
      "  <source dev=\"/run/kata/s/0/d/9\"/>\n"
      "  <target dev=\"vdj\" bus=\"virtio\"/>\n"
      "  <readonly/>\n"
      "  <address type=\"pci\" domain=\"0x0000\" bus=\"0x0c\" slot=\"0x00\" function=\"0x0\"/>\n"
      "</disk>\n",
      "<disk type=\"block\" device=\"disk\" model=\"virtio-non-transitional\">\n"
      "  <driver name=\"qemu\" type=\"raw\" cache=\"none\" discard=\"unmap\"/>\n"
      "  <source dev=\"/a&amp;b\"/>\n"
      "  <target dev=\"vdab\" bus=\"virtio\"/>\n"
      "  <address type=\"pci\" domain=\"0x0000\" bus=\"0x1e\" slot=\"0x00\" function=\"0x0\"/>\n"
      "</disk>\n",
      "<disk type=\"block\" device=\"disk\" model=\"virtio-non-transitional\">\n"
      "  <driver name=\"qemu\" type=\"raw\" cache=\"none\" io=\"native\" discard=\"unmap\" iothread=\"1\" "
      "queues=\"2\"/>\n"
      "  <source dev=\"/b\"/>\n"
      "  <target dev=\"vdb\" bus=\"virtio\"/>\n"
      "  <address type=\"pci\" domain=\"0x0000\" bus=\"0x04\" slot=\"0x00\" function=\"0x0\"/>\n"
      "</disk>\n",
      "<disk type=\"block\" device=\"disk\" model=\"virtio-non-transitional\">\n"
      "  <driver name=\"qemu\" type=\"raw\" cache=\"writeback\" iothread=\"1\" queues=\"2\"/>\n"
      "  <source dev=\"/c\"/>\n"
      "  <target dev=\"vdc\" bus=\"virtio\"/>\n"
      "  <readonly/>\n"
      "  <address type=\"pci\" domain=\"0x0000\" bus=\"0x05\" slot=\"0x00\" function=\"0x0\"/>\n"
      "</disk>\n",
      "<disk type=\"block\" device=\"disk\" model=\"virtio-non-transitional\">\n"
      "  <driver name=\"qemu\" type=\"raw\" cache=\"unsafe\" io=\"io_uring\" discard=\"unmap\"/>\n"
      "  <source dev=\"/d\"/>\n"
      "  <target dev=\"vdd\" bus=\"virtio\"/>\n"
      "  <blockio logical_block_size=\"512\" physical_block_size=\"4096\"/>\n"
      "  <address type=\"pci\" domain=\"0x0000\" bus=\"0x06\" slot=\"0x00\" function=\"0x0\"/>\n"
      "</disk>\n",
      "<disk type=\"block\" device=\"disk\" model=\"virtio-non-transitional\">\n"
      "  <driver name=\"qemu\" type=\"raw\" cache=\"none\" io=\"native\"/>\n"
      "  <source dev=\"/e\"/>\n"
      "  <target dev=\"vde\" bus=\"virtio\"/>\n"
      "  <readonly/>\n"
      "  <address type=\"pci\" domain=\"0x0000\" bus=\"0x07\" slot=\"0x00\" function=\"0x0\"/>\n"
      "</disk>\n"};
  static const char *const places[] = {"03.0/00", "04.1/00", "06.3/00", "03.1/00", "03.2/00", "03.3/00", "03.4/00"};
  for (guint i = 0; i < G_N_ELEMENTS(disks); i++) {
    g_autofree char *xml = domain_xml_disk_build(&disks[i], NULL);
    assert_string_equal(xml, expected[i]);
    g_autofree char *place = vm_config_port_pci_path(disks[i].port);
    assert_string_equal(place, places[i]);
  }
}

int main(void) {
  const char *top = g_getenv("top_srcdir");
  folder = g_build_filename(top != NULL ? top : ".", "tests", "golden", NULL);
  GDir *dir = g_dir_open(folder, 0, NULL);
  if (dir == NULL) {
    fprintf(stderr, "no folder %s: run from the source tree or set top_srcdir\n", folder);
    return 1;
  }
  GArray *tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
  for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
    if (!g_str_has_suffix(name, ".conf")) continue;
    g_autofree char *conf = g_build_filename(folder, name, NULL);
    add(tests, "gives the golden XML", conf, gives_the_golden_xml);
    add(tests, "pleases libvirt's schema", conf, pleases_libvirts_schema);
  }
  g_dir_close(dir);
  add(tests, "are told apart", "disks", disks_are_told_apart);
  int failed =
      _cmocka_run_group_tests("domain XML", (const struct CMUnitTest *)(void *)tests->data, tests->len, NULL, NULL);
  for (guint i = 0; i < tests->len; i++) {
    const struct CMUnitTest *test = &g_array_index(tests, struct CMUnitTest, i);
    g_free((char *)test->name);
    g_free(test->initial_state);
  }
  g_array_free(tests, TRUE);
  g_free(folder);
  return failed;
}
