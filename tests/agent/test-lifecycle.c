/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Containers and their processes from birth to removal. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "proto/health.pb-c.h"
#include "tests/agent/harness.h"

static int start(void **state) {
  harness_start();
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

static void test_health(void **state) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  ProtobufCMessage *reply = NULL;
  assert_true(
      ttrpc_client_invoke(harness_client(), &grpc__health__descriptor, "Check", &request.base, 1000, &reply, NULL));
  assert_int_equal(((Grpc__HealthCheckResponse *)reply)->status, GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
  protobuf_c_message_free_unpacked(reply, NULL);
  assert_true(
      ttrpc_client_invoke(harness_client(), &grpc__health__descriptor, "Version", &request.base, 1000, &reply, NULL));
  assert_string_equal(((Grpc__VersionCheckResponse *)reply)->grpc_version, "0.0.1");
  assert_true(strlen(((Grpc__VersionCheckResponse *)reply)->agent_version) > 0);
  protobuf_c_message_free_unpacked(reply, NULL);
}

static void test_details(void **state) {
  Grpc__GuestDetailsRequest request = GRPC__GUEST_DETAILS_REQUEST__INIT;
  request.mem_block_size = TRUE;
  Grpc__GuestDetailsResponse *reply =
      (Grpc__GuestDetailsResponse *)harness_call("GetGuestDetails", &request.base, NULL);
  assert_non_null(reply);
  assert_false(reply->agent_details->init_daemon);
  assert_true(reply->agent_details->supports_seccomp);
  assert_string_equal(reply->agent_details->storage_handlers[0], "virtio-fs");
  protobuf_c_message_free_unpacked(&reply->base, NULL);
}

static void run_to_end(const char *id, const char *script, int expected) {
  harness_create(id, script);
  harness_start_container(id);
  assert_int_equal(harness_wait(id, ""), expected);
  harness_remove(id);
}

static void test_exit_codes(void **state) {
  run_to_end("code0", "true", 0);
  run_to_end("code42", "exit 42", 42);
  run_to_end("code127", "/no/such/program", 127);
  run_to_end("code126", "/etc/passwd", 126);
}

static void test_output(void **state) {
  harness_create("out", "echo to-out; echo to-err >&2; exit 3");
  harness_start_container("out");
  g_autoptr(GString) out = NULL;
  g_autoptr(GString) err = NULL;
  assert_int_equal(harness_wait("out", ""), 3);
  out = harness_read_all("out", "", FALSE);
  err = harness_read_all("out", "", TRUE);
  assert_string_equal(out->str, "to-out\n");
  assert_string_equal(err->str, "to-err\n");
  /* Who comes later sees the same. */
  assert_int_equal(harness_wait("out", "out"), 3);
  g_string_free(g_steal_pointer(&out), TRUE);
  out = harness_read_all("out", "", FALSE);
  assert_string_equal(out->str, "");
  harness_remove("out");
}

static void test_inside(void **state) {
  harness_create("inside", "echo $$; echo /proc/self/fd/*; ls /run 2>/dev/null; hostname; tty; id -u");
  harness_start_container("inside");
  assert_int_equal(harness_wait("inside", ""), 0);
  g_autoptr(GString) out = harness_read_all("inside", "", FALSE);
  g_auto(GStrv) lines = g_strsplit(out->str, "\n", -1);
  assert_string_equal(lines[0], "1");
  /* Nothing of ours or crun's is passed on: 3 is the shell's own directory. */
  assert_string_equal(lines[1], "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3");
  assert_string_equal(lines[2], "guest-of-test");
  assert_string_equal(lines[3], "not a tty");
  assert_string_equal(lines[4], "0");
  harness_remove("inside");
}

static void test_signals(void **state) {
  /* No handler: as PID 1 of its namespace it would not feel a SIGTERM. */
  harness_create("term", "sleep 100; true");
  harness_start_container("term");
  harness_signal("term", "", SIGTERM);
  assert_int_equal(harness_wait("term", ""), 137);
  harness_remove("term");

  harness_create("trap", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done");
  harness_start_container("trap");
  g_autoptr(GBytes) ready = harness_read("trap", "", 100);
  assert_int_equal(g_bytes_get_size(ready), 6);
  harness_signal("trap", "", SIGTERM);
  assert_int_equal(harness_wait("trap", ""), 5);
  /* Waited for: it is no more. */
  Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
  request.container_id = (char *)"trap";
  request.signal = SIGTERM;
  harness_must_fail("SignalProcess", &request.base, TTRPC_NOT_FOUND, "already finished");
  /* But to kill all of nothing is no error. */
  harness_signal("trap", "", SIGKILL);
  request.signal = 65;
  harness_must_fail("SignalProcess", &request.base, TTRPC_INVALID_ARGUMENT, "signal 65");
  harness_remove("trap");

  harness_create("kill", "sleep 100 & sleep 100");
  harness_start_container("kill");
  harness_exec("kill", "e", "sleep 100; true");
  harness_signal("kill", "", SIGKILL);
  assert_int_equal(harness_wait("kill", ""), 137);
  assert_int_equal(harness_wait("kill", "e"), 137);
  harness_remove("kill");
}

static void test_exec(void **state) {
  harness_create("exec", "sleep 1000");
  harness_start_container("exec");
  harness_exec("exec", "one", "echo from-exec; exit 9");
  g_autoptr(GString) out = harness_read_all("exec", "one", FALSE);
  assert_string_equal(out->str, "from-exec\n");
  g_autoptr(GString) err = harness_read_all("exec", "one", TRUE);
  assert_string_equal(err->str, "");
  assert_int_equal(harness_wait("exec", "one"), 9);
  assert_int_equal(harness_wait("exec", "one"), 9);
  /* Finished and told: the id may be used again. */
  harness_exec("exec", "one", "exit 10");
  assert_int_equal(harness_wait("exec", "one"), 10);
  harness_exec("exec", "killed", "kill -9 $$; sleep 100");
  assert_int_equal(harness_wait("exec", "killed"), 137);
  harness_exec("exec", "fds", "echo /proc/self/fd/*");
  g_autoptr(GString) fds = harness_read_all("exec", "fds", FALSE);
  assert_string_equal(fds->str, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n");
  harness_exec("exec", "two", "sleep 1000");

  g_autoptr(Grpc__Process) process = harness_process("true");
  Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
  request.container_id = (char *)"exec";
  request.exec_id = (char *)"two";
  request.process = process;
  harness_must_fail("ExecProcess", &request.base, TTRPC_ALREADY_EXISTS, "exists already");
  request.exec_id = (char *)"exec";
  harness_must_fail("ExecProcess", &request.base, TTRPC_ALREADY_EXISTS, "exists already");
  request.exec_id = (char *)"three";
  const char *const missing[] = {"no-such-program", NULL};
  harness_set_args(process, missing);
  harness_must_fail("ExecProcess", &request.base, TTRPC_INTERNAL,
                    "executable file `no-such-program` not found in $PATH: no such file or directory");
  Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
  wait.container_id = (char *)"exec";
  wait.exec_id = (char *)"three";
  harness_must_fail("WaitProcess", &wait.base, TTRPC_NOT_FOUND, "no process 'three'");
  harness_signal("exec", "two", SIGTERM);
  assert_int_equal(harness_wait("exec", "two"), 143);
  harness_remove("exec");
}

/* Many execs are run, and ended ones are not kept for ever. */
static void test_many_execs(void **state) {
  harness_create("many", "sleep 1000");
  harness_start_container("many");
  for (int i = 0; i < 100; i++) {
    g_autofree char *id = g_strdup_printf("e%d", i);
    g_autofree char *script = g_strdup_printf("exit %d", i);
    harness_exec("many", id, script);
    g_autoptr(GString) out = harness_read_all("many", id, FALSE);
    g_autoptr(GString) err = harness_read_all("many", id, TRUE);
    assert_int_equal(harness_wait("many", id), i);
  }
  assert_int_equal(harness_wait("many", "e99"), 99);
  Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
  wait.container_id = (char *)"many";
  wait.exec_id = (char *)"e0";
  harness_must_fail("WaitProcess", &wait.base, TTRPC_NOT_FOUND, "no process 'e0'");
  harness_remove("many");
}

static gpointer wait_in_thread(gpointer exec_id) { return GINT_TO_POINTER(harness_wait("waiters", exec_id)); }

static void test_waiters(void **state) {
  GThread *threads[8];
  harness_create("waiters", "trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done");
  harness_start_container("waiters");
  for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
    threads[i] = g_thread_new("wait", wait_in_thread, (gpointer)(i % 2 ? "waiters" : ""));
  g_autoptr(GBytes) ready = harness_read("waiters", "", 100);
  assert_int_equal(g_bytes_get_size(ready), 6);
  harness_signal("waiters", "", SIGTERM);
  for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) assert_int_equal(GPOINTER_TO_INT(g_thread_join(threads[i])), 6);
  harness_remove("waiters");
}

static void test_unknown_ids(void **state) {
  static const struct {
    const char *method;
    int code;
  } calls[] = {
      {"StartContainer", TTRPC_INTERNAL},
      {"RemoveContainer", TTRPC_INTERNAL},
      {"ExecProcess", TTRPC_INTERNAL},
      {"WriteStdin", TTRPC_INTERNAL},
      {"SignalProcess", TTRPC_INVALID_ARGUMENT},
      {"WaitProcess", TTRPC_INVALID_ARGUMENT},
      {"ReadStdout", TTRPC_INVALID_ARGUMENT},
      {"ReadStderr", TTRPC_INVALID_ARGUMENT},
      {"CloseStdin", TTRPC_INVALID_ARGUMENT},
      {"TtyWinResize", TTRPC_INVALID_ARGUMENT},
      {"StatsContainer", TTRPC_INVALID_ARGUMENT},
      {"PauseContainer", TTRPC_INVALID_ARGUMENT},
      {"ResumeContainer", TTRPC_INVALID_ARGUMENT},
      {"UpdateContainer", TTRPC_INVALID_ARGUMENT},
  };
  /* The container's id is field 1 of each, a string. */
  guint8 wire[] = {0x0a, 4, 'n', 'o', 'n', 'e'};
  for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(&grpc__agent_service__descriptor, calls[i].method);
    assert_non_null(method);
    ProtobufCMessage *request = protobuf_c_message_unpack(method->input, NULL, sizeof wire, wire);
    assert_non_null(request);
    harness_must_fail(calls[i].method, request, calls[i].code, "nvalid container id 'none'");
    protobuf_c_message_free_unpacked(request, NULL);
  }
  harness_create("known", "true");
  Grpc__CloseStdinRequest close_request = GRPC__CLOSE_STDIN_REQUEST__INIT;
  close_request.container_id = (char *)"known";
  close_request.exec_id = (char *)"nobody";
  harness_must_fail("CloseStdin", &close_request.base, TTRPC_NOT_FOUND, "no process 'nobody'");
  Grpc__TtyWinResizeRequest resize = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
  resize.container_id = (char *)"known";
  harness_must_fail("TtyWinResize", &resize.base, TTRPC_UNAVAILABLE, "no tty");
  harness_remove("known");
}

static void test_states(void **state) {
  Grpc__PauseContainerRequest pause_request = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
  Grpc__ResumeContainerRequest resume_request = GRPC__RESUME_CONTAINER_REQUEST__INIT;
  Grpc__StartContainerRequest start_request = GRPC__START_CONTAINER_REQUEST__INIT;
  g_autoptr(Grpc__Process) process = harness_process("true");
  Grpc__ExecProcessRequest exec_request = GRPC__EXEC_PROCESS_REQUEST__INIT;
  pause_request.container_id = resume_request.container_id = start_request.container_id = (char *)"states";
  exec_request.container_id = exec_request.exec_id = (char *)"states";
  exec_request.exec_id = (char *)"e";
  exec_request.process = process;

  harness_create("states", "echo begin; while :; do sleep 0.1; echo tick; done");
  /* Beside a first process that has not started yet. */
  harness_exec("states", "early", "exit 9");
  assert_int_equal(harness_wait("states", "early"), 9);
  harness_must_fail("ResumeContainer", &resume_request.base, TTRPC_FAILED_PRECONDITION, "created");
  harness_start_container("states");
  harness_must_fail("StartContainer", &start_request.base, TTRPC_FAILED_PRECONDITION, "running");
  g_autoptr(GBytes) begin = harness_read("states", "", 6);
  harness_must("PauseContainer", &pause_request.base);
  harness_must_fail("PauseContainer", &pause_request.base, TTRPC_FAILED_PRECONDITION, "paused");
  harness_must_fail("ExecProcess", &exec_request.base, TTRPC_FAILED_PRECONDITION, "paused");
  /* Nothing more comes than what was written before. */
  Grpc__ReadStreamRequest read_request = GRPC__READ_STREAM_REQUEST__INIT;
  read_request.container_id = (char *)"states";
  read_request.len = 4096;
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *reply = NULL;
  for (int i = 0; i < 100 && !error; i++) {
    g_clear_pointer(&reply, (GDestroyNotify)g_free);
    if (ttrpc_client_invoke(harness_client(), &grpc__agent_service__descriptor, "ReadStdout", &read_request.base, 400,
                            &reply, &error))
      protobuf_c_message_free_unpacked(g_steal_pointer(&reply), NULL);
  }
  assert_non_null(error);
  harness_must("ResumeContainer", &resume_request.base);
  harness_exec("states", "e", "exit 4");
  assert_int_equal(harness_wait("states", "e"), 4);
  /* A frozen container can be killed. */
  harness_must("PauseContainer", &pause_request.base);
  harness_signal("states", "", SIGKILL);
  assert_int_equal(harness_wait("states", ""), 137);
  harness_must_fail("ResumeContainer", &resume_request.base, TTRPC_FAILED_PRECONDITION, "stopped");
  harness_remove("states");
}

static gpointer exec_in_thread(gpointer exec_id) {
  g_autoptr(Grpc__Process) process = harness_process("exit 0");
  Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
  request.container_id = (char *)"races";
  request.exec_id = exec_id;
  request.process = process;
  GError *error = NULL;
  ProtobufCMessage *reply = harness_call("ExecProcess", &request.base, &error);
  if (reply) protobuf_c_message_free_unpacked(reply, NULL);
  return error;
}

/* A pause that comes while a process is being started waits for that. */
static void test_pause_during_exec(void **state) {
  Grpc__PauseContainerRequest pause_request = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
  Grpc__ResumeContainerRequest resume_request = GRPC__RESUME_CONTAINER_REQUEST__INIT;
  pause_request.container_id = resume_request.container_id = (char *)"races";
  harness_create("races", "sleep 1000");
  harness_start_container("races");
  for (int i = 0; i < 10; i++) {
    g_autofree char *id = g_strdup_printf("e%d", i);
    GThread *thread = g_thread_new("exec", exec_in_thread, id);
    g_usleep(3000);
    harness_must("PauseContainer", &pause_request.base);
    harness_must("ResumeContainer", &resume_request.base);
    g_autoptr(GError) error = g_thread_join(thread);
    /* One that came when the pause was already asked for is refused. */
    if (error)
      assert_non_null(strstr(error->message, "paused"));
    else
      assert_int_equal(harness_wait("races", id), 0);
  }
  harness_remove("races");
}

static void test_remove_running(void **state) {
  harness_create("busy", "sleep 1000 & trap '' TERM; sleep 1000");
  harness_start_container("busy");
  harness_exec("busy", "e", "sleep 1000");
  Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"busy";
  request.timeout = 20;
  harness_must("RemoveContainer", &request.base);
  harness_must_fail("RemoveContainer", &request.base, TTRPC_INTERNAL, "nvalid container id");
  /* One that was never started. */
  harness_create("idle", "true");
  harness_remove("idle");
}

static void test_stats(void **state) {
  harness_create("stats", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; sleep 1000");
  harness_start_container("stats");
  g_autoptr(GBytes) done = harness_read("stats", "", 5);
  Grpc__StatsContainerRequest request = GRPC__STATS_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"stats";
  Grpc__StatsContainerResponse *reply =
      (Grpc__StatsContainerResponse *)harness_call("StatsContainer", &request.base, NULL);
  assert_non_null(reply);
  assert_non_null(reply->cgroup_stats->cpu_stats);
  assert_true(reply->cgroup_stats->cpu_stats->cpu_usage->total_usage > 1000000);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  harness_remove("stats");
}

static void test_update(void **state) {
  Grpc__UpdateContainerRequest request = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"update";
  harness_create("update", "sleep 1000");
  harness_start_container("update");
  harness_must("UpdateContainer", &request.base);
  Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
  Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
  memory.limit = 64 << 20;
  memory.limit_given_case = GRPC__LINUX_MEMORY__LIMIT_GIVEN_LIMIT;
  resources.memory = &memory;
  request.resources = &resources;
  /* There is no memory controller here; what matters is that crun was asked for it and its reason comes back. */
  harness_must_fail("UpdateContainer", &request.base, TTRPC_INTERNAL, "memory");
  harness_remove("update");
}

static void must_not_create(Grpc__CreateContainerRequest *request, int code, const char *text) {
  g_autofree char *before = harness_leftovers();
  harness_must_fail("CreateContainer", &request->base, code, text);
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
}

static void test_failed_creates(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("true");
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"bad";
  must_not_create(&request, TTRPC_INVALID_ARGUMENT, "no process");
  request.oci = spec;
  const char *const missing[] = {"no-such-program", NULL};
  harness_set_args(spec->process, missing);
  must_not_create(&request, TTRPC_INTERNAL,
                  "executable file `no-such-program` not found in $PATH: no such file or directory");
  const char *const fine[] = {"true", NULL};
  harness_set_args(spec->process, fine);

  char *root = spec->root->path;
  spec->root->path = (char *)"/run/test/no-such-rootfs";
  must_not_create(&request, TTRPC_NOT_FOUND, "no-such-rootfs");
  spec->root->path = (char *)"/run/../etc";
  must_not_create(&request, TTRPC_INVALID_ARGUMENT, "..");
  spec->root->path = root;

  harness_add_mount(spec, "/mnt", "no-such-fs", "none");
  must_not_create(&request, TTRPC_INTERNAL, "no such device");
  protobuf_c_message_free_unpacked(&spec->mounts[--spec->n_mounts]->base, NULL);

  Grpc__Storage storages[2] = {GRPC__STORAGE__INIT, GRPC__STORAGE__INIT};
  Grpc__Storage *list[2] = {&storages[0], &storages[1]};
  storages[0].driver = (char *)"ephemeral";
  storages[0].fstype = (char *)"tmpfs";
  storages[0].mount_point = (char *)"/run/kata-containers/sandbox/ephemeral/x";
  storages[1].driver = (char *)"9p";
  request.n_storages = 2;
  request.storages = list;
  must_not_create(&request, TTRPC_INTERNAL, "Failed to find the storage handler 9p");
  storages[1].driver = (char *)"bind";
  storages[1].source = (char *)"/etc";
  storages[1].mount_point = (char *)"/etc";
  must_not_create(&request, TTRPC_INVALID_ARGUMENT, "is not below");
  storages[1].mount_point = (char *)"/run/kata-containers/../../etc";
  must_not_create(&request, TTRPC_INVALID_ARGUMENT, "..");
  request.n_storages = 0;

  Grpc__Device device = GRPC__DEVICE__INIT;
  Grpc__Device *devices[] = {&device};
  device.type = (char *)"blk";
  request.n_devices = 1;
  request.devices = devices;
  must_not_create(&request, TTRPC_INVALID_ARGUMENT, "no id");
  device.id = (char *)"02/01";
  device.container_path = (char *)"/dev/disk";
  must_not_create(&request, TTRPC_INVALID_ARGUMENT, "Missing devices in OCI spec");
  device.type = (char *)"blk-ccw";
  must_not_create(&request, TTRPC_INTERNAL, "Failed to find the device handler blk-ccw");
  request.n_devices = 0;

  static const char *const ids[] = {"", ".", "..", "a/b", "shared", "sandbox", "-\n", "../../etc"};
  for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
    request.container_id = (char *)ids[i];
    must_not_create(&request, TTRPC_INVALID_ARGUMENT, "");
  }
  request.container_id = (char *)"good";
  harness_must("CreateContainer", &request.base);
  must_not_create(&request, TTRPC_ALREADY_EXISTS, "exists already");
  request.container_id = (char *)"same-cgroup";
  must_not_create(&request, TTRPC_ALREADY_EXISTS, "in use by container 'good'");
  harness_remove("good");
}

static void test_removal_leaves_nothing(void **state) {
  /* As in a pod, where it is part of the share. */
  assert_int_equal(g_mkdir_with_parents("/run/kata-containers/shared/containers/sandbox/rootfs/local", 0755), 0);
  g_autofree char *before = harness_leftovers();
  g_autoptr(Grpc__Spec) spec = harness_spec("echo kept > /data/file; sleep 1000");
  harness_add_mount(spec, "/data", "bind", "/run/kata-containers/shared/containers/traces-data");
  char *options[] = {(char *)"rbind"};
  spec->mounts[spec->n_mounts - 1]->n_options = 1;
  spec->mounts[spec->n_mounts - 1]->options = options;
  Grpc__Storage storage = GRPC__STORAGE__INIT;
  Grpc__Storage bound = GRPC__STORAGE__INIT;
  Grpc__Storage local = GRPC__STORAGE__INIT;
  Grpc__Storage *list[] = {&storage, &bound, &local};
  char *bound_options[] = {(char *)"ro"};
  bound.driver = (char *)"bind";
  bound.source = (char *)"/etc";
  bound.n_options = 1;
  bound.options = bound_options;
  bound.mount_point = (char *)"/run/kata-containers/sandbox/storage/etc";
  char *local_options[] = {(char *)"mode=0777"};
  local.driver = (char *)"local";
  local.n_options = 1;
  local.options = local_options;
  local.mount_point = (char *)"/run/kata-containers/shared/containers/sandbox/rootfs/local/l";
  storage.driver = (char *)"ephemeral";
  storage.fstype = (char *)"tmpfs";
  char *storage_options[] = {(char *)"mode=1777", (char *)"size=1m", (char *)"noexec", (char *)"fsgid=77"};
  storage.n_options = G_N_ELEMENTS(storage_options);
  storage.options = storage_options;
  storage.mount_point = (char *)"/run/kata-containers/shared/containers/traces-data";
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"traces";
  request.oci = spec;
  request.n_storages = G_N_ELEMENTS(list);
  request.storages = list;
  harness_must("CreateContainer", &request.base);
  harness_start_container("traces");
  assert_int_equal(access("/run/kata-containers/sandbox/storage/etc/passwd", R_OK), 0);
  assert_int_equal(access("/run/kata-containers/sandbox/storage/etc/passwd", W_OK), -1);
  assert_int_equal(errno, EROFS);
  struct stat info;
  assert_int_equal(stat(storage.mount_point, &info), 0);
  assert_int_equal(info.st_gid, 77);
  assert_int_equal(info.st_mode & 07777, 03777);
  assert_int_equal(stat(local.mount_point, &info), 0);
  assert_int_equal(info.st_mode & 07777, 0777);
  harness_remove("traces");
  spec->mounts[spec->n_mounts - 1]->n_options = 0;
  spec->mounts[spec->n_mounts - 1]->options = NULL;
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
}

static void test_shared_pid_namespace(void **state) {
  g_autoptr(Grpc__Spec) first = harness_spec("sleep 1000");
  g_autoptr(Grpc__Spec) second = harness_spec("[ $$ != 1 ] && ps | grep -c 'sleep 1000'; sleep 2000 & true");
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.sandbox_pidns = TRUE;
  request.container_id = (char *)"pod";
  request.oci = first;
  /* One that fails is no hindrance to others. */
  char *cwd = first->process->cwd;
  first->process->cwd = (char *)"/etc/passwd";
  harness_must_fail("CreateContainer", &request.base, TTRPC_INTERNAL, "");
  first->process->cwd = cwd;
  harness_must("CreateContainer", &request.base);
  harness_start_container("pod");
  request.container_id = (char *)"member";
  request.oci = second;
  harness_must("CreateContainer", &request.base);
  harness_start_container("member");
  assert_int_equal(harness_wait("member", ""), 0);
  g_autoptr(GString) out = harness_read_all("member", "", FALSE);
  assert_true(g_ascii_strtoll(out->str, NULL, 10) >= 1);
  /* What it left running in the shared namespace goes with it. */
  harness_remove("member");
  harness_exec("pod", "look", "ps | grep -c '[s]leep 2000'");
  g_autoptr(GString) left = harness_read_all("pod", "look", FALSE);
  assert_string_equal(left->str, "0\n");
  harness_remove("pod");
}

/* The name that the first process got beside the container's id. */
static void test_exec_id_of_first(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("echo first");
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"named";
  request.exec_id = (char *)"no name";
  request.oci = spec;
  harness_must_fail("CreateContainer", &request.base, TTRPC_INVALID_ARGUMENT, "exec");
  request.exec_id = (char *)"main";
  harness_must("CreateContainer", &request.base);
  harness_start_container("named");
  g_autoptr(GString) out = harness_read_all("named", "main", FALSE);
  assert_string_equal(out->str, "first\n");
  assert_int_equal(harness_wait("named", "main"), 0);
  harness_remove("named");
}

/* Who asks for streams over ports would wait for ever on them. */
static void test_ports(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("sleep 1000");
  for (int i = 0; i < 3; i++) {
    static const char *const names[] = {"stdin_port 77", "stdout_port 77", "stderr_port 77"};
    Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
    request.container_id = (char *)"ported";
    request.oci = spec;
    guint32 *ports[] = {&request.stdin_port, &request.stdout_port, &request.stderr_port};
    *ports[i] = 77;
    harness_must_fail("CreateContainer", &request.base, TTRPC_UNIMPLEMENTED, names[i]);
  }
  harness_create_spec("ported", spec);
  harness_start_container("ported");
  g_autoptr(Grpc__Process) process = harness_process("true");
  Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
  exec.container_id = (char *)"ported";
  exec.exec_id = (char *)"e";
  exec.process = process;
  exec.stderr_port = 78;
  harness_must_fail("ExecProcess", &exec.base, TTRPC_UNIMPLEMENTED, "stderr_port 78");
  exec.stdin_port = 79;
  harness_must_fail("ExecProcess", &exec.base, TTRPC_UNIMPLEMENTED, "stdin_port 79");
  harness_remove("ported");
}

static void test_create_sandbox(void **state) {
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  char *dns[] = {(char *)"nameserver 127.0.0.1"};
  request.sandbox_id = (char *)"../x";
  harness_must_fail("CreateSandbox", &request.base, TTRPC_INVALID_ARGUMENT, "sandbox");
  request.sandbox_id = (char *)"sandbox-of-test";
  request.hostname = (char *)"guest-of-test";
  g_autofree char *long_line = g_strnfill(4097, 'x');
  char *long_dns[] = {(char *)"nameserver 127.0.0.1", long_line};
  request.n_dns = 2;
  request.dns = long_dns;
  harness_must_fail("CreateSandbox", &request.base, TTRPC_INVALID_ARGUMENT, "dns[1]: a line of 4097 bytes is longer");
  request.n_dns = 1;
  request.dns = dns;
  harness_must("CreateSandbox", &request.base);
  harness_must_fail("CreateSandbox", &request.base, TTRPC_ALREADY_EXISTS, "already");
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents("/run/kata-containers/sandbox/resolv.conf", &text, NULL, NULL));
  assert_string_equal(text, "nameserver 127.0.0.1\n");
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_health),
      cmocka_unit_test(test_details),
      cmocka_unit_test(test_create_sandbox),
      cmocka_unit_test(test_exit_codes),
      cmocka_unit_test(test_output),
      cmocka_unit_test(test_inside),
      cmocka_unit_test(test_signals),
      cmocka_unit_test(test_exec),
      cmocka_unit_test(test_many_execs),
      cmocka_unit_test(test_waiters),
      cmocka_unit_test(test_unknown_ids),
      cmocka_unit_test(test_states),
      cmocka_unit_test(test_remove_running),
      cmocka_unit_test(test_pause_during_exec),
      cmocka_unit_test(test_stats),
      cmocka_unit_test(test_update),
      cmocka_unit_test(test_failed_creates),
      cmocka_unit_test(test_removal_leaves_nothing),
      cmocka_unit_test(test_exec_id_of_first),
      cmocka_unit_test(test_ports),
      cmocka_unit_test(test_shared_pid_namespace),
  };
  return cmocka_run_group_tests_name("agent-lifecycle", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
