/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a container can hold up: the agent, which nobody else can be in its place, answers others meanwhile. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "proto/kata-guest.pb-c.h"
#include "tests/agent/document.h"

#define SHARED "/run/kata-containers/shared/containers"

static int start(void **state) {
  harness_start();
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

/* ---- a file system whose server never answers ---- */

/* Returns the server's end: what waits for it fails once that is closed. directory is in the mount namespace of pid. */
static int hang_directory(pid_t pid, const char *directory) {
  int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  assert_true(fuse >= 0);
  pid_t child = fork();
  if (child == 0) {
    g_autofree char *path = g_strdup_printf("/proc/%d/ns/mnt", (int)pid);
    g_autofree char *options = g_strdup_printf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    gboolean done =
        namespace >= 0 && setns(namespace, CLONE_NEWNS) == 0 && mount("silent", directory, "fuse", 0, options) == 0;
    _exit(done ? 0 : 1);
  }
  int wait_status = 0;
  assert_int_equal(waitpid(child, &wait_status, 0), child);
  assert_int_equal(wait_status, 0);
  return fuse;
}

static pid_t container_pid(const char *id) {
  Kata__V1__ListProcessesRequest request = KATA__V1__LIST_PROCESSES_REQUEST__INIT;
  ProtobufCMessage *reply = NULL;
  g_autoptr(GError) error = NULL;
  request.container_id = (char *)id;
  if (!ttrpc_client_invoke(harness_client(), &kata__v1__guest__descriptor, "ListProcesses", &request.base,
                           HARNESS_CALL_MS, &reply, &error))
    fail_msg("%s", error->message);
  const Kata__V1__ListProcessesResponse *list = (const Kata__V1__ListProcessesResponse *)reply;
  assert_int_equal(list->n_processes, 1);
  pid_t pid = (pid_t)list->processes[0]->pid;
  protobuf_c_message_free_unpacked(reply, NULL);
  return pid;
}

/* ---- a call that is held up ---- */

typedef struct {
  const ProtobufCServiceDescriptor *service;
  const char *method;
  const ProtobufCMessage *request;
  GError *error;
  gint is_over;
} Held;

static gpointer make_call(gpointer user_data) {
  Held *held = user_data;
  ProtobufCMessage *reply = NULL;
  if (ttrpc_client_invoke(harness_client(), held->service, held->method, held->request, HARNESS_CALL_MS, &reply,
                          &held->error))
    protobuf_c_message_free_unpacked(reply, NULL);
  g_atomic_int_set(&held->is_over, TRUE);
  return NULL;
}

/* The agent's helper that has begun to wait; there is none but it. */
static void wait_for_helper(void) {
  g_autofree char *path = g_strdup_printf("/proc/%1$d/task/%1$d/children", (int)harness_agent_pid());
  for (int waited = 0; waited < HARNESS_CALL_MS; waited++) {
    g_autofree char *children = NULL;
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(path, &children, NULL, NULL));
    g_auto(GStrv) pids = g_strsplit(children, " ", -1);
    for (char **pid = pids; *pid; pid++) {
      g_autofree char *name_path = g_strdup_printf("/proc/%s/comm", *pid);
      g_autofree char *name = NULL;
      if (**pid && g_file_get_contents(name_path, &name, NULL, NULL) && strcmp(name, "kata-agent\n") == 0) return;
    }
    g_usleep(1000);
  }
  fail_msg("the agent has no helper that waits");
}

static void check_others_are_served(GThread *thread, Held *held) {
  wait_for_helper();
  Grpc__GuestDetailsRequest details = GRPC__GUEST_DETAILS_REQUEST__INIT;
  for (int i = 0; i < 10; i++) {
    ProtobufCMessage *reply = harness_call("GetGuestDetails", &details.base, NULL);
    assert_non_null(reply);
    protobuf_c_message_free_unpacked(reply, NULL);
  }
  assert_false(g_atomic_int_get(&held->is_over));
}

/* The call is answered once the file system's server has gone. */
static void check_held(const char *method, const ProtobufCMessage *request, int fuse) {
  Held held = {&grpc__agent_service__descriptor, method, request, NULL, FALSE};
  GThread *thread = g_thread_new("held", make_call, &held);
  check_others_are_served(thread, &held);
  close(fuse);
  g_thread_join(thread);
  assert_non_null(held.error);
  g_error_free(held.error);
}

/* ---- the tests ---- */

/* A user by name, whose /etc is served by somebody who does not answer. */
static void test_passwd(void **state) {
  harness_create("silent", "exec sleep 1000");
  harness_start_container("silent");
  int fuse = hang_directory(container_pid("silent"), "/etc");
  g_autoptr(Grpc__Process) process = harness_process("true");
  process->user->username = strdup("root");
  Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
  request.container_id = (char *)"silent";
  request.exec_id = (char *)"e";
  request.process = process;
  check_held("ExecProcess", &request.base, fuse);
  harness_remove("silent");
}

