// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/error.h"
#include "lib/domain-xml.h"
#include "lib/host.h"
#include "lib/paths.h"
#include "lib/vm-config.h"

#define QEMU "hypervisor.qemu"
#define DIRECTORY "/run/kata/s/0123456789abcdef"

static void set(kata_settings *settings, const char *section, const char *key, const char *value) {
  assert_true(settings_set(settings, section, key, value, NULL));
}

static VmConfig *make(const kata_settings *settings, const char *id, const char *directory) {
  g_autoptr(GError) error = NULL;
  VmConfig *config = vm_config_new(settings, id, directory, ACCELERATOR_TCG, CHANNEL_SERIAL, &error);
  assert_null(error);
  assert_non_null(config);
  return config;
}

static void a_sandbox_is_named_alike_each_time(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(VmConfig) one = make(settings, "pod", DIRECTORY), again = make(settings, "pod", DIRECTORY);
  g_autoptr(VmConfig) other = make(settings, "pod2", DIRECTORY), elsewhere = make(settings, "pod", "/run/other");
  assert_string_equal(one->name, again->name);
  assert_string_equal(one->uuid, again->uuid);
  assert_string_not_equal(one->uuid, other->uuid);
  assert_string_not_equal(one->uuid, elsewhere->uuid);
  assert_true(g_uuid_string_is_valid(one->uuid));
  assert_string_equal(one->title, "pod");
}

static void vcpus_are_counted(void **state) {
  const struct {
    const char *vcpus, *max;
    guint expected, expected_max;
  } cases[] = {{"1", "0", 1, 1}, {"4", "0", 4, 4}, {"4", "2", 4, 4},
               {"2", "8", 2, 8}, {"0", "0", 1, 1}, {"-1", "0", g_get_num_processors(), g_get_num_processors()}};
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(kata_settings) settings = settings_new();
    set(settings, QEMU, "default_vcpus", cases[i].vcpus);
    set(settings, QEMU, "default_maxvcpus", cases[i].max);
    g_autoptr(VmConfig) config = make(settings, "pod", DIRECTORY);
    assert_int_equal(config->vcpus, cases[i].expected);
    assert_int_equal(config->max_vcpus, cases[i].expected_max);
  }
}

static void paths_lie_in_the_directory(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(VmConfig) config = make(settings, "pod", DIRECTORY);
  assert_string_equal(config->console_log, DIRECTORY "/console.log");
  assert_string_equal(config->agent_socket, DIRECTORY "/agent.sock");
  assert_string_equal(config->virtiofs_socket, DIRECTORY "/virtiofs.sock");
  set(settings, QEMU, "shared_fs", "\"none\"");
  g_autoptr(VmConfig) vsock = vm_config_new(settings, "pod", DIRECTORY, ACCELERATOR_TCG, CHANNEL_VSOCK, NULL);
  assert_null(vsock->agent_socket);
  assert_null(vsock->virtiofs_socket);
  assert_int_equal(vsock->vsock_cid, 0);
}

/* A word of the command line, whole. */
static gboolean has_word(const char *line, const char *word) {
  g_auto(GStrv) words = g_strsplit(line, " ", -1);
  return g_strv_contains((const char *const *)words, word);
}

static void given_parameters_replace_ours(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autofree char *plain = vm_config_cmdline(settings, CHANNEL_SERIAL);
  assert_true(has_word(plain, "panic=-1"));
  assert_true(has_word(plain, "quiet"));
  set(settings, QEMU, "kernel_params", "\"  panic=30   agent.log=trace panicky=1 \"");
  g_autofree char *line = vm_config_cmdline(settings, CHANNEL_SERIAL);
  assert_true(has_word(line, "panic=30"));
  assert_false(has_word(line, "panic=-1"));
  assert_true(has_word(line, "agent.log=trace"));
  assert_false(has_word(line, "agent.log=info"));
  assert_true(has_word(line, "panicky=1"));
  assert_false(has_word(line, "")); /* words are parted by one blank */
}

