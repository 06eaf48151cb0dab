/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a real runtime asks, and what nobody should. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "proto/health.pb-c.h"
#include "tests/agent/harness.h"
#include "tests/agent/recorded.h"

#define SHARED HARNESS_RUN "/kata-containers/shared/containers"

static int start(void **state) {
  harness_start();
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

/* ---- a recorded run ---- */

/* The controllers are with the host's cgroup v1. */
static void drop_resources(Grpc__LinuxResources **resources) {
  if (*resources) protobuf_c_message_free_unpacked(&(*resources)->base, NULL);
  *resources = NULL;
}

/* What the share would have brought; the files have come by CopyFile. */
static void prepare_container(Grpc__CreateContainerRequest *request) {
  drop_resources(&request->oci->linux->resources);
  assert_int_equal(g_mkdir_with_parents(request->oci->root->path, 0755), 0);
  assert_int_equal(mount(HARNESS_ROOTFS, request->oci->root->path, "none", MS_BIND, NULL), 0);
  for (gsize i = 0; i < request->oci->n_mounts; i++)
    if (g_str_has_prefix(request->oci->mounts[i]->source, SHARED "/"))
      assert_int_equal(access(request->oci->mounts[i]->source, R_OK), 0);
}

static void prepare(const char *method, ProtobufCMessage *request) {
  if (strcmp(method, "CreateContainer") == 0) prepare_container((Grpc__CreateContainerRequest *)request);
  if (strcmp(method, "UpdateContainer") == 0) drop_resources(&((Grpc__UpdateContainerRequest *)request)->resources);
}

static void test_recorded_requests(void **state) {
  assert_true(g_file_set_contents(HARNESS_ROOTFS "/pause", "#!/bin/sh\nwhile :; do sleep 1; done\n", -1, NULL));
  assert_int_equal(chmod(HARNESS_ROOTFS "/pause", 0755), 0);
  g_autoptr(GString) output = g_string_new(NULL);
  for (guint i = 0; i < RECORDED_SANDBOXES; i++) {
    const RecordedPlay play = {.before = prepare, .destroy = harness_stop};
    recorded_play(i, &play, output);
    harness_start();
  }
  static const char *const expected[] = {"hi\n", "hello-from-cri\n", "x\n"};
  for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) assert_non_null(strstr(output->str, expected[i]));
}

/* ---- hostile documents ---- */

static void check_alive(void) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  g_autoptr(GError) error = NULL;
  if (!ttrpc_client_invoke(harness_client(), &grpc__health__descriptor, "Check", &request.base, HARNESS_CALL_MS, NULL,
                           &error))
    fail_msg("the agent does not answer any more: %s", error->message);
}

static void replace(char **field, const char *value) {
  if (*field != (char *)protobuf_c_empty_string) free(*field);
  *field = strdup(value);
}

/* Each spoils a good document in its own way. */
static void spoil_rlimit(Grpc__Spec *spec) {
  spec->process->n_rlimits = 1;
  spec->process->rlimits = malloc(sizeof *spec->process->rlimits);
  spec->process->rlimits[0] = malloc(sizeof **spec->process->rlimits);
  grpc__posixrlimit__init(spec->process->rlimits[0]);
  spec->process->rlimits[0]->type = strdup("RLIMIT_LOVE");
}

static void spoil_seccomp(Grpc__Spec *spec) {
  spec->linux->seccomp = malloc(sizeof *spec->linux->seccomp);
  grpc__linux_seccomp__init(spec->linux->seccomp);
  replace(&spec->linux->seccomp->defaultaction, "SCMP_ACT_DANCE");
}

static void spoil_device(Grpc__Spec *spec) {
  spec->linux->n_devices = 1;
  spec->linux->devices = malloc(sizeof *spec->linux->devices);
  spec->linux->devices[0] = malloc(sizeof **spec->linux->devices);
  grpc__linux_device__init(spec->linux->devices[0]);
  replace(&spec->linux->devices[0]->type, "zebra");
  replace(&spec->linux->devices[0]->path, "/dev/x");
}

static void spoil_cgroup(Grpc__Spec *spec) { replace(&spec->linux->cgroupspath, "/../../../tmp/x"); }

static void spoil_long_cgroup(Grpc__Spec *spec) {
  g_autofree char *text = g_strnfill(5000, 'a');
  text[0] = '/';
  replace(&spec->linux->cgroupspath, text);
}

static void spoil_root(Grpc__Spec *spec) { replace(&spec->root->path, "relative/path"); }