typedef struct {
  const char *method;
  const ProtobufCMessage *request;
  const char *text;
  GError *error;
  GThread *thread;
} ForEver;

static gpointer make_given_up(gpointer user_data) {
  ForEver *call = user_data;
  ProtobufCMessage *reply = harness_call(call->method, call->request, &call->error);
  if (reply) protobuf_c_message_free_unpacked(reply, NULL);
  return NULL;
}

static void check_given_up(ForEver *calls, gsize n_calls) {
  for (gsize i = 0; i < n_calls; i++) calls[i].thread = g_thread_new("call", make_given_up, &calls[i]);
  for (gsize i = 0; i < n_calls; i++) {
    g_thread_join(calls[i].thread);
    if (!g_error_matches(calls[i].error, KATA_ERROR, KATA_ERR_TIMEOUT) ||
        !strstr(calls[i].error->message, calls[i].text))
      fail_msg("%s: %s", calls[i].method, calls[i].error ? calls[i].error->message : "it succeeded");
    g_clear_error(&calls[i].error);
  }
}

/* The same, and nobody ever comes to its help: the calls are given up, whatever each of them was about to do, and the
 * containers can be removed. */
static void test_for_ever(void **state) {
  harness_create("silent", "exec sleep 1000");
  harness_start_container("silent");
  assert_int_equal(g_mkdir_with_parents(SHARED "/silent", 0755), 0);
  int fuses[] = {hang_directory(container_pid("silent"), "/etc"), hang_directory(getpid(), SHARED "/silent")};
  g_autoptr(Grpc__Process) process = harness_process("true");
  process->user->username = strdup("root");
  Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
  exec.container_id = (char *)"silent";
  exec.exec_id = (char *)"e";
  exec.process = process;
  Grpc__CopyFileRequest copy = GRPC__COPY_FILE_REQUEST__INIT;
  copy.path = (char *)SHARED "/silent/file";
  copy.file_mode = 0644;
  g_autoptr(Grpc__Spec) spec = harness_spec("true");
  Grpc__SharedMount shared = GRPC__SHARED_MOUNT__INIT;
  Grpc__SharedMount *all_shared[] = {&shared};
  shared.name = shared.src_ctr = (char *)"silent";
  shared.src_path = (char *)"/etc/directory";
  shared.dst_path = (char *)"/tmp";
  Grpc__CreateContainerRequest create = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  create.container_id = (char *)"sharing";
  create.oci = spec;
  create.n_shared_mounts = 1;
  create.shared_mounts = all_shared;
  ForEver calls[] = {
      {"ExecProcess", &exec.base, "cannot read the container's /etc/passwd and /etc/group", NULL, NULL},
      {"CopyFile", &copy.base, "the agent's helper process had no answer within 30 s", NULL, NULL},
      {"CreateContainer", &create.base, "the agent's helper process had no answer within 30 s", NULL, NULL}};
  check_given_up(calls, G_N_ELEMENTS(calls));
  harness_remove("silent");
  for (gsize i = 0; i < G_N_ELEMENTS(fuses); i++) close(fuses[i]);
  assert_int_equal(umount2(SHARED "/silent", MNT_DETACH), 0);
}

static void test_termination_log(void **state) {
  assert_int_equal(g_mkdir_with_parents(SHARED "/words", 0755), 0);
  assert_true(g_file_set_contents(SHARED "/words/log", "last words", -1, NULL));
  g_autoptr(Grpc__Spec) spec =
      harness_document("exec sleep 1000",
                       "{\"annotations\": {\"io.kubernetes.container.terminationMessagePath\": \"/log\"}, \"mounts\": "
                       "[{\"destination\": "
                       "\"/log\", \"type\": \"bind\", \"source\": \"" SHARED
                       "/words/log\", \"options\": [\"bind\"]}, {\"destination\": "
                       "\"/proc\", \"type\": \"proc\", \"source\": \"proc\"}]}");
  harness_create_spec("words", spec);
  int fuse = hang_directory(getpid(), SHARED "/words");
  Grpc__GetDiagnosticDataRequest request = GRPC__GET_DIAGNOSTIC_DATA_REQUEST__INIT;
  request.log_type = (char *)"termination_log";
  request.container_id = (char *)"words";
  Held held = {&grpc__agent_service__descriptor, "GetDiagnosticData", &request.base, NULL, FALSE};
  GThread *thread = g_thread_new("held", make_call, &held);
  check_others_are_served(thread, &held);
  close(fuse);
  g_thread_join(thread);
  g_clear_error(&held.error);
  assert_int_equal(umount2(SHARED "/words", MNT_DETACH), 0);
  harness_remove("words");
}

