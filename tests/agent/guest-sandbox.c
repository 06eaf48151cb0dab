/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-sandbox unix:///PATH: what a sandbox and its containers need a real guest for, behind its virtio-serial port:
 * limits, memory, the guest as a whole. The guest has two CPUs; its shared tree has the root file system in box/rootfs.
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

#include "common/error.h"
#include "common/oci.h"
#include "tests/agent/document.h"

#define SHARED "/run/kata-containers/shared/containers"
#define SYNC_MS 120000

static TtrpcClient *client;

static void test_create_sandbox(void **state) {
  Grpc__Storage share = GRPC__STORAGE__INIT;
  Grpc__Storage *storages[] = {&share};
  share.driver = (char *)"virtio-fs";
  share.source = (char *)"kataShared";
  share.fstype = (char *)"virtiofs";
  share.mount_point = (char *)SHARED "/";
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.hostname = (char *)"guest-of-test";
  request.sandbox_id = (char *)"guest-test";
  request.n_storages = G_N_ELEMENTS(storages);
  request.storages = storages;
  Grpc__KernelModule module = GRPC__KERNEL_MODULE__INIT;
  Grpc__KernelModule *modules[] = {&module};
  module.name = (char *)"no-such-module";
  request.n_kernel_modules = 1;
  request.kernel_modules = modules;
  harness_must_fail("CreateSandbox", &request.base, TTRPC_INTERNAL, "cannot load the kernel module 'no-such-module'");
  module.name = (char *)"virtiofs";
  harness_must("CreateSandbox", &request.base);
}

/* What upstream's runtime asks before it plugs memory in. */
static void test_details(void **state) {
  Grpc__GuestDetailsRequest request = GRPC__GUEST_DETAILS_REQUEST__INIT;
  Grpc__GuestDetailsResponse *reply =
      (Grpc__GuestDetailsResponse *)harness_call("GetGuestDetails", &request.base, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->mem_block_size_bytes, 0);
  assert_true(reply->agent_details->init_daemon);
  assert_true(reply->agent_details->supports_seccomp);
  assert_true(strlen(reply->agent_details->version) > 0);
  assert_int_equal(reply->agent_details->n_storage_handlers, 10);
  assert_int_equal(reply->agent_details->n_device_handlers, 5);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  request.mem_block_size = request.mem_hotplug_probe = TRUE;
  reply = (Grpc__GuestDetailsResponse *)harness_call("GetGuestDetails", &request.base, NULL);
  assert_non_null(reply);
  /* Of x86 with less than 64 GiB; it finds new memory by itself. */
  assert_int_equal(reply->mem_block_size_bytes, 128 << 20);
  assert_false(reply->support_mem_hotplug_probe);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
}

/* ---- limits ---- */

/* The container's own view of its cgroup. */
static Grpc__Spec *with_cgroup(const char *script, const char *members) {
  Grpc__Spec *spec = harness_document(script, members);
  harness_add_mount(spec, "/sys/fs/cgroup", "cgroup", "cgroup");
  return spec;
}

static void run_and_check(Grpc__Spec *spec, const char *expected) {
  harness_create_spec("doc", spec);
  harness_start_container("doc");
  g_autoptr(GString) out = harness_read_all("doc", "", FALSE);
  g_autoptr(GString) err = harness_read_all("doc", "", TRUE);
  harness_wait("doc", "");
  harness_remove("doc");
  if (strcmp(out->str, expected) != 0) fail_msg("'%s' is not '%s'; %s", out->str, expected, err->str);
}

#define CAT(files) "cd /sys/fs/cgroup && cat " files