static void spoil_root_file(Grpc__Spec *spec) { replace(&spec->root->path, HARNESS_ROOTFS "/etc/passwd"); }

static void spoil_cwd(Grpc__Spec *spec) { replace(&spec->process->cwd, "not/absolute"); }

static void spoil_process(Grpc__Spec *spec) {
  harness_process_free(spec->process);
  spec->process = NULL;
}

static void spoil_linux(Grpc__Spec *spec) {
  protobuf_c_message_free_unpacked(&spec->linux->base, NULL);
  spec->linux = NULL;
}

static void spoil_utf8(Grpc__Spec *spec) { replace(&spec->process->args[0], "\xff\xfe\x01"); }

static void spoil_mount(Grpc__Spec *spec) { harness_add_mount(spec, "/proc/self/../../x", "bind", "/no/such/file"); }

static void spoil_sysctl(Grpc__Spec *spec) {
  spec->linux->n_sysctl = 1;
  spec->linux->sysctl = malloc(sizeof *spec->linux->sysctl);
  spec->linux->sysctl[0] = malloc(sizeof **spec->linux->sysctl);
  grpc__linux__sysctl_entry__init(spec->linux->sysctl[0]);
  replace(&spec->linux->sysctl[0]->key, "../../etc/passwd");
  replace(&spec->linux->sysctl[0]->value, "x");
}

static void test_hostile_documents(void **state) {
  static void (*const spoilers[])(Grpc__Spec *) = {
      spoil_rlimit, spoil_seccomp, spoil_device, spoil_cgroup, spoil_long_cgroup, spoil_root,   spoil_root_file,
      spoil_cwd,    spoil_process, spoil_linux,  spoil_utf8,   spoil_mount,       spoil_sysctl,
  };
  g_autofree char *before = harness_leftovers();
  for (gsize i = 0; i < G_N_ELEMENTS(spoilers); i++) {
    g_autoptr(Grpc__Spec) spec = harness_spec("true");
    g_autoptr(GError) error = NULL;
    spoilers[i](spec);
    Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
    request.container_id = (char *)"hostile";
    request.oci = spec;
    if (harness_call("CreateContainer", &request.base, &error)) fail_msg("document %zu was taken", i);
    assert_true(strlen(error->message) > 0);
    g_autofree char *after = harness_leftovers();
    assert_string_equal(before, after);
  }
  check_alive();
}

/* Big, but right. */
static void test_big_documents(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("echo $#");
  const gsize n = 20000;
  spec->annotations = malloc(n * sizeof *spec->annotations);
  for (spec->n_annotations = 0; spec->n_annotations < n; spec->n_annotations++) {
    Grpc__Spec__AnnotationsEntry *entry = malloc(sizeof *entry);
    grpc__spec__annotations_entry__init(entry);
    g_autofree char *key = g_strdup_printf("key-%zu", spec->n_annotations);
    replace(&entry->key, key);
    replace(&entry->value, "value");
    spec->annotations[spec->n_annotations] = entry;
  }
  harness_create_spec("big", spec);
  harness_start_container("big");
  assert_int_equal(harness_wait("big", ""), 0);
  harness_remove("big");
}

static void test_hostile_ids(void **state) {
  g_autofree char *long_id = g_strnfill(4096, 'x');
  const char *const ids[] = {long_id, "..", "a/../../b", "%s%n", "a b", "\xc3\x28", "-"};
  g_autoptr(Grpc__Spec) spec = harness_spec("true");
  g_autoptr(Grpc__Process) process = harness_process("true");
  harness_create("real", "sleep 1000");
  harness_start_container("real");
  for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
    gboolean is_good = strcmp(ids[i], "-") == 0;
    Grpc__CreateContainerRequest create = GRPC__CREATE_CONTAINER_REQUEST__INIT;
    create.container_id = (char *)ids[i];
    create.oci = spec;
    Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
    exec.container_id = (char *)"real";
    exec.exec_id = (char *)ids[i];
    exec.process = process;
    if (is_good) {
      harness_must("CreateContainer", &create.base);
      harness_must("ExecProcess", &exec.base);
      harness_remove(ids[i]);
    } else {
      harness_must_fail("CreateContainer", &create.base, TTRPC_INVALID_ARGUMENT, "");
      harness_must_fail("ExecProcess", &exec.base, TTRPC_INVALID_ARGUMENT, "");
    }
    Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
    wait.container_id = (char *)ids[i];
    harness_must_fail("WaitProcess", &wait.base, TTRPC_INVALID_ARGUMENT, "nvalid container id");
  }
  harness_remove("real");
}