/* A source of a bind is found by a helper too. */
static void test_bind(void **state) {
  assert_int_equal(g_mkdir_with_parents(SHARED "/served", 0755), 0);
  int fuse = hang_directory(getpid(), SHARED "/served");
  g_autoptr(Grpc__Spec) spec = harness_spec("true");
  Grpc__Storage storage = GRPC__STORAGE__INIT;
  Grpc__Storage *storages[] = {&storage};
  storage.driver = (char *)"bind";
  storage.source = (char *)SHARED "/served/directory";
  storage.mount_point = (char *)"/run/kata-containers/sandbox/bound";
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"bound";
  request.oci = spec;
  request.n_storages = 1;
  request.storages = storages;
  check_held("CreateContainer", &request.base, fuse);
  assert_int_equal(umount2(SHARED "/served", MNT_DETACH), 0);
}

/* A volume that a container has mounted something over, and its host copies to. */
static void test_copied_file(void **state) {
  assert_int_equal(g_mkdir_with_parents(SHARED "/volume", 0755), 0);
  int fuse = hang_directory(getpid(), SHARED "/volume");
  Grpc__CopyFileRequest request = GRPC__COPY_FILE_REQUEST__INIT;
  request.path = (char *)SHARED "/volume/file";
  request.file_size = 4;
  request.file_mode = 0644;
  request.data = (ProtobufCBinaryData){4, (guint8 *)"text"};
  check_held("CopyFile", &request.base, fuse);
  assert_int_equal(umount2(SHARED "/volume", MNT_DETACH), 0);
  harness_must("CopyFile", &request.base);
}

static void test_resized_volume(void **state) {
  assert_int_equal(g_mkdir_with_parents(SHARED "/grown", 0755), 0);
  int fuse = hang_directory(getpid(), SHARED "/grown");
  Grpc__ResizeVolumeRequest request = GRPC__RESIZE_VOLUME_REQUEST__INIT;
  request.volume_guest_path = (char *)SHARED "/grown/volume";
  request.size = 1 << 20;
  check_held("ResizeVolume", &request.base, fuse);
  assert_int_equal(umount2(SHARED "/grown", MNT_DETACH), 0);
}

static void test_root(void **state) {
  assert_int_equal(g_mkdir_with_parents(SHARED "/box", 0755), 0);
  int fuse = hang_directory(getpid(), SHARED "/box");
  g_autoptr(Grpc__Spec) spec = harness_spec("true");
  free(spec->root->path);
  spec->root->path = strdup(SHARED "/box/rootfs");
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"box";
  request.oci = spec;
  g_autofree char *before = harness_leftovers();
  check_held("CreateContainer", &request.base, fuse);
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
  assert_int_equal(umount2(SHARED "/box", MNT_DETACH), 0);
}

#define MEMORY "/run/kata-containers/sandbox/memory"

/* Every mount point is looked at, and the call answered whatever came of it. */
static void check_looked_at(int fuse) {
  Grpc__RemoveStaleVirtiofsShareMountsRequest request = GRPC__REMOVE_STALE_VIRTIOFS_SHARE_MOUNTS_REQUEST__INIT;
  Held held = {&grpc__agent_service__descriptor, "RemoveStaleVirtiofsShareMounts", &request.base, NULL, FALSE};
  GThread *thread = g_thread_new("held", make_call, &held);
  check_others_are_served(thread, &held);
  close(fuse);
  g_thread_join(thread);
  if (held.error) fail_msg("%s", held.error->message);
}

static void test_memory(void **state) {
  char *options[] = {(char *)"size=1048576"};
  Grpc__Storage storage = GRPC__STORAGE__INIT;
  Grpc__Storage *storages[] = {&storage};
  storage.driver = storage.source = (char *)"ephemeral";
  storage.fstype = (char *)"tmpfs";
  storage.mount_point = (char *)MEMORY;
  storage.options = options;
  storage.n_options = G_N_ELEMENTS(options);
  g_autoptr(Grpc__Spec) spec = harness_spec("exec sleep 1000");
  Grpc__CreateContainerRequest create = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  create.container_id = (char *)"memory";
  create.oci = spec;
  create.n_storages = 1;
  create.storages = storages;
  harness_must("CreateContainer", &create.base);
  int fuse = hang_directory(getpid(), MEMORY);
  Grpc__UpdateEphemeralMountsRequest request = GRPC__UPDATE_EPHEMERAL_MOUNTS_REQUEST__INIT;
  request.n_storages = 1;
  request.storages = storages;
  check_held("UpdateEphemeralMounts", &request.base, fuse);
  assert_int_equal(umount2(MEMORY, MNT_DETACH), 0);
  harness_must("UpdateEphemeralMounts", &request.base);
  fuse = hang_directory(getpid(), MEMORY);
  check_looked_at(fuse);
  assert_int_equal(umount2(MEMORY, MNT_DETACH), 0);
  harness_remove("memory");
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_passwd),      cmocka_unit_test(test_for_ever),       cmocka_unit_test(test_termination_log),
      cmocka_unit_test(test_copied_file), cmocka_unit_test(test_resized_volume), cmocka_unit_test(test_root),
      cmocka_unit_test(test_memory),      cmocka_unit_test(test_bind),
  };
  return cmocka_run_group_tests_name("agent-held", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
