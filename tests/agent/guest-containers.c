/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-containers unix:///PATH: containers in a real guest, behind its
 * virtio-serial port: what the host has no controllers for, and how long it takes.
 * Its shared tree has the root file system in box/rootfs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "tests/agent/harness.h"

#define SHARED "/run/kata-containers/shared/containers"
#define SYNC_MS 120000
#define MIB (1u << 20)

static TtrpcClient *client;
static gint64 began;

static void begin(void) { began = g_get_monotonic_time(); }

static double seconds(void) { return (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC; }

static void test_create_sandbox(void **state) {
  Grpc__Storage share = GRPC__STORAGE__INIT;
  Grpc__Storage shm = GRPC__STORAGE__INIT;
  Grpc__Storage *storages[] = {&share, &shm};
  share.driver = (char *)"virtio-fs";
  share.source = (char *)"kataShared";
  share.fstype = (char *)"virtiofs";
  share.mount_point = (char *)SHARED "/";
  char *options[] = {(char *)"noexec", (char *)"nosuid", (char *)"nodev", (char *)"mode=1777", (char *)"size=1048576"};
  shm.driver = (char *)"ephemeral";
  shm.source = (char *)"shm";
  shm.fstype = (char *)"tmpfs";
  shm.n_options = G_N_ELEMENTS(options);
  shm.options = options;
  shm.mount_point = (char *)"/run/kata-containers/sandbox/shm";
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.hostname = (char *)"guest-of-test";
  request.sandbox_id = (char *)"guest-test";
  request.n_storages = G_N_ELEMENTS(storages);
  request.storages = storages;
  begin();
  harness_must("CreateSandbox", &request.base);
  print_message("CreateSandbox with share: %.3f s\n", seconds());
}

static void test_run(void **state) {
  for (int i = 0; i < 3; i++) {
    g_autofree char *id = g_strdup_printf("run%d", i);
    begin();
    harness_create(id, "echo hello; exit 42");
    double created = seconds();
    harness_start_container(id);
    double started = seconds();
    g_autoptr(GString) out = harness_read_all(id, "", FALSE);
    assert_int_equal(harness_wait(id, ""), 42);
    double ended = seconds();
    assert_string_equal(out->str, "hello\n");
    harness_remove(id);
    print_message("create %.3f s, start %.3f s, to exit %.3f s, remove %.3f s\n", created, started - created,
                  ended - started, seconds() - ended);
  }
}

static void test_exec(void **state) {
  harness_create("execs", "sleep 10000");
  harness_start_container("execs");
  for (int i = 0; i < 2; i++) {
    begin();
    harness_exec("execs", "e", "exit 9");
    double started = seconds();
    assert_int_equal(harness_wait("execs", "e"), 9);
    print_message("exec %.3f s, to exit %.3f s\n", started, seconds() - started);
  }
  begin();
  harness_exec("execs", "zero", "dd if=/dev/zero bs=65536 count=1024 2>/dev/null");
  gsize total = 0;
  for (gsize got = 1; got > 0; total += got) {
    g_autoptr(GBytes) data = harness_read("execs", "zero", MIB);
    got = g_bytes_get_size(data);
  }
  assert_int_equal(total, 64 * MIB);
  print_message("stdout: %.1f MiB/s\n", 64 / seconds());
  harness_wait("execs", "zero");

  g_autofree char *bytes = g_strnfill(MIB, 'x');
  begin();
  harness_exec("execs", "count", "wc -c");
  for (int i = 0; i < 32; i++) harness_write("execs", "count", bytes, MIB);
  harness_close_stdin("execs", "count");
  g_autoptr(GString) count = harness_read_all("execs", "count", FALSE);
  assert_string_equal(count->str, "33554432\n");
  print_message("stdin: %.1f MiB/s\n", 32 / seconds());
  harness_wait("execs", "count");
  harness_remove("execs");
}

static void test_limits(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec(
      "cat /proc/self/cgroup; (i=0; while [ $i -lt 40 ]; do sleep 1000 2>&- & i=$((i+1)); done); exec sleep 1000 2>&-");
  Grpc__LinuxResources *resources = malloc(sizeof *resources);
  grpc__linux_resources__init(resources);
  resources->pids = malloc(sizeof *resources->pids);
  grpc__linux_pids__init(resources->pids);
  resources->pids->limit = 20;
  resources->memory = malloc(sizeof *resources->memory);
  grpc__linux_memory__init(resources->memory);
  resources->memory->limit = 64 * MIB;
  resources->memory->limit_given_case = GRPC__LINUX_MEMORY__LIMIT_GIVEN_LIMIT;
  resources->cpu = malloc(sizeof *resources->cpu);
  grpc__linux_cpu__init(resources->cpu);
  resources->cpu->shares = 512;
  resources->cpu->shares_given_case = GRPC__LINUX_CPU__SHARES_GIVEN_SHARES;
  spec->linux->resources = resources;
  harness_create_spec("limits", spec);
  harness_start_container("limits");
  g_autoptr(GString) err = harness_read_all("limits", "", TRUE);
  assert_non_null(strstr(err->str, "fork"));
  g_autoptr(GBytes) out = harness_read("limits", "", 4096);
  assert_memory_equal(g_bytes_get_data(out, NULL), "0::/\n", 5);

  Grpc__StatsContainerRequest request = GRPC__STATS_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"limits";
  Grpc__StatsContainerResponse *reply =
      (Grpc__StatsContainerResponse *)harness_call("StatsContainer", &request.base, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->cgroup_stats->pids_stats->limit, 20);
  assert_true(reply->cgroup_stats->pids_stats->current <= 20);
  assert_int_equal(reply->cgroup_stats->memory_stats->usage->limit, 64 * MIB);
  assert_true(reply->cgroup_stats->memory_stats->usage->usage > 0);
  assert_true(reply->cgroup_stats->memory_stats->n_stats > 10);
  assert_true(reply->cgroup_stats->cpu_stats->cpu_usage->total_usage > 0);
  protobuf_c_message_free_unpacked(&reply->base, NULL);

  Grpc__LinuxResources update = GRPC__LINUX_RESOURCES__INIT;
  Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
  memory.limit = 32 * MIB;
  memory.limit_given_case = GRPC__LINUX_MEMORY__LIMIT_GIVEN_LIMIT;
  update.memory = &memory;
  Grpc__UpdateContainerRequest update_request = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
  update_request.container_id = (char *)"limits";
  update_request.resources = &update;
  harness_must("UpdateContainer", &update_request.base);
  reply = (Grpc__StatsContainerResponse *)harness_call("StatsContainer", &request.base, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->cgroup_stats->memory_stats->usage->limit, 32 * MIB);
  assert_int_equal(reply->cgroup_stats->pids_stats->limit, 20);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  harness_remove("limits");
}

static void test_devices(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("echo x > /dev/null && echo fine");
  Grpc__LinuxResources *resources = malloc(sizeof *resources);
  grpc__linux_resources__init(resources);
  resources->n_devices = 1;
  resources->devices = malloc(sizeof *resources->devices);
  resources->devices[0] = malloc(sizeof **resources->devices);
  grpc__linux_device_cgroup__init(resources->devices[0]);
  resources->devices[0]->access = strdup("rwm");
  spec->linux->resources = resources;
  harness_create_spec("devices", spec);
  harness_start_container("devices");
  g_autoptr(GString) out = harness_read_all("devices", "", FALSE);
  assert_string_equal(out->str, "fine\n");
  harness_remove("devices");
}

/* As runtimes give each container the sandbox's: with the size and the options of CreateSandbox, one for all. */
static void run_with_shm(const char *id, const char *script, const char *expected) {
  g_autoptr(Grpc__Spec) spec = harness_spec(script);
  harness_add_mount(spec, "/dev/shm", "bind", "/run/kata-containers/sandbox/shm");
  Grpc__Mount *shm = spec->mounts[spec->n_mounts - 1];
  shm->n_options = 1;
  shm->options = malloc(sizeof *shm->options);
  shm->options[0] = strdup("rbind");
  harness_create_spec(id, spec);
  harness_start_container(id);
  g_autoptr(GString) out = harness_read_all(id, "", FALSE);
  harness_wait(id, "");
  harness_remove(id);
  assert_string_equal(out->str, expected);
}

static void test_shared_memory(void **state) {
  run_with_shm("one",
               "grep ' /dev/shm ' /proc/mounts; "
               "dd if=/dev/zero of=/dev/shm/full bs=65536 count=32 2>/dev/null; wc -c < /dev/shm/full",
               "tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,inode64 0 0\n1048576\n");
  run_with_shm("other", "wc -c < /dev/shm/full", "1048576\n");
}

static void test_terminal(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("read x; stty size; hostname; exit 3");
  spec->process->terminal = TRUE;
  harness_create_spec("tty", spec);
  harness_start_container("tty");
  Grpc__TtyWinResizeRequest resize = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
  resize.container_id = (char *)"tty";
  resize.row = 40;
  resize.column = 132;
  harness_must("TtyWinResize", &resize.base);
  harness_write("tty", "", "x\n", 2);
  g_autoptr(GString) out = harness_read_all("tty", "", FALSE);
  assert_string_equal(out->str, "x\r\n40 132\r\nguest-of-test\r\n");
  assert_int_equal(harness_wait("tty", ""), 3);
  harness_remove("tty");
}

/* The port knows nothing of its peer: the next one must be served as well, and what the last one waited for is not
 * lost. */
static void test_destroy(void **state) {
  harness_create("last", "sleep 10000");
  harness_start_container("last");
  Grpc__DestroySandboxRequest request = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
  begin();
  harness_must("DestroySandbox", &request.base);
  print_message("DestroySandbox with a container: %.3f s\n", seconds());
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_create_sandbox), cmocka_unit_test(test_run),     cmocka_unit_test(test_exec),
      cmocka_unit_test(test_limits),         cmocka_unit_test(test_devices), cmocka_unit_test(test_shared_memory),
      cmocka_unit_test(test_terminal),       cmocka_unit_test(test_destroy),
  };
  g_autoptr(GError) error = NULL;
  if (argc != 2) return EXIT_FAILURE;
  int fd = ttrpc_dial(argv[1], 0, &error);
  client = fd < 0 ? NULL : ttrpc_client_new(fd, TTRPC_STREAM_PORT);
  if (!client || !ttrpc_client_sync(client, FALSE, SYNC_MS, &error)) {
    fprintf(stderr, "guest-containers: %s\n", error->message);
    return EXIT_FAILURE;
  }
  harness_attach(client, SHARED "/box/rootfs");
  int failed = cmocka_run_group_tests_name("guest-containers", tests, NULL, NULL);
  ttrpc_client_unref(client);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