static void test_limits(void **state) {
  g_autoptr(Grpc__Spec) spec = with_cgroup(
      CAT("memory.max memory.swap.max memory.low memory.high pids.max cpu.weight cpu.max cpu.max.burst cpu.idle"),
      "{\"linux\": {\"resources\": {\"memory\": {\"limit\": 67108864, \"swap\": 100663296, \"reservation\": 33554432, "
      "\"kernel\": -1, \"kernelTCP\": -1, \"swappiness\": 60}, \"pids\": {\"limit\": 33}, \"cpu\": {\"shares\": 2048, "
      "\"quota\": 50000, \"period\": 100000, \"burst\": 10000, \"idle\": 0}, "
      "\"unified\": {\"memory.high\": \"50331648\"}}}}");
  /* Swap is without what memory takes of it; the weight is 1 + (shares - 2) * 9999 / 262142. */
  run_and_check(spec, "67108864\n33554432\n33554432\n50331648\n33\n79\n50000 100000\n10000\n0\n");
  g_autoptr(Grpc__Spec) unlimited =
      with_cgroup(CAT("memory.max memory.swap.max pids.max cpu.max"),
                  "{\"linux\": {\"resources\": {\"memory\": {\"limit\": -1, \"swap\": -1}, \"pids\": {\"limit\": -1}, "
                  "\"cpu\": {\"quota\": -1}}}}");
  run_and_check(unlimited, "max\nmax\nmax\nmax 100000\n");
  g_autoptr(Grpc__Spec) zeros = with_cgroup(
      CAT("memory.max pids.max cpu.max cpu.weight"),
      "{\"linux\": {\"resources\": {\"memory\": {\"limit\": 0, \"swap\": 0, \"reservation\": 0}, \"pids\": {\"limit\": "
      "0}, \"cpu\": {\"quota\": 0, \"period\": 0, \"shares\": 0}}}}");
  run_and_check(zeros, "max\nmax\nmax 100000\n100\n");
  g_autoptr(Grpc__Spec) huge =
      with_cgroup(CAT("hugetlb.2MB.max"),
                  "{\"linux\": {\"resources\": {\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 4194304}]}}}");
  run_and_check(huge, "4194304\n");
  /* One that is idle has no weight. */
  g_autoptr(Grpc__Spec) idle = with_cgroup(CAT("cpu.idle"), "{\"linux\": {\"resources\": {\"cpu\": {\"idle\": 1}}}}");
  run_and_check(idle, "1\n");
  g_autoptr(Grpc__Spec) unswapped = with_cgroup(
      CAT("memory.max memory.swap.max"),
      "{\"linux\": {\"resources\": {\"memory\": {\"limit\": 67108864, \"swap\": 100663296, \"swappiness\": 0}}}}");
  run_and_check(unswapped, "67108864\n0\n");
}

static void update(const char *id, const char *members, int code, const char *refusal) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OciResources) resources = oci_resources_parse(members, strlen(members), "resources", &error);
  if (!resources) fail_msg("%s", error->message);
  Grpc__UpdateContainerRequest request = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  request.resources = resources;
  if (code != TTRPC_OK)
    harness_must_fail("UpdateContainer", &request.base, code, refusal);
  else
    harness_must("UpdateContainer", &request.base);
}

/* What only cgroup version 1 has is refused, at creation and in updates. */
static void test_limits_not_here(void **state) {
  static const struct {
    const char *members, *text;
  } cases[] = {
      {"{\"memory\": {\"kernel\": 1048576}}", "memory.kernel: this guest has cgroup version 2"},
      {"{\"memory\": {\"kernelTCP\": 1048576}}", "memory.kernelTCP"},
      {"{\"memory\": {\"swappiness\": 10}}", "memory.swappiness (but 0 and 60)"},
      {"{\"memory\": {\"disableOOMKiller\": true}}", "memory.disableOOMKiller"},
      {"{\"cpu\": {\"realtimeRuntime\": 1000}}", "cpu.realtimeRuntime"},
      {"{\"cpu\": {\"realtimePeriod\": 1000}}", "cpu.realtimePeriod"},
      {"{\"network\": {\"classID\": 1}}", "network.classID"},
      {"{\"network\": {\"priorities\": [{\"name\": \"lo\", \"priority\": 1}]}}", "network.priorities"},
      {"{\"blockIO\": {\"leafWeight\": 10}}", "blockIO.leafWeight"},
  };
  harness_create("plain", "sleep 1000");
  harness_start_container("plain");
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    update("plain", cases[i].members, TTRPC_UNIMPLEMENTED, cases[i].text);
    g_autofree char *members = g_strdup_printf("{\"linux\": {\"resources\": %s}}", cases[i].members);
    g_autoptr(Grpc__Spec) spec = harness_document("true", members);
    Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
    request.container_id = (char *)"never";
    request.oci = spec;
    harness_must_fail("CreateContainer", &request.base, TTRPC_UNIMPLEMENTED, cases[i].text);
  }
  harness_remove("plain");
}

