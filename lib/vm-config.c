// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/vm-config.h"

#include <string.h>

#include "common/error.h"
#include "lib/disk-options.h"
#include "lib/paths.h"

#define QEMU "hypervisor.qemu"

/* x86's COMMAND_LINE_SIZE with its NUL (Linux: arch/x86/include/asm/setup.h). */
#define CMDLINE_MAX 2047

void vm_nic_free(VmNic *nic) {
  if (nic == NULL) return;
  g_free(nic->tap);
  g_free(nic->mac);
  g_free(nic);
}

void vm_config_free(VmConfig *config) {
  if (config == NULL) return;
  g_free(config->name);
  g_free(config->uuid);
  g_free(config->title);
  g_free(config->emulator);
  g_free(config->machine);
  g_free(config->firmware);
  g_free(config->kernel);
  g_free(config->initrd);
  g_free(config->cmdline);
  g_free(config->agent_socket);
  g_free(config->console_log);
  g_free(config->virtiofs_socket);
  g_clear_pointer(&config->nics, g_ptr_array_unref);
  g_free(config);
}

/* The same id below another root gets another one. Version 8 of RFC 9562: the bits are the maker's own. */
static char *make_uuid(const char *sandbox_dir, const char *sandbox_id) {
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_checksum_update(sum, (const guchar *)sandbox_dir, (gssize)strlen(sandbox_dir) + 1);
  g_checksum_update(sum, (const guchar *)sandbox_id, -1);
  guint8 b[32];
  gsize length = sizeof b;
  g_checksum_get_digest(sum, b, &length);
  b[6] = (b[6] & 0x0f) | 0x80;
  b[8] = (b[8] & 0x3f) | 0x80;
  return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
                         b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* A word's name: up to "=". */
static gsize name_length(const char *word) { return strcspn(word, "="); }

static gboolean has_word_named_like(char *const *words, const char *word) {
  gsize length = name_length(word);
  for (; *words != NULL; words++) {
    if (name_length(*words) == length && strncmp(*words, word, length) == 0) return TRUE;
  }
  return FALSE;
}

static GPtrArray *own_words(const kata_settings *settings, AgentChannel channel) {
  GPtrArray *words = g_ptr_array_new();
  /* panic: a guest that is lost reboots at once, which ends QEMU. The last three save more than half of what the
   * kernel does until PID 1 (docs/GUEST.md): no self-tests of its ciphers, no rewriting of its own code for a single
   * processor, no trial of the timer's interrupt. */
  static const char *const always[] = {
      "console=ttyS0",     "panic=-1",      "cgroup_no_v1=all", "systemd.unified_cgroup_hierarchy=1",
      "cryptomgr.notests", "noreplace-smp", "no_timer_check"};
  for (gsize i = 0; i < G_N_ELEMENTS(always); i++) g_ptr_array_add(words, (char *)always[i]);
  g_ptr_array_add(words, settings_get_bool(settings, QEMU, "enable_debug") ? (char *)"debug" : (char *)"quiet");
  gboolean debug_agent = settings_get_bool(settings, "agent.kata", "enable_debug");
  g_ptr_array_add(words, debug_agent ? (char *)"agent.log=debug" : (char *)"agent.log=info");
  if (settings_get_bool(settings, "agent.kata", "debug_console_enabled")) {
    g_ptr_array_add(words, (char *)"agent.debug_console");
    /* Upstream's port for it. */
    if (channel == CHANNEL_VSOCK) g_ptr_array_add(words, (char *)"agent.debug_console_vport=1026");
  }
  return words;
}

char *vm_config_cmdline(const kata_settings *settings, AgentChannel channel) {
  const char *params = settings_get_string(settings, QEMU, "kernel_params");
  g_auto(GStrv) given = g_strsplit_set(params, " \t", -1);
  g_autoptr(GPtrArray) own = own_words(settings, channel);
  GString *line = g_string_new(NULL);
  for (guint i = 0; i < own->len; i++) {
    if (!has_word_named_like(given, own->pdata[i]))
      g_string_append_printf(line, "%s%s", line->len > 0 ? " " : "", (const char *)own->pdata[i]);
  }
  for (char **word = given; *word != NULL; word++) {
    if (**word != '\0') g_string_append_printf(line, "%s%s", line->len > 0 ? " " : "", *word);
  }
  return g_string_free(line, FALSE);
}

VmNicOptions vm_config_nic_options(const kata_settings *settings) {
  return (VmNicOptions){.queues = (guint)settings_get_int(settings, QEMU, "network_queues"),
                        .in_qemu = settings_get_bool(settings, QEMU, "disable_vhost_net")};
}

static guint count_vcpus(const kata_settings *settings) {
  gint64 wanted = settings_get_int(settings, QEMU, "default_vcpus");
  if (wanted < 0) return g_get_num_processors();
  return wanted == 0 ? 1 : (guint)wanted;
}

static gboolean check_paths(const kata_settings *settings, GError **error) {
  static const char *const needed[] = {"path", "kernel", "initrd"};
  for (gsize i = 0; i < G_N_ELEMENTS(needed); i++) {
    if (*settings_get_string(settings, QEMU, needed[i]) != '\0') continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "'%s' of section [" QEMU "] is empty: a guest cannot do without it",
                needed[i]);
    return FALSE;
  }
  return TRUE;
}

