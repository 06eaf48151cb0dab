// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/settings-table.h"

#include <string.h>

#define QEMU "hypervisor.qemu"
#define AGENT "agent.kata"
#define RUNTIME "runtime"
#define FACTORY "factory"
#define QUOTED(text) "\"" text "\""

/* QEMU's q35 takes 288 vCPUs (qemu 7.2, pc_q35_machine_options); without an IOMMU x2APIC ids end at 254. */
#define VCPUS_MAX 240
/* The agent and crun need some 50 MiB beside the kernel. */
#define MEMORY_MIN_MIB 96
#define MEMORY_MAX_MIB (4 << 20)
#define TIMEOUT_MAX_S 3600
/* A terabit. */
#define RATE_MAX G_GINT64_CONSTANT(1000000000000)
/* VM_CONFIG_PORTS_MAX */
#define PORTS_MAX 32
/* QEMU's: MIN_BLOCK_SIZE and MAX_BLOCK_SIZE. */
#define SECTOR_MAX (2 << 20)

/* Grouped by section, in the order of kata.conf(5). */
const SettingKey setting_keys[] = {
    {.section = QEMU,
     .key = "path",
     .type = SETTING_PATH,
     .preset = QUOTED(KATA_QEMU_PATH),
     .doc = "The hypervisor: QEMU for x86-64."},
    {.section = QEMU,
     .key = "kernel",
     .type = SETTING_PATH,
     .preset = QUOTED(KATA_GUESTDIR "/vmlinuz"),
     .doc = "The guest's kernel, booted directly."},
    {.section = QEMU,
     .key = "initrd",
     .type = SETTING_PATH,
     .preset = QUOTED(KATA_GUESTDIR "/initrd.img"),
     .doc = "The guest's initial file system, with the agent as /init."},
    {.section = QEMU,
     .key = "machine_type",
     .type = SETTING_STRING,
     .preset = QUOTED("q35"),
     .words = "q35",
     .doc = "QEMU's machine."},
    {.section = QEMU,
     .key = "firmware",
     .type = SETTING_PATH,
     .preset = QUOTED(KATA_FIRMWARE_PATH),
     .doc = "The firmware that loads the kernel; empty: the machine's own, which is slower."},
    {.section = QEMU,
     .key = "kernel_params",
     .type = SETTING_STRING,
     .preset = QUOTED(""),
     .doc = "Words added to the kernel's command line; one of ours with the same name gives way."},
    {.section = QEMU,
     .key = "default_vcpus",
     .type = SETTING_NUMBER,
     .preset = "1",
     .min = -1,
     .max = VCPUS_MAX,
     .doc = "Virtual CPUs of a guest; 0: one; -1: as many as the host has."},
    {.section = QEMU,
     .key = "default_maxvcpus",
     .type = SETTING_NUMBER,
     .preset = "0",
     .min = 0,
     .max = VCPUS_MAX,
     .doc = "Virtual CPUs a guest may ever have; 0: as many as the host has; never fewer than default_vcpus."},
    {.section = QEMU,
     .key = "default_memory",
     .type = SETTING_NUMBER,
     .preset = "2048",
     .min = MEMORY_MIN_MIB,
     .max = MEMORY_MAX_MIB,
     .doc = "Memory of a guest in MiB."},
    {.section = QEMU,
     .key = "accelerator",
     .type = SETTING_STRING,
     .preset = QUOTED("auto"),
     .words = "auto|kvm|tcg",
     .doc = "What runs the guest's code: KVM, or QEMU's own translator (much slower); auto: KVM if the host has it."},
    {.section = QEMU,
     .key = "agent_channel",
     .type = SETTING_STRING,
     .preset = QUOTED("auto"),
     .words = "auto|vsock|serial",
     .doc = "How the agent is reached: vsock, or a virtio-serial port; auto: vsock if the host has it and "
            "guests start neither from templates nor from the pool."},
    {.section = QEMU,
     .key = "shared_fs",
     .type = SETTING_STRING,
     .preset = QUOTED("virtio-fs"),
     .words = "virtio-fs|none",
     .doc = "How the guest sees the files of its containers."},
    {.section = QEMU,
     .key = "reclaim_guest_freed_memory",
     .type = SETTING_BOOLEAN,
     .preset = "true",
     .doc = "The guest tells the host which memory it has no use for, and the host takes it back (a balloon device)."},
    {.section = QEMU,
     .key = "pcie_root_port",
     .type = SETTING_NUMBER,
     .preset = "8",
     .min = 0,
     .max = PORTS_MAX,
     .doc = "How many disks can be plugged into a running guest at the same time."},
    {.section = QEMU,
     .key = "disable_block_device_use",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc =
         "A root file system that an engine gives as a block device or as an image is mounted on the host and shared, "
         "instead of plugged into the guest as a disk."},
    {.section = QEMU,
     .key = "block_device_aio",
     .type = SETTING_STRING,
     .preset = QUOTED("threads"),
     .words = "threads|native|io_uring",
     .doc = "How QEMU reads and writes the guest's disks: by threads of its own, or by the kernel's asynchronous calls "
            "(\"native\": of disks that go past the host's cache, the others by threads)."},
    {.section = QEMU,
     .key = "block_device_cache_set",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc = "The next two say how the host caches disks; false: those that a guest writes to go past the host's cache, "
            "and those that it only reads do not."},
    {.section = QEMU,
     .key = "block_device_cache_direct",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc = "Disks go past the host's cache, if block_device_cache_set is true."},
    {.section = QEMU,
     .key = "block_device_cache_noflush",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc = "What a guest wants written at once is written some time, if block_device_cache_set is true: faster, and "
            "lost if the host stops. Not together with block_device_cache_direct."},
    {.section = QEMU,
     .key = "block_device_num_queues",
     .type = SETTING_NUMBER,
     .preset = "0",
     .min = 0,
     .max = VCPUS_MAX,
     .doc = "Queues of each disk; 0: as many as the guest has virtual CPUs."},
    {.section = QEMU,
     .key = "block_device_logical_sector_size",
     .type = SETTING_NUMBER,
     .preset = "0",
     .min = 0,
     .max = SECTOR_MAX,
     .doc = "The smallest unit in bytes that a guest may read or write of its disks, a power of two; 0: QEMU's, 512."},
    {.section = QEMU,
     .key = "block_device_physical_sector_size",
     .type = SETTING_NUMBER,
     .preset = "0",
     .min = 0,
     .max = SECTOR_MAX,
     .doc = "The unit in bytes that suits them best, a power of two; 0: QEMU's, 512."},
    {.section = QEMU,
     .key = "enable_iothreads",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc = "A thread of QEMU's own serves the guest's disks."},
    {.section = QEMU,
     .key = "virtio_fs_daemon",
     .type = SETTING_PATH,
     .preset = QUOTED(KATA_VIRTIOFSD_PATH),
     .doc = "The program that serves virtio-fs."},
    {.section = QEMU,
     .key = "virtio_fs_extra_args",
     .type = SETTING_LIST,
     .preset = "[]",
     .doc = "Arguments added to that program's."},
    {.section = QEMU,
     .key = "virtio_fs_cache",
     .type = SETTING_STRING,
     .preset = QUOTED("auto"),
     .words = "never|none|auto|always",
     .doc = "How long the guest may trust what it has read; \"never\" and \"none\" mean the same."},
    {.section = QEMU,
     .key = "enable_annotations",
     .type = SETTING_LIST,
     .preset = "[\"enable_iommu\", \"kernel_params\", \"kernel_verity_params\"]",
     .doc =
         "Keys of this section that annotations io.katacontainers.config.hypervisor.KEY of a pod may set, as regular "
         "expressions; with any other annotation of this kind the pod does not start."},
    {.section = QEMU,
     .key = "valid_hypervisor_paths",
     .type = SETTING_LIST,
     .preset = "[" QUOTED(KATA_QEMU_PATH) "]",
     .doc = "What the annotation of \"path\" may name, where enable_annotations allows it: patterns as the shell's."},
    {.section = QEMU,
     .key = "valid_virtio_fs_daemon_paths",
     .type = SETTING_LIST,
     .preset = "[" QUOTED(KATA_VIRTIOFSD_PATH) "]",
     .doc = "The same for \"virtio_fs_daemon\"."},
    {.section = QEMU,
     .key = "rx_rate_limiter_max_rate",
     .type = SETTING_NUMBER,
     .preset = "0",
     .min = 0,
     .max = RATE_MAX,
     .doc = "Bits per second that each of a guest's network cards may receive; 0: no limit."},
    {.section = QEMU,
     .key = "tx_rate_limiter_max_rate",
     .type = SETTING_NUMBER,
     .preset = "0",
     .min = 0,
     .max = RATE_MAX,
     .doc = "Bits per second that each of a guest's network cards may send; 0: no limit."},
    {.section = QEMU,
     .key = "network_queues",
     .type = SETTING_NUMBER,
     .preset = "1",
     .min = 1,
     .max = VCPUS_MAX,
     .doc = "Queues of each of a guest's network cards, each for both directions; it uses as many as it has virtual "
            "CPUs."},
    {.section = QEMU,
     .key = "disable_vhost_net",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc =
         "QEMU itself moves the frames of the cards; false: the host's kernel does (vhost-net), where the guest runs "
         "on KVM and the host has /dev/vhost-net."},
    {.section = QEMU,
     .key = "enable_debug",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc = "The guest's kernel says all it has to say on the console."},
    {.section = AGENT,
     .key = "dial_timeout",
     .type = SETTING_NUMBER,
     .preset = "45",
     .min = 1,
     .max = TIMEOUT_MAX_S,
     .doc = "Seconds from the guest's start until its agent must have answered."},
    {.section = AGENT,
     .key = "kernel_modules",
     .type = SETTING_LIST,
     .preset = "[]",
     .doc = "Kernel modules the agent loads before the first container, each with its parameters after a blank."},
    {.section = AGENT,
     .key = "debug_console_enabled",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc = "Asks the agent for a root shell on the guest's console; an image without a shell, such as ours, says so "
            "there."},
    {.section = AGENT,
     .key = "enable_debug",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc = "The agent logs all it does."},
    {.section = FACTORY,
     .key = "enable_template",
     .type = SETTING_BOOLEAN,
     .preset = "true",
     .doc = "A guest that has booted once is saved, and later ones of the same configuration start from there, unless "
            "agent_channel is vsock; see \"katactl template\"."},
    {.section = FACTORY,
     .key = "template_path",
     .type = SETTING_PATH,
     .preset = QUOTED(KATA_CACHEDIR "/templates"),
     .doc = "The directory of the saved guests."},
    {.section = FACTORY,
     .key = "vm_cache_number",
     .type = SETTING_NUMBER,
     .preset = "0",
     .min = 0,
     .max = 64,
     .doc = "How many guests stand by, started from such a saved one, so that a new sandbox has one at once, "
            "unless agent_channel is vsock; see \"katactl pool\". 0: none."},
    {.section = FACTORY,
     .key = "vm_cache_memory",
     .type = SETTING_NUMBER,
     .preset = "0",
     .min = 0,
     .max = MEMORY_MAX_MIB,
     .doc = "No more guests stand by than have so much memory together, in MiB, whatever vm_cache_number says. 0: only "
            "a quarter of the host's memory is left alone."},
    {.section = RUNTIME,
     .key = "enable_debug",
     .type = SETTING_BOOLEAN,
     .preset = "false",
     .doc = "A sandbox's owner logs all it does."},
    {.section = RUNTIME,
     .key = "static_sandbox_resource_mgmt",
     .type = SETTING_BOOLEAN,
     .preset = "true",
     .doc = "A guest gets, beside its default size, the limits of its first container or pod when it starts, and stays "
            "so; false: it starts at its default size, and CPUs and memory are plugged in when containers need more: "
            "as their limits say, those of huge pages too, and as their cpusets say where none has a CPU quota."},
    {.section = RUNTIME,
     .key = "forward_localhost",
     .type = SETTING_BOOLEAN,
     .preset = "true",
     .doc = "Connections to 127.0.0.1 and ::1 in a guest's network namespace reach the guest, as port forwarders need; "
            "false: the guest has no interface for them, and the namespace's loopback device is left alone."},
    {.section = RUNTIME,
     .key = "create_container_timeout",
     .type = SETTING_NUMBER,
     .preset = "60",
     .min = 1,
     .max = TIMEOUT_MAX_S,
     .doc = "Seconds that making a container may take."},
};