/* A host may keep its time for others, so that test-document leaves these out there; a guest's is its own. The
 * real-time priority is the one before the policy. */
static void test_scheduling(void **state) {
  g_autoptr(Grpc__Spec) fifo =
      harness_document("set -- $(cat /proc/$$/stat); shift 39; echo $1 $2",
                       "{\"process\": {\"scheduler\": {\"policy\": \"SCHED_FIFO\", \"priority\": 7}}}");
  run_and_check(fifo, "7 1\n");
  g_autoptr(Grpc__Spec) deadline = harness_document(
      "set -- $(cat /proc/$$/stat); shift 40; echo $1",
      "{\"process\": {\"scheduler\": {\"policy\": \"SCHED_DEADLINE\", \"flags\": [\"SCHED_FLAG_RESET_ON_FORK\"], "
      "\"runtime\": 5000000, \"deadline\": 20000000, \"period\": 40000000}}}");
  run_and_check(deadline, "6\n");
}

/* The script looks for the line in the log. */
static void test_profile(void **state) {
  g_autoptr(Grpc__Spec) spec = with_cgroup("echo runs", "{\"process\": {\"apparmorProfile\": \"profile-of-test\"}}");
  run_and_check(spec, "runs\n");
}

/* The kernel logs what a filter with this flag refuses; the script looks for its line. */
static void test_seccomp_log(void **state) {
  g_autoptr(Grpc__Spec) spec = with_cgroup(
      "mkdir /tmp/x 2>/dev/null; echo $?",
      "{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86_64\"], "
      "\"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"], \"syscalls\": [{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": "
      "\"SCMP_ACT_ERRNO\"}]}}}");
  run_and_check(spec, "1\n");
}

static void test_cpuset(void **state) {
  g_autoptr(Grpc__Spec) spec =
      with_cgroup(CAT("cpuset.cpus cpuset.mems"), "{\"linux\": {\"resources\": {\"cpu\": {\"shares\": 1024}}}}");
  /* As the owner has it from a host with more CPUs. */
  Grpc__LinuxCPU *cpu = spec->linux->resources->cpu;
  cpu->hostcpus = strdup("7");
  cpu->hostmems = strdup("1");
  run_and_check(spec, "1\n\n");
  g_autoptr(Grpc__Spec) own = with_cgroup("grep Cpus_allowed_list /proc/self/status; nproc",
                                          "{\"linux\": {\"resources\": {\"cpu\": {\"cpus\": \"0\"}}}}");
  run_and_check(own, "Cpus_allowed_list:\t0\n1\n");
}

/* The guest's only disk. */
static void read_disk(char **ret_major, char **ret_minor) {
  g_autoptr(Grpc__Spec) spec = harness_document("cat /sys/block/vda/dev", "{}");
  harness_add_mount(spec, "/sys", "sysfs", "sysfs");
  harness_create_spec("disk", spec);
  harness_start_container("disk");
  g_autoptr(GString) out = harness_read_all("disk", "", FALSE);
  harness_wait("disk", "");
  harness_remove("disk");
  g_auto(GStrv) numbers = g_strsplit(g_strchomp(out->str), ":", -1);
  assert_int_equal(g_strv_length(numbers), 2);
  *ret_major = g_strdup(numbers[0]);
  *ret_minor = g_strdup(numbers[1]);
}