/* A link that somebody planted below the sandbox's tree leads nowhere else. */
static void test_planted_link(void **state) {
  assert_int_equal(g_mkdir_with_parents("/run/kata-containers/planted-for", 0755), 0);
  assert_int_equal(g_mkdir_with_parents("/run/test/target", 0755), 0);
  g_autofree char *before = NULL;
  assert_true(g_file_get_contents("/proc/self/mounts", &before, NULL, NULL));
  assert_int_equal(symlink("/run/test/target", "/run/kata-containers/planted-for/link"), 0);
  g_autoptr(Grpc__Spec) spec = harness_spec("true");
  Grpc__Storage storage = GRPC__STORAGE__INIT;
  Grpc__Storage *storages[] = {&storage};
  storage.driver = (char *)"ephemeral";
  storage.fstype = (char *)"tmpfs";
  storage.mount_point = (char *)"/run/kata-containers/planted-for/link";
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"planted";
  request.oci = spec;
  request.n_storages = 1;
  request.storages = storages;
  ProtobufCMessage *reply = harness_call("CreateContainer", &request.base, NULL);
  if (reply) protobuf_c_message_free_unpacked(reply, NULL);
  g_autofree char *mounts = NULL;
  assert_true(g_file_get_contents("/proc/self/mounts", &mounts, NULL, NULL));
  assert_null(strstr(mounts, " /run/test/target "));
  if (reply) harness_remove("planted");
  unlink("/run/kata-containers/planted-for/link");
  g_autofree char *after = NULL;
  assert_true(g_file_get_contents("/proc/self/mounts", &after, NULL, NULL));
  assert_string_equal(before, after);
}

/* ---- hostile calls ---- */

static gpointer read_in_thread(gpointer refused) {
  Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
  request.container_id = (char *)"many";
  request.len = G_MAXUINT32;
  GError *error = NULL;
  ProtobufCMessage *reply = harness_call("ReadStdout", &request.base, &error);
  if (reply) protobuf_c_message_free_unpacked(reply, NULL);
  if (error) g_atomic_int_inc((gint *)refused);
  return error;
}

static void test_too_many_reads(void **state) {
  GThread *threads[80];
  const gint too_many = G_N_ELEMENTS(threads) - 64;
  gint refused = 0;
  harness_create("many", "read x; exit 0");
  harness_start_container("many");
  for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) threads[i] = g_thread_new("read", read_in_thread, &refused);
  /* Once as many as that are refused, all the others wait. */
  for (int waited = 0; g_atomic_int_get(&refused) < too_many && waited < HARNESS_CALL_MS; waited += 10)
    g_usleep(10 * 1000);
  harness_close_stdin("many", "");
  for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) {
    GError *error = g_thread_join(threads[i]);
    g_clear_error(&error);
  }
  assert_int_equal(refused, too_many);
  harness_remove("many");
}

/* Requests with random contents. Not those that would reach beyond the namespaces (the clock, modules), or end it. */
static void fill_message(ProtobufCMessage *message, GRand *chance, int depth);

static const char *random_text(GRand *chance) {
  static const char *const texts[] = {"",         "x",         "target", "/",     "/run/kata-containers/sandbox/x",
                                      "..",       "../../etc", "tmpfs",  "rbind", "a:b:c",
                                      "\xff\xff", "mount",     "/proc",  "true",  "-1",
                                      "c",        "%n%n%n",    "\n"};
  return texts[g_rand_int_range(chance, 0, G_N_ELEMENTS(texts))];
}

static void fill_value(const ProtobufCFieldDescriptor *field, void *place, GRand *chance, int depth) {
  static const guint32 numbers[] = {0, 1, 2, 9, 15, 64, 65, 4096, G_MAXINT32, G_MAXUINT32};
  guint32 number = numbers[g_rand_int_range(chance, 0, G_N_ELEMENTS(numbers))];
  switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
      *(char **)place = strdup(random_text(chance));
      break;
    case PROTOBUF_C_TYPE_BYTES:
      *(ProtobufCBinaryData *)place = (ProtobufCBinaryData){number % 5000, calloc(1, number % 5000 + 1)};
      break;
    case PROTOBUF_C_TYPE_MESSAGE: {
      const ProtobufCMessageDescriptor *type = field->descriptor;
      ProtobufCMessage *message = malloc(type->sizeof_message);
      type->message_init(message);
      if (depth > 0) fill_message(message, chance, depth - 1);
      *(ProtobufCMessage **)place = message;
      break;
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
      *(guint64 *)place = (guint64)number << g_rand_int_range(chance, 0, 32);
      break;
    case PROTOBUF_C_TYPE_BOOL:
      *(protobuf_c_boolean *)place = (protobuf_c_boolean)(number & 1);
      break;
    case PROTOBUF_C_TYPE_ENUM:
      break;
    default:
      *(guint32 *)place = number;
  }
}