static void take_settings(VmConfig *config, const kata_settings *settings) {
  config->emulator = g_strdup(settings_get_string(settings, QEMU, "path"));
  config->machine = g_strdup(settings_get_string(settings, QEMU, "machine_type"));
  config->kernel = g_strdup(settings_get_string(settings, QEMU, "kernel"));
  config->initrd = g_strdup(settings_get_string(settings, QEMU, "initrd"));
  const char *firmware = settings_get_string(settings, QEMU, "firmware");
  config->firmware = *firmware != '\0' ? g_strdup(firmware) : NULL;
  config->vcpus = count_vcpus(settings);
  config->max_vcpus = MAX(config->vcpus, (guint)settings_get_int(settings, QEMU, "default_maxvcpus"));
  config->memory_mib = (guint64)settings_get_int(settings, QEMU, "default_memory");
  config->reclaim = settings_get_bool(settings, QEMU, "reclaim_guest_freed_memory");
  config->nic_options = vm_config_nic_options(settings);
  config->ports = (guint)settings_get_int(settings, QEMU, "pcie_root_port");
}

static void take_directory(VmConfig *config, const kata_settings *settings, const char *sandbox_dir) {
  config->console_log = g_build_filename(sandbox_dir, PATHS_CONSOLE_LOG, NULL);
  if (config->channel == CHANNEL_SERIAL) config->agent_socket = g_build_filename(sandbox_dir, PATHS_AGENT_SOCKET, NULL);
  if (strcmp(settings_get_string(settings, QEMU, "shared_fs"), "none") != 0)
    config->virtiofs_socket = g_build_filename(sandbox_dir, PATHS_VIRTIOFS_SOCKET, NULL);
}

VmConfig *vm_config_new(const kata_settings *settings, const char *sandbox_id, const char *sandbox_dir,
                        Accelerator accelerator, AgentChannel channel, GError **error) {
  DiskOptions disks;
  if (!check_paths(settings, error) || !disk_options_read(settings, &disks, error)) return NULL;
  g_autoptr(VmConfig) config = g_new0(VmConfig, 1);
  config->name = g_strdup(VM_CONFIG_NAME);
  config->uuid = make_uuid(sandbox_dir, sandbox_id);
  config->title = g_strdup(sandbox_id);
  config->nics = g_ptr_array_new_with_free_func((GDestroyNotify)vm_nic_free);
  config->accelerator = accelerator;
  config->channel = channel;
  config->disk_thread = disks.own_thread;
  take_settings(config, settings);
  take_directory(config, settings, sandbox_dir);
  config->cmdline = vm_config_cmdline(settings, channel);
  if (strlen(config->cmdline) > CMDLINE_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
                "the kernel's command line has %zu bytes, but the kernel takes %d: shorten kernel_params",
                strlen(config->cmdline), CMDLINE_MAX);
    return NULL;
  }
  return g_steal_pointer(&config);
}

void vm_config_add_nic(VmConfig *config, guint number, const char *tap, const char *mac, guint mtu) {
  g_return_if_fail(number < VM_CONFIG_NICS_MAX);
  VmNic *nic = g_new0(VmNic, 1);
  nic->number = number;
  nic->tap = g_strdup(tap);
  nic->mac = g_strdup(mac);
  nic->mtu = mtu;
  nic->options = config->nic_options;
  g_ptr_array_add(config->nics, nic);
}

char *vm_config_nic_pci_path(guint nic) {
  return g_strdup_printf("%02x/00/%02x", VM_CONFIG_BRIDGE_SLOT, VM_CONFIG_NIC_FIRST_SLOT + nic);
}

gboolean vm_config_plug_late(VmConfig *config) {
  config->plug_late = config->ports < VM_CONFIG_PORTS_MAX;
  return config->plug_late;
}

char *vm_config_port_pci_path(guint port) {
  return g_strdup_printf("%02x.%u/00", VM_CONFIG_PORT_FIRST_SLOT + port / VM_CONFIG_PORTS_PER_SLOT,
                         port % VM_CONFIG_PORTS_PER_SLOT);
}

VmSize vm_config_get_limit(const kata_settings *settings) {
  guint wanted = (guint)settings_get_int(settings, "hypervisor.qemu", "default_maxvcpus");
  guint64 pages = (guint64)sysconf(_SC_PHYS_PAGES), page = (guint64)sysconf(_SC_PAGESIZE);
  return (VmSize){wanted > 0 ? wanted : g_get_num_processors(), pages * page >> 20};
}

void vm_config_set_size(VmConfig *config, const kata_settings *settings, const VmSize *size) {
  config->vcpus = size->vcpus;
  config->memory_mib = size->memory_mib;
  config->max_vcpus = MAX(config->max_vcpus, config->vcpus);
  if (settings_get_bool(settings, "runtime", "static_sandbox_resource_mgmt")) return;
  VmSize limit = vm_config_get_limit(settings);
  config->max_vcpus = MAX(config->max_vcpus, limit.vcpus);
  config->max_memory_mib = limit.memory_mib;
  /* The kernel finds new memory some time after it was plugged in, when nobody may ask the agent any more. */
  g_autofree char *cmdline = g_steal_pointer(&config->cmdline);
  config->cmdline = g_strconcat(cmdline, " memhp_default_state=online", NULL);
}