static void test_block_io(void **state) {
  g_autofree char *major = NULL;
  g_autofree char *minor = NULL;
  read_disk(&major, &minor);
  g_autofree char *members = g_strdup_printf(
      "{\"linux\": {\"resources\": {\"blockIO\": {\"weight\": 505, "
      "\"weightDevice\": [{\"major\": %1$s, \"minor\": %2$s, \"weight\": 1000}], "
      "\"throttleReadBpsDevice\": [{\"major\": %1$s, \"minor\": %2$s, \"rate\": 1000000}], "
      "\"throttleWriteBpsDevice\": [{\"major\": %1$s, \"minor\": %2$s, \"rate\": 2000000}], "
      "\"throttleReadIOPSDevice\": [{\"major\": %1$s, \"minor\": %2$s, \"rate\": 30}], "
      "\"throttleWriteIOPSDevice\": [{\"major\": %1$s, \"minor\": %2$s, \"rate\": 40}]}}}}",
      major, minor);
  g_autoptr(Grpc__Spec) spec = with_cgroup(CAT("io.weight io.max"), members);
  /* 505 is the middle of 10 to 1000, and so 5000 of 10000. */
  g_autofree char *expected = g_strdup_printf(
      "default 5000\n%1$s:%2$s 10000\n%1$s:%2$s rbps=1000000 wbps=2000000 riops=30 wiops=40\n", major, minor);
  run_and_check(spec, expected);
}