const gsize n_setting_keys = G_N_ELEMENTS(setting_keys);

int setting_find(const char *section, const char *key) {
  for (gsize i = 0; i < n_setting_keys; i++) {
    if (strcmp(setting_keys[i].section, section) == 0 && strcmp(setting_keys[i].key, key) == 0) return (int)i;
  }
  return -1;
}

gboolean setting_section_exists(const char *section) {
  for (gsize i = 0; i < n_setting_keys; i++) {
    if (strcmp(setting_keys[i].section, section) == 0) return TRUE;
  }
  return FALSE;
}

static char *describe_words(const char *words) {
  g_auto(GStrv) list = g_strsplit(words, "|", -1);
  g_autofree char *joined = g_strjoinv("\", \"", list);
  return g_strdup_printf(list[1] == NULL ? "\"%s\"" : "one of \"%s\"", joined);
}

char *setting_describe(const SettingKey *key) {
  switch (key->type) {
    case SETTING_STRING:
      return key->words != NULL ? describe_words(key->words) : g_strdup("text in double quotes");
    case SETTING_PATH:
      return g_strdup("an absolute path in double quotes");
    case SETTING_NUMBER:
      return g_strdup_printf("a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, key->min, key->max);
    case SETTING_BOOLEAN:
      return g_strdup("true or false");
    case SETTING_LIST:
      return g_strdup("a list of texts on one line, such as [\"a\", \"b\"]");
  }
  return NULL;
}

/* Edit distance of two short names: insertions, deletions and replacements of one character. */
static gsize name_distance(const char *a, const char *b) {
  gsize columns = strlen(b) + 1;
  g_autofree gsize *row = g_new(gsize, columns);
  for (gsize j = 0; j < columns; j++) row[j] = j;
  for (gsize i = 0; a[i] != '\0'; i++) {
    gsize diagonal = row[0];
    row[0] = i + 1;
    for (gsize j = 1; j < columns; j++) {
      gsize replaced = diagonal + (a[i] != b[j - 1]);
      diagonal = row[j];
      row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[columns - 1];
}

const char *setting_suggest(const char *section, const char *name) {
  enum { NEAR = 3, NAME_MAX_LENGTH = 64 };
  if (strlen(name) > NAME_MAX_LENGTH) return NULL;
  const char *best = NULL;
  gsize best_distance = NEAR + 1;
  for (gsize i = 0; i < n_setting_keys; i++) {
    if (section != NULL && strcmp(section, setting_keys[i].section) != 0) continue;
    const char *known = section != NULL ? setting_keys[i].key : setting_keys[i].section;
    gsize distance = name_distance(name, known);
    if (distance < best_distance) {
      best = known;
      best_distance = distance;
    }
  }
  return best;
}
