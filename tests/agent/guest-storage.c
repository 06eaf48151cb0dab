/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-storage unix:///PATH QMP-SOCKET: disks in a real guest, behind its virtio-serial port. Its shared tree has the
 * root file system in box/rootfs; test-storage-in-guest.sh says which disk is where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/oci.h"
#include "tests/agent/harness.h"

#define ROOT "/run/kata-containers"
#define SHARED ROOT "/shared/containers"
#define VOLUME ROOT "/sandbox/storage/volume"
#define SYNC_MS 120000
#define MIB (1u << 20)
#define HUGE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

static const char *monitor_path;

static Grpc__Storage storage_of(const char *driver, const char *source, const char *fstype) {
  Grpc__Storage storage = GRPC__STORAGE__INIT;
  storage.driver = (char *)driver;
  storage.source = (char *)source;
  storage.fstype = (char *)fstype;
  storage.mount_point = (char *)VOLUME;
  return storage;
}

static void test_create_sandbox(void **state) {
  Grpc__Storage share = storage_of("virtio-fs", "kataShared", "virtiofs");
  Grpc__Storage *storages[] = {&share};
  share.mount_point = (char *)SHARED "/";
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.sandbox_id = (char *)"guest-test";
  request.n_storages = G_N_ELEMENTS(storages);
  request.storages = storages;
  harness_must("CreateSandbox", &request.base);
}

/* ---- containers with a volume ---- */

static char **list_of(const char *text) {
  char **list = malloc(sizeof *list);
  list[0] = strdup(text);
  return list;
}

static Grpc__Spec *spec_with_volume(const char *script) {
  Grpc__Spec *spec = harness_spec(script);
  harness_add_mount(spec, "/sys", "sysfs", "sysfs");
  harness_add_mount(spec, "/data", "bind", VOLUME);
  spec->mounts[spec->n_mounts - 1]->options = list_of("rbind");
  spec->mounts[spec->n_mounts - 1]->n_options = 1;
  return spec;
}

static void create(const char *id, Grpc__Storage *storage, const char *script) {
  Grpc__Storage *storages[] = {storage};
  g_autoptr(Grpc__Spec) spec = spec_with_volume(script);
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  request.oci = spec;
  request.storages = storages;
  request.n_storages = 1;
  harness_must("CreateContainer", &request.base);
}

static void must_not_create(Grpc__Storage *storage, int code, const char *text) {
  Grpc__Storage *storages[] = {storage};
  g_autoptr(Grpc__Spec) spec = harness_spec("true");
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"fails";
  request.oci = spec;
  request.storages = storages;
  request.n_storages = 1;
  harness_must_fail("CreateContainer", &request.base, code, text);
}

/* Starts it, and gives what it prints until its end. */
static char *finish(const char *id) {
  harness_start_container(id);
  g_autoptr(GString) out = harness_read_all(id, "", FALSE);
  g_autoptr(GString) err = harness_read_all(id, "", TRUE);
  harness_wait(id, "");
  harness_remove(id);
  return g_strconcat(out->str, err->str, NULL);
}

static void check(Grpc__Storage *storage, const char *script, const char *expected) {
  create("box", storage, script);
  g_autofree char *said = finish("box");
  assert_string_equal(said, expected);
}

static char *run(const char *script) {
  g_autoptr(Grpc__Spec) spec = harness_spec(script);
  harness_add_mount(spec, "/sys", "sysfs", "sysfs");
  harness_create_spec("looks", spec);
  return finish("looks");
}

/* ---- QEMU's monitor ---- */

static void wait_for_answer(int fd) {
  g_autoptr(GString) line = g_string_new(NULL);
  for (char byte; read(fd, &byte, 1) == 1;) {
    g_string_append_c(line, byte);
    if (byte != '\n') continue;
    if (strstr(line->str, "\"error\"")) fail_msg("QEMU: %s", line->str);
    if (strstr(line->str, "\"return\"")) return;
    g_string_truncate(line, 0);
  }
  fail_msg("QEMU's monitor has ended");
}