static void test_device_rules(void **state) {
  /* 4:64 is a serial port, which no container has by itself. */
  static const struct {
    const char *rule;
    const char *expected;
  } cases[] = {
      {"", "refused\nrefused\n"},
      {", {\"allow\": true, \"type\": \"c\", \"major\": 4, \"minor\": 64, \"access\": \"r\"}", "open\nrefused\n"},
      {", {\"allow\": true, \"type\": \"c\", \"major\": 4, \"access\": \"rw\"}", "open\nopen\n"},
      {", {\"allow\": true, \"type\": \"c\", \"access\": \"w\"}", "refused\nopen\n"},
      {", {\"allow\": true, \"type\": \"c\", \"major\": 4, \"minor\": -1, \"access\": \"w\"}", "refused\nopen\n"},
      {", {\"allow\": true, \"type\": \"b\", \"major\": 4, \"minor\": 64, \"access\": \"rw\"}", "refused\nrefused\n"},
      {", {\"allow\": true, \"type\": \"c\", \"major\": 4, \"minor\": 65, \"access\": \"rw\"}", "refused\nrefused\n"},
      /* 0 is a number, not any. */
      {", {\"allow\": true, \"type\": \"c\", \"major\": 0, \"minor\": 0, \"access\": \"rw\"}", "refused\nrefused\n"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *members = g_strdup_printf(
        "{\"linux\": {\"devices\": [{\"path\": \"/dev/serial\", \"type\": \"c\", \"major\": 4, \"minor\": 64}], "
        "\"resources\": {\"devices\": [{\"allow\": false, \"access\": \"rwm\"}%s]}}}",
        cases[i].rule);
    g_autoptr(Grpc__Spec) spec = harness_document(
        "(: < /dev/serial) 2>/dev/null && echo open || echo refused; "
        "(: > /dev/serial) 2>/dev/null && echo open || echo refused",
        members);
    run_and_check(spec, cases[i].expected);
  }
}

static void test_update(void **state) {
  g_autoptr(Grpc__Spec) spec = with_cgroup(
      "echo begun; exec sleep 1000",
      "{\"linux\": {\"resources\": {\"memory\": {\"limit\": 67108864}, \"pids\": {\"limit\": 20}, \"cpu\": {\"quota\": "
      "50000, \"period\": 100000}}}}");
  harness_create_spec("up", spec);
  harness_start_container("up");
  g_autoptr(GBytes) begun = harness_read("up", "", 100);
  update("up", "{\"cpu\": {\"quota\": -1}, \"pids\": {\"limit\": 30}}", TTRPC_OK, NULL);
  harness_exec("up", "e", CAT("memory.max pids.max cpu.max"));
  g_autoptr(GString) first = harness_read_all("up", "e", FALSE);
  assert_string_equal(first->str, "67108864\n30\nmax 100000\n");
  harness_wait("up", "e");
  update("up", "{\"memory\": {\"limit\": 4096, \"checkBeforeUpdate\": true}}", TTRPC_INVALID_ARGUMENT,
         "rejecting memory limit 4096 <= usage");
  update("up",
         "{\"memory\": {\"limit\": 33554432, \"swap\": 33554432, \"checkBeforeUpdate\": true}, \"unified\": "
         "{\"memory.high\": \"max\"}}",
         TTRPC_OK, NULL);
  harness_exec("up", "f", CAT("memory.max memory.swap.max pids.max"));
  g_autoptr(GString) second = harness_read_all("up", "f", FALSE);
  assert_string_equal(second->str, "33554432\n0\n30\n");
  harness_wait("up", "f");
  update("up",
         "{\"memory\": {\"limit\": -1, \"swap\": -1}, \"pids\": {\"limit\": -1}, \"cpu\": {\"quota\": 7000, "
         "\"period\": 10000}}",
         TTRPC_OK, NULL);
  harness_exec("up", "g", CAT("memory.max memory.swap.max pids.max cpu.max"));
  g_autoptr(GString) third = harness_read_all("up", "g", FALSE);
  assert_string_equal(third->str, "max\nmax\nmax\n7000 10000\n");
  harness_remove("up");
}

/* ---- the guest as a whole ---- */

static gpointer wait_for_oom(gpointer data) {
  Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;
  g_autoptr(TtrpcClient) own = ttrpc_client_ref(client);
  ProtobufCMessage *reply = NULL;
  g_autoptr(GError) error = NULL;
  if (!ttrpc_client_invoke(own, &grpc__agent_service__descriptor, "GetOOMEvent", &request.base, 0, &reply, &error))
    return g_strconcat("error: ", error->message, NULL);
  char *id = g_strdup(((Grpc__OOMEvent *)reply)->container_id);
  protobuf_c_message_free_unpacked(reply, NULL);
  return id;
}

static void run_out_of_memory(const char *id) {
  g_autoptr(Grpc__Spec) spec =
      harness_document("tail /dev/zero", "{\"linux\": {\"resources\": {\"memory\": {\"limit\": 16777216}}}}");
  harness_create_spec(id, spec);
  harness_start_container(id);
  assert_int_equal(harness_wait(id, ""), 137);
  harness_remove(id);
}

/* Two wait before it happens; what happens while nobody waits is kept. */
static void test_oom(void **state) {
  GThread *first = g_thread_new("oom", wait_for_oom, NULL);
  GThread *second = g_thread_new("oom", wait_for_oom, NULL);
  run_out_of_memory("greedy");
  run_out_of_memory("greedy");
  g_autofree char *one = g_thread_join(first);
  g_autofree char *two = g_thread_join(second);
  assert_string_equal(one, "greedy");
  assert_string_equal(two, "greedy");
  run_out_of_memory("third");
  g_autofree char *three = wait_for_oom(NULL);
  assert_string_equal(three, "third");
}

static Grpc__Spec *with_sys(const char *script) {
  Grpc__Spec *spec = harness_document(script, "{}");
  harness_add_mount(spec, "/sys", "sysfs", "sysfs");
  return spec;
}

/* Says which CPUs its process may use, once its input has ended. */
static void start_bound(const char *id, const char *cpus) {
  g_autofree char *members = g_strdup_printf("{\"linux\": {\"resources\": {\"cpu\": {\"cpus\": \"%s\"}}}}", cpus);
  g_autoptr(Grpc__Spec) spec =
      harness_document("echo begun; read wait; grep Cpus_allowed_list /proc/self/status", *cpus ? members : "{}");
  harness_create_spec(id, spec);
  harness_start_container(id);
  g_autoptr(GBytes) begun = harness_read(id, "", 6);
  assert_int_equal(g_bytes_get_size(begun), 6);
}

static void finish_bound(const char *id, const char *expected) {
  harness_exec(id, "later", "grep Cpus_allowed_list /proc/self/status");
  g_autoptr(GString) later = harness_read_all(id, "later", FALSE);
  harness_close_stdin(id, "");
  g_autoptr(GString) own = harness_read_all(id, "", FALSE);
  harness_wait(id, "");
  harness_remove(id);
  assert_string_equal(later->str, expected);
  assert_string_equal(own->str, expected);
}

/* As when CPUs are plugged in: containers that were there before may use them, but those that are bound to others. */
static void test_online(void **state) {
  Grpc__OnlineCPUMemRequest request = GRPC__ONLINE_CPUMEM_REQUEST__INIT;
  g_autoptr(Grpc__Spec) off = with_sys("echo 0 > /sys/devices/system/cpu/cpu1/online; nproc");
  run_and_check(off, "1\n");
  start_bound("free", "");
  start_bound("bound", "0");
  request.nb_cpus = 2;
  request.cpu_only = TRUE;
  harness_must("OnlineCPUMem", &request.base);
  g_autoptr(Grpc__Spec) on = with_sys("cat /sys/devices/system/cpu/cpu1/online; nproc");
  run_and_check(on, "1\n2\n");
  finish_bound("free", "Cpus_allowed_list:\t0-1\n");
  finish_bound("bound", "Cpus_allowed_list:\t0\n");
  request.cpu_only = FALSE;
  harness_must("OnlineCPUMem", &request.base);
  request.nb_cpus = 3;
  harness_must_fail("OnlineCPUMem", &request.base, TTRPC_INTERNAL, "only 2 of 3 CPUs are online");
}

static void test_clock(void **state) {
  Grpc__SetGuestDateTimeRequest request = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;
  request.sec = 2000000000;
  harness_must("SetGuestDateTime", &request.base);
  g_autoptr(Grpc__Spec) spec = harness_document(
      "[ $(date +%s) -ge 2000000000 ] && [ $(date +%s) -lt 2000001000 ] && "
      "echo right",
      "{}");
  run_and_check(spec, "right\n");
  request.usec = 1000000;
  harness_must_fail("SetGuestDateTime", &request.base, TTRPC_INVALID_ARGUMENT, "clock");
}

/* The guest was started with agent.devmode. */
static void test_core_files(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_document("ulimit -c", "{}");
  run_and_check(spec, "unlimited\n");
}

static void test_random(void **state) {
  Grpc__ReseedRandomDevRequest request = GRPC__RESEED_RANDOM_DEV_REQUEST__INIT;
  guint8 data[512] = {1, 2, 3};
  harness_must_fail("ReseedRandomDev", &request.base, TTRPC_INVALID_ARGUMENT, "1 to");
  request.data.data = data;
  request.data.len = sizeof data;
  harness_must("ReseedRandomDev", &request.base);
}

static guint64 metric(const char *text, const char *name) {
  g_autofree char *begin = g_strconcat("\n", name, " ", NULL);
  const char *line = strstr(text, begin);
  if (!line) fail_msg("no '%s'", name);
  return g_ascii_strtoull(line + strlen(begin), NULL, 10);
}

static char *get_metrics(void) {
  Grpc__GetMetricsRequest request = GRPC__GET_METRICS_REQUEST__INIT;
  Grpc__Metrics *reply = (Grpc__Metrics *)harness_call("GetMetrics", &request.base, NULL);
  assert_non_null(reply);
  char *text = g_strdup(reply->metrics);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  return text;
}

#define AGENT_MEMORY_MAX (8u << 20)

static void test_memory_of_agent(void **state) {
  harness_create("idle", "echo begun; exec sleep 1000");
  harness_start_container("idle");
  g_autoptr(GBytes) begun = harness_read("idle", "", 100);
  g_autofree char *text = get_metrics();
  guint64 resident = metric(text, "kata_agent_process_resident_memory_bytes");
  print_message("the agent has %" G_GUINT64_FORMAT " KiB resident\n", resident / 1024);
  assert_true(resident > 0 && resident <= AGENT_MEMORY_MAX);
  assert_non_null(strstr(text, "kata_guest_netdev_stat{interface=\"lo\""));
  assert_non_null(strstr(text, "kata_guest_diskstat{disk=\"vda\""));
  harness_remove("idle");
}

static void test_not_here(void **state) {
  Grpc__MemHotplugByProbeRequest probe = GRPC__MEM_HOTPLUG_BY_PROBE_REQUEST__INIT;
  guint64 address = 1ull << 40;
  probe.n_memhotplugprobeaddr = 1;
  probe.memhotplugprobeaddr = &address;
  harness_must_fail("MemHotplugByProbe", &probe.base, TTRPC_UNIMPLEMENTED, "finds new memory by itself");
  Grpc__SetPolicyRequest policy = GRPC__SET_POLICY_REQUEST__INIT;
  harness_must_fail("SetPolicy", &policy.base, TTRPC_UNIMPLEMENTED, "no policy");
  Grpc__MemAgentMemcgConfig memcg = GRPC__MEM_AGENT_MEMCG_CONFIG__INIT;
  harness_must_fail("MemAgentMemcgSet", &memcg.base, TTRPC_UNIMPLEMENTED, "no memory agent");
  Grpc__MemAgentCompactConfig compact = GRPC__MEM_AGENT_COMPACT_CONFIG__INIT;
  harness_must_fail("MemAgentCompactSet", &compact.base, TTRPC_UNIMPLEMENTED, "no memory agent");
}

/* Who waits for an event is told that there will be none. */
static void test_destroy(void **state) {
  GThread *waiting = g_thread_new("oom", wait_for_oom, NULL);
  /* So that it is asked before. */
  g_autofree char *text = get_metrics();
  /* After all that was asked of it above: PID 1 never starts one. */
  assert_int_equal(metric(text, "kata_agent_threads"), 1);
  Grpc__DestroySandboxRequest request = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
  harness_must("DestroySandbox", &request.base);
  g_autofree char *told = g_thread_join(waiting);
  assert_non_null(strstr(told, "error: "));
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_create_sandbox),  cmocka_unit_test(test_details),         cmocka_unit_test(test_limits),
      cmocka_unit_test(test_limits_not_here), cmocka_unit_test(test_profile),         cmocka_unit_test(test_scheduling),
      cmocka_unit_test(test_seccomp_log),     cmocka_unit_test(test_cpuset),          cmocka_unit_test(test_block_io),
      cmocka_unit_test(test_device_rules),    cmocka_unit_test(test_update),          cmocka_unit_test(test_oom),
      cmocka_unit_test(test_online),          cmocka_unit_test(test_clock),           cmocka_unit_test(test_random),
      cmocka_unit_test(test_core_files),      cmocka_unit_test(test_memory_of_agent), cmocka_unit_test(test_not_here),
      cmocka_unit_test(test_destroy),
  };
  g_autoptr(GError) error = NULL;
  if (argc != 2) return EXIT_FAILURE;
  int fd = ttrpc_dial(argv[1], 0, &error);
  client = fd < 0 ? NULL : ttrpc_client_new(fd, TTRPC_STREAM_PORT);
  if (!client || !ttrpc_client_sync(client, FALSE, SYNC_MS, &error)) {
    fprintf(stderr, "guest-sandbox: %s\n", error->message);
    return EXIT_FAILURE;
  }
  harness_attach(client, SHARED "/box/rootfs");
  int failed = cmocka_run_group_tests_name("guest-sandbox", tests, NULL, NULL);
  ttrpc_client_unref(client);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