static gsize size_of(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
      return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
      return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
      return 8;
    default:
      return 4;
  }
}

static void fill_message(ProtobufCMessage *message, GRand *chance, int depth) {
  for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
    gboolean is_in_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (is_in_oneof || g_rand_int_range(chance, 0, 3) == 0) continue;
    void *place = (guint8 *)message + field->offset;
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
      fill_value(field, place, chance, depth);
      continue;
    }
    gsize n = (gsize)g_rand_int_range(chance, 0, 3);
    if (n == 0) continue;
    guint8 *list = calloc(n, size_of(field));
    for (gsize k = 0; k < n; k++) fill_value(field, list + k * size_of(field), chance, depth);
    *(void **)place = list;
    *(size_t *)(void *)((guint8 *)message + field->quantifier_offset) = n;
  }
}

/* Half of the requests are for the container that is there. */
static void aim(ProtobufCMessage *message, GRand *chance) {
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "container_id");
  if (!field || g_rand_boolean(chance)) return;
  replace((char **)(void *)((guint8 *)message + field->offset), "target");
}

static void test_random_requests(void **state) {
  static const char *const methods[] = {
      "CreateContainer", "StartContainer", "RemoveContainer", "ExecProcess",     "SignalProcess",
      "WaitProcess",     "WriteStdin",     "ReadStdout",      "ReadStderr",      "CloseStdin",
      "TtyWinResize",    "StatsContainer", "PauseContainer",  "ResumeContainer", "UpdateContainer",
      "GetGuestDetails", "GetOOMEvent",    "CopyFile",        "UpdateRoutes",    "UpdateInterface",
      "AddARPNeighbors", "ListInterfaces", "ListRoutes",      "SetIPTables",     "GetIPTables",
  };
  g_autoptr(GRand) chance = g_rand_new_with_seed(20240607);
  guint failed = 0;
  for (int i = 0; i < 600; i++) {
    const char *name = methods[g_rand_int_range(chance, 0, G_N_ELEMENTS(methods))];
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(&grpc__agent_service__descriptor, name);
    ProtobufCMessage *request = malloc(method->input->sizeof_message);
    method->input->message_init(request);
    fill_message(request, chance, 6);
    aim(request, chance);
    g_autoptr(GError) error = NULL;
    /* Some wait for ever, rightly. */
    failed +=
        !ttrpc_client_invoke(harness_client(), &grpc__agent_service__descriptor, name, request, 100, NULL, &error);
    protobuf_c_message_free_unpacked(request, NULL);
    if (i % 50 == 0) {
      Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
      remove.container_id = (char *)"target";
      ttrpc_client_invoke(harness_client(), &grpc__agent_service__descriptor, "RemoveContainer", &remove.base, 5000,
                          NULL, NULL);
      harness_create("target", "sleep 1000");
      harness_start_container("target");
    }
  }
  assert_true(failed > 100);
  check_alive();
}

/* Not ttRPC at all: that connection ends, others live on. */
static void test_garbage(void **state) {
  for (int i = 0; i < 50; i++) {
    guint8 bytes[4096];
    for (gsize k = 0; k < sizeof bytes; k++) bytes[k] = (guint8)g_random_int_range(0, 256);
    if (i % 2) memset(bytes, 0, 8);
    g_autoptr(GError) error = NULL;
    int fd = ttrpc_dial("unix://" HARNESS_RUN "/agent.sock", 1000, &error);
    assert_true(fd >= 0);
    send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
    close(fd);
  }
  check_alive();
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_recorded_requests), cmocka_unit_test(test_hostile_documents),
      cmocka_unit_test(test_big_documents),     cmocka_unit_test(test_hostile_ids),
      cmocka_unit_test(test_planted_link),      cmocka_unit_test(test_too_many_reads),
      cmocka_unit_test(test_random_requests),   cmocka_unit_test(test_garbage),
  };
  return cmocka_run_group_tests_name("agent-requests", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