static void debug_settings_reach_the_guest(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  set(settings, QEMU, "enable_debug", "true");
  set(settings, "agent.kata", "enable_debug", "true");
  set(settings, "agent.kata", "debug_console_enabled", "true");
  g_autofree char *serial = vm_config_cmdline(settings, CHANNEL_SERIAL);
  assert_false(has_word(serial, "quiet"));
  assert_true(has_word(serial, "debug"));
  assert_true(has_word(serial, "agent.log=debug"));
  assert_true(has_word(serial, "agent.debug_console"));
  assert_false(has_word(serial, "agent.debug_console_vport=1026"));
  g_autofree char *vsock = vm_config_cmdline(settings, CHANNEL_VSOCK);
  assert_true(has_word(vsock, "agent.debug_console_vport=1026"));
}

static void what_cannot_boot_is_refused(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *long_text = g_strnfill(2048, 'x'), *quoted = g_strdup_printf("\"%s\"", long_text);
  set(settings, QEMU, "kernel_params", quoted);
  assert_null(vm_config_new(settings, "pod", DIRECTORY, ACCELERATOR_TCG, CHANNEL_SERIAL, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_CONFIG);
  assert_non_null(strstr(error->message, "shorten kernel_params"));
  g_clear_error(&error);
  set(settings, QEMU, "kernel_params", "\"\"");
  set(settings, QEMU, "kernel", "\"\"");
  assert_null(vm_config_new(settings, "pod", DIRECTORY, ACCELERATOR_TCG, CHANNEL_SERIAL, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_CONFIG);
  assert_non_null(strstr(error->message, "'kernel'"));
}

static void roots_are_checked(void **state) {
  const char *const good[] = {"/run/kata", "/a", "/run//kata/", "/run/..kata",
                              "/123456789012345678901234567890123456789012345678"};
  for (gsize i = 0; i < G_N_ELEMENTS(good) - 1; i++) assert_true(paths_check_root(good[i], NULL));
  const char *const bad[] = {"",          "/",    "///", "run/kata", "/run/../kata", "/run/kata/..", "/run/ka\nta",
                             "/run/\xff", good[4] /* 49 bytes */};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_false(paths_check_root(bad[i], &error));
    assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
    assert_null(strchr(error->message, '\xff'));
  }
}

static void sockets_fit_below_the_longest_root(void **state) {
  g_autofree char *root = g_strnfill(PATHS_ROOT_MAX, 'r');
  root[0] = '/';
  assert_true(paths_check_root(root, NULL));
  g_autofree char *id = g_strnfill(128, 'x'), *directory = paths_sandbox_dir(root, id);
  const char *const sockets[] = {PATHS_OWNER_SOCKET, PATHS_AGENT_SOCKET, PATHS_VIRTIOFS_SOCKET,
                                 PATHS_LIBVIRT "/lib/qemu/domain-1-" VM_CONFIG_NAME "/monitor.sock"};
  struct sockaddr_un address;
  for (gsize i = 0; i < G_N_ELEMENTS(sockets); i++)
    assert_true(strlen(directory) + 1 + strlen(sockets[i]) < sizeof address.sun_path);
}

static void forcing_what_is_not_there_says_what_to_do(void **state) {
  Accelerator accelerator = ACCELERATOR_AUTO;
  AgentChannel channel = CHANNEL_AUTO;
  g_autoptr(GError) error = NULL;
  assert_true(host_resolve_accelerator(ACCELERATOR_TCG, &accelerator, NULL));
  assert_int_equal(accelerator, ACCELERATOR_TCG);
  assert_true(host_resolve_channel(CHANNEL_SERIAL, &channel, NULL));
  assert_int_equal(channel, CHANNEL_SERIAL);
  if (!host_has_kvm()) {
    assert_false(host_resolve_accelerator(ACCELERATOR_KVM, &accelerator, &error));
    assert_int_equal(error_get_code(error), KATA_ERR_HOST);
    assert_non_null(strstr(error->message, "accelerator to \"tcg\""));
    assert_int_equal(accelerator, ACCELERATOR_TCG);
    assert_true(host_resolve_accelerator(ACCELERATOR_AUTO, &accelerator, NULL));
    assert_int_equal(accelerator, ACCELERATOR_TCG);
    g_clear_error(&error);
  }
  if (!host_has_vhost_vsock()) {
    assert_false(host_resolve_channel(CHANNEL_VSOCK, &channel, &error));
    assert_int_equal(error_get_code(error), KATA_ERR_HOST);
    assert_non_null(strstr(error->message, "agent_channel to \"serial\""));
    assert_true(host_resolve_channel(CHANNEL_AUTO, &channel, NULL));
    assert_int_equal(channel, CHANNEL_SERIAL);
  }
}

static const HostFinding *find(GPtrArray *findings, const char *name) {
  for (guint i = 0; i < findings->len; i++) {
    const HostFinding *finding = findings->pdata[i];
    if (strcmp(finding->name, name) == 0) return finding;
  }
  fail_msg("no finding '%s'", name);
  return NULL;
}

static void the_check_names_what_is_missing(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  set(settings, QEMU, "kernel", "\"/nowhere/vmlinuz\"");
  set(settings, QEMU, "path", "\"/etc/passwd\"");
  set(settings, QEMU, "initrd", "\"/dev/null\"");
  set(settings, QEMU, "firmware", "\"/etc/passwd\"");
  set(settings, QEMU, "accelerator", "\"tcg\"");
  set(settings, QEMU, "default_memory", "4194304");
  g_autoptr(GPtrArray) findings = host_check(settings);
  const HostFinding *kernel = find(findings, "guest kernel");
  assert_false(kernel->ok);
  assert_string_equal(kernel->text, "/nowhere/vmlinuz: No such file or directory");
  assert_non_null(kernel->remedy);
  assert_false(find(findings, "hypervisor")->ok);  /* not a program */
  assert_false(find(findings, "guest image")->ok); /* not a file */
  assert_true(find(findings, "firmware")->ok);
  assert_true(find(findings, "accelerator")->ok);
  assert_false(find(findings, "accelerator")->warning); /* asked for */
  assert_true(find(findings, "memory")->ok);
  assert_true(find(findings, "memory")->warning);
}

static void what_is_plugged_late_is_not_in_the_machine(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(VmConfig) config = vm_config_new(settings, "id", "/run/kata/s/x", ACCELERATOR_TCG, CHANNEL_SERIAL, NULL);
  assert_non_null(config);
  assert_true(vm_config_plug_late(config));
  g_autofree char *xml = domain_xml_build(config, NULL);
  assert_null(strstr(xml, "virtiofs"));
  assert_non_null(strstr(xml, "memfd")); /* virtiofsd will map it */
  /* Behind the disks' ports there is one more. */
  g_autofree char *last = g_strdup_printf("index=\"%u\"", VM_CONFIG_PORT_BUS(config->ports));
  assert_non_null(strstr(xml, last));
  g_autofree char *share = domain_xml_build_share(config, NULL);
  g_autofree char *bus = g_strdup_printf("bus=\"0x%02x\"", VM_CONFIG_PORT_BUS(config->ports));
  assert_non_null(strstr(share, bus));
  assert_non_null(strstr(share, "/run/kata/s/x/"));
  config->ports = VM_CONFIG_PORTS_MAX;
  assert_false(vm_config_plug_late(config));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_sandbox_is_named_alike_each_time),
      cmocka_unit_test(vcpus_are_counted),
      cmocka_unit_test(paths_lie_in_the_directory),
      cmocka_unit_test(given_parameters_replace_ours),
      cmocka_unit_test(debug_settings_reach_the_guest),
      cmocka_unit_test(what_cannot_boot_is_refused),
      cmocka_unit_test(what_is_plugged_late_is_not_in_the_machine),
      cmocka_unit_test(roots_are_checked),
      cmocka_unit_test(sockets_fit_below_the_longest_root),
      cmocka_unit_test(forcing_what_is_not_there_says_what_to_do),
      cmocka_unit_test(the_check_names_what_is_missing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