static void tell_qemu(const char *command) {
  autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_strlcpy(address.sun_path, monitor_path, sizeof address.sun_path);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  const char *const commands[] = {"{\"execute\":\"qmp_capabilities\"}\n", command};
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
    assert_true(fd_write_all(fd, commands[i], strlen(commands[i])));
    wait_for_answer(fd);
  }
}

/* ---- file systems ---- */

static void test_cold_disk(void **state) {
  Grpc__Storage storage = storage_of("blk", "0c", "ext4");
  check(&storage, "cat /data/file; echo written > /data/new; grep -c ' /data ext4 rw' /proc/mounts",
        "from the host\n1\n");
  char *options[] = {(char *)"ro"};
  storage.options = options;
  storage.n_options = G_N_ELEMENTS(options);
  check(&storage, "cat /data/new; grep -c ' /data ext4 ro' /proc/mounts; echo x > /data/new",
        "written\n1\nsh: can't create /data/new: Read-only file system\n");
  /* The same disk by its name. */
  Grpc__Storage named = storage_of("blk", "/dev/vda", "ext4");
  check(&named, "cat /data/new", "written\n");
  Grpc__Storage node = storage_of("mmioblk", "/dev/vda", "ext4");
  check(&node, "cat /data/new", "written\n");
  Grpc__Storage wrong = storage_of("blk", "0c", "xfs");
  must_not_create(&wrong, TTRPC_INVALID_ARGUMENT, "cannot mount '/dev/vda' of type 'xfs'");
  g_autofree char *left = run("grep -c " VOLUME " /proc/mounts; ls " VOLUME " 2>&1 | wc -l");
  assert_string_equal(left, "0\n1\n");
}

/* A group's files on a disk: done while the loop goes on. */
static void test_group(void **state) {
  Grpc__FSGroup group = GRPC__FSGROUP__INIT;
  group.group_id = 777;
  Grpc__Storage storage = storage_of("blk", "0c", "ext4");
  storage.fs_group = &group;
  check(&storage, "ls -ln /data/file | (read mode n user gid rest; echo $mode $gid)", "-rw-rw-r-- 777\n");
  /* A read-only disk keeps what it has. */
  char *options[] = {(char *)"ro"};
  group.group_id = 888;
  storage.options = options;
  storage.n_options = 1;
  check(&storage, "ls -ln /data/file | (read mode n user gid rest; echo $mode $gid)", "-rw-rw-r-- 777\n");
}

static gpointer plug_later(gpointer unused) {
  g_usleep(G_USEC_PER_SEC);
  tell_qemu(
      "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"virtio-blk-pci\",\"drive\":\"hot\",\"bus\":\"hotport\","
      "\"id\":\"hotdisk\"}}\n");
  return NULL;
}

static guint64 measure(void) {
  Grpc__VolumeStatsRequest request = GRPC__VOLUME_STATS_REQUEST__INIT;
  request.volume_guest_path = (char *)VOLUME;
  Grpc__VolumeStatsResponse *reply = (Grpc__VolumeStatsResponse *)harness_call("GetVolumeStats", &request.base, NULL);
  assert_non_null(reply);
  guint64 total = reply->usage[0]->total;
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  return total;
}

static void grow(const char *disk, guint64 size) {
  guint64 before = measure();
  g_autofree char *command = g_strdup_printf(
      "{\"execute\":\"block_resize\",\"arguments\":{\"node-name\":\"%s\",\"size\":"
      "%" G_GUINT64_FORMAT "}}\n",
      disk, size);
  tell_qemu(command);
  Grpc__ResizeVolumeRequest request = GRPC__RESIZE_VOLUME_REQUEST__INIT;
  request.volume_guest_path = (char *)VOLUME;
  request.size = size;
  harness_must("ResizeVolume", &request.base);
  assert_true(measure() > before + before / 6);
  assert_true(measure() <= size);
  harness_must("ResizeVolume", &request.base);
  /* Never smaller, as the caller is told. */
  guint64 grown = measure();
  request.size = size / 2;
  harness_must_fail("ResizeVolume", &request.base, TTRPC_INVALID_ARGUMENT, "can only become larger");
  assert_int_equal(measure(), grown);
}

/* Plugged in while the request waits for it; others are served meanwhile. */
static void test_hot_disk(void **state) {
  GThread *plugger = g_thread_new("plug", plug_later, NULL);
  Grpc__Storage storage = storage_of("blk", "0d/00", "ext4");
  create("grows", &storage, "read wait; cat /data/file; echo fits > /data/new && cat /data/new");
  g_thread_join(plugger);
  grow("hot", 64 * MIB);
  harness_close_stdin("grows", "");
  g_autofree char *said = finish("grows");
  assert_string_equal(said, "from the host\nfits\n");
}

static void test_xfs(void **state) {
  Grpc__Storage storage = storage_of("blk", "11", "xfs");
  create("grows", &storage, "echo fits > /data/new && cat /data/new; grep -c ' /data xfs' /proc/mounts");
  grow("xfs", 400 * MIB);
  g_autofree char *said = finish("grows");
  assert_string_equal(said, "fits\n1\n");
}

/* File systems of images, whose modules come at the first mount. */
static void test_image_file_systems(void **state) {
  char *options[] = {(char *)"ro"};
  Grpc__Storage storage = storage_of("blk", "13", "erofs");
  storage.options = options;
  storage.n_options = 1;
  check(&storage, "cat /data/file; grep -c ' /data erofs ro' /proc/mounts; wc -c < /data/zeros; echo x > /data/new",
        "from the host\n1\n100000\nsh: can't create /data/new: Read-only file system\n");
  storage.fstype = (char *)"squashfs";
  must_not_create(&storage, TTRPC_INVALID_ARGUMENT, "of type 'squashfs'");
  storage.source = (char *)"14";
  check(&storage, "cat /data/file; grep -c ' /data squashfs ro' /proc/mounts; wc -c < /data/zeros; echo x > /data/new",
        "from the host\n1\n100000\nsh: can't create /data/new: Read-only file system\n");
}

static void add_mapping(Grpc__LinuxIDMapping ***list, gsize *count, guint32 host_id) {
  Grpc__LinuxIDMapping *mapping = malloc(sizeof *mapping);
  grpc__linux_idmapping__init(mapping);
  mapping->hostid = host_id;
  mapping->size = 65536;
  *list = malloc(sizeof **list);
  (*list)[0] = mapping;
  *count = 1;
}

/* The host's own file system of the share cannot be mapped, a disk's can. */
static void test_mount_mappings(void **state) {
  Grpc__Storage storage = storage_of("blk", "0c", "ext4");
  Grpc__Storage *storages[] = {&storage};
  g_autoptr(Grpc__Spec) spec = spec_with_volume("ls -ln /data/file | (read mode n user rest; echo $user)");
  Grpc__Mount *volume = spec->mounts[spec->n_mounts - 1];
  add_mapping(&volume->uidmappings, &volume->n_uidmappings, 1000);
  add_mapping(&volume->gidmappings, &volume->n_gidmappings, 1000);
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"mapped";
  request.oci = spec;
  request.storages = storages;
  request.n_storages = 1;
  harness_must("CreateContainer", &request.base);
  g_autofree char *said = finish("mapped");
  assert_string_equal(said, "1000\n");
  g_free(volume->source);
  volume->source = strdup(SHARED "/box");
  harness_must_fail("CreateContainer", &request.base, TTRPC_INTERNAL, "mount_setattr `" SHARED "/box`");
}

static void test_scsi(void **state) {
  char *create_option[] = {(char *)"create_filesystem"};
  Grpc__Storage storage = storage_of("scsi", "1:2", "ext4");
  must_not_create(&storage, TTRPC_INVALID_ARGUMENT, "cannot mount '/dev/sda'");
  storage.driver_options = create_option;
  storage.n_driver_options = 1;
  check(&storage, "echo made > /data/new; cat /data/new", "made\n");
  storage.n_driver_options = 0;
  check(&storage, "cat /data/new", "made\n");
}

/* The kernel can map a virtio-pmem device's files, but not those of a plain NVDIMM, which is mounted nevertheless. */
static void test_nvdimm(void **state) {
  g_autofree char *links = run("ls -l /sys/block/pmem0 | grep -c virtio");
  gboolean is_virtio_first = strcmp(links, "1\n") == 0;
  char *options[] = {(char *)"dax"};
  Grpc__Storage storage = storage_of("nvdimm", is_virtio_first ? "/dev/pmem1" : "/dev/pmem0", "ext4");
  storage.options = options;
  storage.n_options = 1;
  check(&storage, "cat /data/file; grep -c ' /data ext4 .*dax' /proc/mounts", "from the host\n0\n");
  storage.source = (char *)(is_virtio_first ? "/dev/pmem0" : "/dev/pmem1");
  check(&storage, "cat /data/file; grep -c ' /data ext4 .*dax' /proc/mounts", "from the host\n1\n");
  storage.fstype = (char *)"xfs";
  must_not_create(&storage, TTRPC_INVALID_ARGUMENT, "of type 'xfs'");
}

/* ---- memory ---- */

static void test_huge_pages(void **state) {
  Grpc__Storage storage = storage_of("ephemeral", "nodev", "hugetlbfs");
  char *options[] = {(char *)"pagesize=2097152,size=8388608"};
  storage.mount_point = (char *)ROOT "/own/pages";
  storage.options = options;
  storage.n_options = 1;
  Grpc__Storage *storages[] = {&storage};
  g_autoptr(Grpc__Spec) spec =
      harness_spec("cat " HUGE_PAGES "; grep -c '/data hugetlbfs .*pagesize=2M,size=8388608' /proc/mounts");
  harness_add_mount(spec, "/sys", "sysfs", "sysfs");
  harness_add_mount(spec, "/data", "bind", ROOT "/own/pages");
  spec->mounts[spec->n_mounts - 1]->options = list_of("rbind");
  spec->mounts[spec->n_mounts - 1]->n_options = 1;
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"pages";
  request.oci = spec;
  request.storages = storages;
  request.n_storages = 1;
  harness_must("CreateContainer", &request.base);
  g_autofree char *said = finish("pages");
  /* Beside the two that the kernel's command line asked for, which stay. */
  assert_string_equal(said, "6\n1\n");
  g_autofree char *released = run("cat " HUGE_PAGES);
  assert_string_equal(released, "2\n");
  /* More than there is: what was got is given back. */
  options[0] = (char *)"pagesize=2097152,size=1073741824";
  must_not_create(&storage, TTRPC_RESOURCE_EXHAUSTED, "cannot reserve 512 huge pages");
  g_autofree char *after = run("cat " HUGE_PAGES);
  assert_string_equal(after, "2\n");
}

/* What a container takes of them is in its statistics. */
static void test_huge_page_statistics(void **state) {
  Grpc__Storage storage = storage_of("ephemeral", "nodev", "hugetlbfs");
  char *options[] = {(char *)"pagesize=2097152,size=8388608"};
  storage.mount_point = (char *)ROOT "/own/pages";
  storage.options = options;
  storage.n_options = 1;
  Grpc__Storage *storages[] = {&storage};
  g_autoptr(Grpc__Spec) spec = harness_spec("busybox fallocate -l 4194304 /data/f && echo taken; exec sleep 1000");
  harness_add_mount(spec, "/data", "bind", ROOT "/own/pages");
  spec->mounts[spec->n_mounts - 1]->options = list_of("rbind");
  spec->mounts[spec->n_mounts - 1]->n_options = 1;
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"taker";
  request.oci = spec;
  request.storages = storages;
  request.n_storages = 1;
  harness_must("CreateContainer", &request.base);
  harness_start_container("taker");
  g_autoptr(GBytes) taken = harness_read("taker", "", 100);
  assert_memory_equal(g_bytes_get_data(taken, NULL), "taken\n", 6);
  Grpc__StatsContainerRequest wanted = GRPC__STATS_CONTAINER_REQUEST__INIT;
  wanted.container_id = (char *)"taker";
  ProtobufCMessage *reply = harness_call("StatsContainer", &wanted.base, NULL);
  assert_non_null(reply);
  const Grpc__CgroupStats *stats = ((Grpc__StatsContainerResponse *)reply)->cgroup_stats;
  guint64 used = 0;
  for (gsize i = 0; i < stats->n_hugetlb_stats; i++)
    if (strcmp(stats->hugetlb_stats[i]->key, "2MB") == 0) used = stats->hugetlb_stats[i]->value->usage;
  assert_int_equal(used, 4194304);
  protobuf_c_message_free_unpacked(reply, NULL);
  harness_remove("taker");
}

static void test_swap(void **state) {
  guint32 slots[] = {0x10};
  Grpc__AddSwapRequest request = GRPC__ADD_SWAP_REQUEST__INIT;
  request.pcipath = slots;
  request.n_pcipath = 1;
  harness_must("AddSwap", &request.base);
  g_autofree char *swaps = run("grep SwapTotal /proc/meminfo");
  assert_string_equal(swaps, "SwapTotal:         16380 kB\n");
  harness_must_fail("AddSwap", &request.base, TTRPC_ALREADY_EXISTS, "in use already");
  Grpc__AddSwapPathRequest path = GRPC__ADD_SWAP_PATH_REQUEST__INIT;
  path.path = (char *)"/dev/vda";
  harness_must_fail("AddSwapPath", &path.base, TTRPC_INVALID_ARGUMENT, "run mkswap on it");
  g_autofree char *node = run("cd /sys/devices/pci0000:00/0000:00:10.0/virtio*/block && ls");
  g_autofree char *full = g_strconcat("/dev/", g_strchomp(node), NULL);
  path.path = full;
  harness_must_fail("AddSwapPath", &path.base, TTRPC_ALREADY_EXISTS, "in use already");
  g_autofree char *second = run("cd /sys/devices/pci0000:00/0000:00:15.0/virtio*/block && ls");
  g_autofree char *second_path = g_strconcat("/dev/", g_strchomp(second), NULL);
  path.path = second_path;
  harness_must("AddSwapPath", &path.base);
  g_autofree char *both = run("grep SwapTotal /proc/meminfo");
  assert_string_equal(both, "SwapTotal:         24568 kB\n");
}

/* ---- devices ---- */

static Grpc__Device device_of(const char *type, const char *id, const char *container_path) {
  Grpc__Device device = GRPC__DEVICE__INIT;
  device.type = (char *)type;
  device.id = (char *)id;
  device.container_path = (char *)container_path;
  return device;
}

static void add_host_device(Grpc__Spec *spec, const char *path) {
  Grpc__LinuxDevice *device = malloc(sizeof *device);
  grpc__linux_device__init(device);
  device->path = strdup(path);
  device->type = strdup("b");
  device->major = 8;
  device->minor = 77;
  spec->linux->n_devices = 1;
  spec->linux->devices = malloc(sizeof *spec->linux->devices);
  spec->linux->devices[0] = device;
}

/* All is denied, but what access says of the host's numbers. */
static void add_rules(Grpc__Spec *spec, const char *access) {
  Grpc__LinuxResources *resources = malloc(sizeof *resources);
  grpc__linux_resources__init(resources);
  resources->devices = malloc(2 * sizeof *resources->devices);
  for (gsize i = 0; i < (access ? 2 : 1); i++) {
    Grpc__LinuxDeviceCgroup *rule = malloc(sizeof *rule);
    grpc__linux_device_cgroup__init(rule);
    rule->access = strdup(i ? access : "rwm");
    if (i) {
      rule->allow = TRUE;
      rule->type = strdup("b");
      rule->major_given_case = GRPC__LINUX_DEVICE_CGROUP__MAJOR_GIVEN_MAJOR;
      rule->major = 8;
      rule->minor_given_case = GRPC__LINUX_DEVICE_CGROUP__MINOR_GIVEN_MINOR;
      rule->minor = 77;
    }
    resources->devices[resources->n_devices++] = rule;
  }
  spec->linux->resources = resources;
}

static char *run_with_device(Grpc__Device *device, gboolean has_rules, const char *access, const char *script) {
  Grpc__Device *devices[] = {device};
  g_autoptr(Grpc__Spec) spec = harness_spec(script);
  add_host_device(spec, device->container_path);
  if (has_rules) add_rules(spec, access);
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"device";
  request.oci = spec;
  request.devices = devices;
  request.n_devices = 1;
  harness_must("CreateContainer", &request.base);
  return finish("device");
}

static void test_devices(void **state) {
  static const char read_script[] = "dd if=/dev/xdisk bs=10 count=1 2>/dev/null; echo new > /dev/xdisk && echo fine";
  Grpc__Device device = device_of("blk", "0e", "/dev/xdisk");
  g_autofree char *plain = run_with_device(&device, FALSE, NULL, read_script);
  assert_string_equal(plain, "raw bytes\nfine\n");
  g_autofree char *inserted = run_with_device(&device, TRUE, NULL, read_script);
  assert_string_equal(inserted, "new\nbytes\nfine\n");
  /* The rule that was for the host's numbers is for the guest's, and allows no more. */
  g_autofree char *read_only = run_with_device(&device, TRUE, "r", read_script);
  assert_true(g_str_has_prefix(read_only, "new\nbytes\n"));
  assert_non_null(strstr(read_only, "can't create /dev/xdisk: Operation not permitted"));
  Grpc__Device scsi = device_of("scsi", "1:2", "/dev/xdisk");
  g_autofree char *sees_scsi = run_with_device(&scsi, TRUE, NULL, "dd if=/dev/xdisk bs=1 count=1 2>/dev/null | wc -c");
  assert_string_equal(sees_scsi, "1\n");
  Grpc__Device pmem = device_of("nvdimm", "", "/dev/xdisk");
  pmem.vm_path = (char *)"/dev/pmem0";
  g_autofree char *sees_pmem = run_with_device(&pmem, TRUE, NULL, "dd if=/dev/xdisk bs=1 count=1 2>/dev/null | wc -c");
  assert_string_equal(sees_pmem, "1\n");
  Grpc__Device node = device_of("mmioblk", "", "/dev/xdisk");
  node.vm_path = (char *)"/dev/vda";
  g_autofree char *sees_node = run_with_device(&node, TRUE, NULL, "dd if=/dev/xdisk bs=1 count=1 2>/dev/null | wc -c");
  assert_string_equal(sees_node, "1\n");
}

static void add_variable(Grpc__Process *process, const char *variable) {
  process->env = realloc(process->env, (process->n_env + 1) * sizeof *process->env);
  process->env[process->n_env++] = strdup(variable);
}

static void test_pci_device(void **state) {
  char *options[] = {(char *)"0000:3b:00.0=0c", (char *)"0000:3b:00.1=0e"};
  Grpc__Device device = device_of("vfio-pci-gk", "12", "/dev/vfio/12");
  Grpc__Device *devices[] = {&device};
  device.options = options;
  device.n_options = G_N_ELEMENTS(options);
  g_autoptr(Grpc__Spec) spec = harness_spec("echo $PCIDEVICE_MAKER_CARD; read wait");
  add_variable(spec->process, "PCIDEVICE_MAKER_CARD=0000:3b:00.1,0000:3b:00.0,0000:99:00.0");
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"card";
  request.oci = spec;
  request.devices = devices;
  request.n_devices = 1;
  harness_must("CreateContainer", &request.base);
  harness_start_container("card");
  /* A process that comes later is told the same. */
  g_autoptr(Grpc__Process) process = harness_process("echo $PCIDEVICE_MAKER_CARD");
  add_variable(process, "PCIDEVICE_MAKER_CARD=0000:3b:00.0");
  Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
  exec.container_id = (char *)"card";
  exec.exec_id = (char *)"later";
  exec.process = process;
  harness_must("ExecProcess", &exec.base);
  g_autoptr(GString) later = harness_read_all("card", "later", FALSE);
  assert_string_equal(later->str, "0000:00:0c.0\n");
  harness_close_stdin("card", "");
  g_autoptr(GString) said = harness_read_all("card", "", FALSE);
  harness_wait("card", "");
  harness_remove("card");
  assert_string_equal(said->str, "0000:00:0e.0,0000:00:0c.0,0000:99:00.0\n");
  device.type = (char *)"vfio-pci";
  harness_must_fail("CreateContainer", &request.base, TTRPC_UNIMPLEMENTED, "no IOMMU");
}

/* Of the host's numbers, in a request. */
static OciResources *limits_of_disk(guint weight, guint rate) {
  g_autofree char *text = g_strdup_printf(
      "{\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 77, \"weight\": %u}], \"throttleReadBpsDevice\": "
      "[{\"major\": 8, \"minor\": 77, \"rate\": %u}]}}",
      weight, rate);
  g_autoptr(GError) error = NULL;
  OciResources *resources = oci_resources_parse(text, strlen(text), "resources", &error);
  if (!resources) fail_msg("%s", error->message);
  return resources;
}

#define READ_LIMITS "cat /sys/fs/cgroup/io.weight /sys/fs/cgroup/io.max"

static char *limits_text(const char *numbers, guint weight, guint rate) {
  return g_strdup_printf("default 100\n%1$s %2$u\n%1$s rbps=%3$u wbps=max riops=max wiops=max\n", numbers, weight,
                         rate);
}

/* Limits and weights are for the disk that the container has, whatever its numbers are here. */
#define READ_BYTES (8 * 65536)

/* What the container has read of the disk whose "MAJOR:MINOR" is numbers. */
static guint64 bytes_read(const char *id, const char *numbers) {
  Grpc__StatsContainerRequest request = GRPC__STATS_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  Grpc__StatsContainerResponse *reply =
      (Grpc__StatsContainerResponse *)harness_call("StatsContainer", &request.base, NULL);
  assert_non_null(reply);
  guint64 value = 0;
  const Grpc__BlkioStats *io = reply->cgroup_stats->blkio_stats;
  for (gsize i = 0; io && i < io->n_io_service_bytes_recursive; i++) {
    const Grpc__BlkioStatsEntry *entry = io->io_service_bytes_recursive[i];
    g_autofree char *disk = g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, entry->major, entry->minor);
    if (strcmp(disk, numbers) == 0 && strcmp(entry->op, "rbytes") == 0) value = entry->value;
  }
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  return value;
}

static void test_limits_of_device(void **state) {
  Grpc__Device device = device_of("blk", "0e", "/dev/xdisk");
  Grpc__Device *devices[] = {&device};
  g_autoptr(Grpc__Spec) spec = harness_spec("read wait");
  harness_add_mount(spec, "/sys/fs/cgroup", "cgroup", "cgroup");
  add_host_device(spec, "/dev/xdisk");
  spec->linux->resources = limits_of_disk(1000, 1000000);
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"limits";
  request.oci = spec;
  request.devices = devices;
  request.n_devices = 1;
  g_autofree char *numbers = g_strchomp(run("cat /sys/devices/pci0000:00/0000:00:0e.0/virtio*/block/*/dev"));
  harness_must("CreateContainer", &request.base);
  harness_start_container("limits");
  g_autoptr(OciResources) later = limits_of_disk(10, 2000000);
  Grpc__UpdateContainerRequest update = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
  update.container_id = (char *)"limits";
  update.resources = later;
  g_autofree char *expected = limits_text(numbers, 10000, 1000000);
  harness_exec("limits", "first", READ_LIMITS);
  g_autoptr(GString) first = harness_read_all("limits", "first", FALSE);
  assert_string_equal(first->str, expected);
  harness_must("UpdateContainer", &update.base);
  harness_exec("limits", "later", READ_LIMITS);
  g_autoptr(GString) changed = harness_read_all("limits", "later", FALSE);
  g_autofree char *changed_expected = limits_text(numbers, 1, 2000000);
  assert_string_equal(changed->str, changed_expected);
  harness_exec("limits", "reader", "dd if=/dev/xdisk of=/dev/null bs=65536 count=8 2>/dev/null");
  assert_int_equal(harness_wait("limits", "reader"), 0);
  assert_true(bytes_read("limits", numbers) >= READ_BYTES);
  harness_close_stdin("limits", "");
  harness_wait("limits", "");
  harness_remove("limits");
}

/* What a container has written and not synced is on the disk of the host, whose script looks: the agent unmounts the
 * volume, which outlives its container, and syncs. */
static void test_destroy(void **state) {
  Grpc__Storage storage = storage_of("blk", "0c", "ext4");
  storage.shared = TRUE;
  create("last", &storage,
         "for i in 0 1 2 3 4 5 6 7 8 9; do echo \"line $i that nobody syncs\"; done > /data/kept; echo written; sleep "
         "10000");
  harness_start_container("last");
  g_autoptr(GBytes) written = harness_read("last", "", 8);
  assert_memory_equal(g_bytes_get_data(written, NULL), "written\n", 8);
  Grpc__DestroySandboxRequest request = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
  harness_must("DestroySandbox", &request.base);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_create_sandbox),
      cmocka_unit_test(test_cold_disk),
      cmocka_unit_test(test_group),
      cmocka_unit_test(test_hot_disk),
      cmocka_unit_test(test_xfs),
      cmocka_unit_test(test_scsi),
      cmocka_unit_test(test_nvdimm),
      cmocka_unit_test(test_huge_pages),
      cmocka_unit_test(test_huge_page_statistics),
      cmocka_unit_test(test_swap),
      cmocka_unit_test(test_devices),
      cmocka_unit_test(test_pci_device),
      cmocka_unit_test(test_image_file_systems),
      cmocka_unit_test(test_mount_mappings),
      cmocka_unit_test(test_limits_of_device),
      cmocka_unit_test(test_destroy),
  };
  g_autoptr(GError) error = NULL;
  if (argc != 3) return EXIT_FAILURE;
  monitor_path = argv[2];
  int fd = ttrpc_dial(argv[1], 0, &error);
  TtrpcClient *client = fd < 0 ? NULL : ttrpc_client_new(fd, TTRPC_STREAM_PORT);
  if (!client || !ttrpc_client_sync(client, FALSE, SYNC_MS, &error)) {
    fprintf(stderr, "guest-storage: %s\n", error->message);
    return EXIT_FAILURE;
  }
  harness_attach(client, SHARED "/box/rootfs");
  int failed = cmocka_run_group_tests_name("guest-storage", tests, NULL, NULL);
  ttrpc_client_unref(client);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
