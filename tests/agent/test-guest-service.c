/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kata.v1.Guest: what our owner asks beyond upstream's protocol. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "proto/kata-guest.pb-c.h"
#include "tests/agent/harness.h"

static int start(void **state) {
  harness_start();
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

static Kata__V1__ListProcessesResponse *list(const char *id, GError **error) {
  Kata__V1__ListProcessesRequest request = KATA__V1__LIST_PROCESSES_REQUEST__INIT;
  request.container_id = (char *)id;
  ProtobufCMessage *reply = NULL;
  ttrpc_client_invoke(harness_client(), &kata__v1__guest__descriptor, "ListProcesses", &request.base, HARNESS_CALL_MS,
                      &reply, error);
  return (Kata__V1__ListProcessesResponse *)reply;
}

static Kata__V1__ListProcessesResponse *must_list(const char *id) {
  g_autoptr(GError) error = NULL;
  Kata__V1__ListProcessesResponse *reply = list(id, &error);
  if (!reply) fail_msg("ListProcesses: %s", error->message);
  return reply;
}

/* The one with this as its last argument. */
static const Kata__V1__GuestProcess *find(const Kata__V1__ListProcessesResponse *reply, const char *argument) {
  for (gsize i = 0; i < reply->n_processes; i++) {
    const Kata__V1__GuestProcess *process = reply->processes[i];
    if (process->n_arguments > 0 && strcmp(process->arguments[process->n_arguments - 1], argument) == 0) return process;
  }
  fail_msg("no process with the argument '%s'", argument);
  return NULL;
}

static void test_list(void **state) {
  harness_create("ps", "sleep 1001 & echo ready; exec sleep 1002");
  /* Before its start a container has crun's process, which waits. */
  Kata__V1__ListProcessesResponse *reply = must_list("ps");
  assert_int_equal(reply->n_processes, 1);
  assert_true(reply->processes[0]->is_init);
  protobuf_c_message_free_unpacked(&reply->base, NULL);

  harness_start_container("ps");
  g_autoptr(GBytes) ready = harness_read("ps", "", 100);
  assert_int_equal(g_bytes_get_size(ready), 6);
  g_autoptr(Grpc__Process) description = harness_process("echo in; exec sleep 1003");
  description->user->uid = 12;
  description->user->gid = 13;
  Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
  exec.container_id = (char *)"ps";
  exec.exec_id = (char *)"e";
  exec.process = description;
  harness_must("ExecProcess", &exec.base);
  Grpc__ReadStreamRequest read = GRPC__READ_STREAM_REQUEST__INIT;
  read.container_id = exec.container_id;
  read.exec_id = exec.exec_id;
  read.len = 16;
  ProtobufCMessage *in = harness_call("ReadStdout", &read.base, NULL);
  assert_non_null(in);
  protobuf_c_message_free_unpacked(in, NULL);

  /* The echo comes a moment before the exec. */
  for (int i = 0; i < 1000; i++) {
    reply = must_list("ps");
    gsize sleepers = 0;
    for (gsize j = 0; j < reply->n_processes; j++)
      if (reply->processes[j]->n_arguments == 2 && strcmp(reply->processes[j]->command, "sleep") == 0) sleepers++;
    if (sleepers == 3) break;
    protobuf_c_message_free_unpacked(&reply->base, NULL);
    reply = NULL;
    g_usleep(10000);
  }
  assert_non_null(reply);
  assert_int_equal(reply->n_processes, 3);
  const Kata__V1__GuestProcess *init = find(reply, "1002");
  const Kata__V1__GuestProcess *child = find(reply, "1001");
  const Kata__V1__GuestProcess *other = find(reply, "1003");
  assert_true(init->is_init);
  assert_int_equal(init->container_pid, 1);
  assert_true(init->pid > 1);
  assert_int_equal(init->uid, 0);
  assert_string_equal(init->command, "sleep");
  assert_string_equal(init->arguments[0], "sleep");
  assert_string_equal(init->exec_id, "");
  assert_string_equal(init->state, "S");
  assert_string_equal(init->terminal, "");
  assert_int_equal(init->threads, 1);
  assert_true(init->resident_bytes > 0);
  gint64 age = time(NULL) - init->started_at;
  assert_true(age >= -2 && age < 3600);
  assert_int_equal(child->parent_pid, init->pid);
  assert_true(child->container_pid > 1);
  assert_false(child->is_init);
  assert_string_equal(other->exec_id, "e");
  assert_int_equal(other->uid, 12);
  assert_int_equal(other->gid, 13);
  protobuf_c_message_free_unpacked(&reply->base, NULL);

  harness_signal("ps", "", 9);
  assert_int_equal(harness_wait("ps", ""), 137);
  assert_int_equal(harness_wait("ps", "e"), 137);
  /* Killed ones leave the cgroup when they are reaped: all ours here, by now. */
  reply = must_list("ps");
  assert_int_equal(reply->n_processes, 0);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  harness_remove("ps");
}

static void test_terminal(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("echo ready; read x");
  spec->process->terminal = TRUE;
  harness_create_spec("tty", spec);
  harness_start_container("tty");
  g_autoptr(GBytes) ready = harness_read("tty", "", 100);
  Kata__V1__ListProcessesResponse *reply = must_list("tty");
  assert_int_equal(reply->n_processes, 1);
  assert_string_equal(reply->processes[0]->terminal, "pts/0");
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  harness_remove("tty");
}

static void test_unknown(void **state) {
  g_autoptr(GError) error = NULL;
  assert_null(list("nobody", &error));
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error->message, "nvalid container id 'nobody'"));
}

static kata_error_code send_signal(const char *id, const char *exec_id, guint32 signal, gboolean all) {
  Kata__V1__SignalRequest request = KATA__V1__SIGNAL_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  request.signal = signal;
  request.all = all;
  g_autoptr(GError) error = NULL;
  ttrpc_client_invoke(harness_client(), &kata__v1__guest__descriptor, "Signal", &request.base, HARNESS_CALL_MS, NULL,
                      &error);
  return error_get_code(error);
}

/* The first of a pid namespace does not feel what it does not handle. */
static void test_plain_signals(void **state) {
  harness_create("plain", "echo ready; cat");
  assert_int_equal(send_signal("plain", "", SIGTERM, FALSE), KATA_ERR_NONE);
  harness_start_container("plain");
  g_autoptr(GBytes) ready = harness_read("plain", "", 6);
  assert_int_equal(send_signal("plain", "", SIGTERM, FALSE), KATA_ERR_NONE);
  harness_write("plain", "", "still there", 11);
  g_autoptr(GBytes) echo = harness_read("plain", "", 100);
  assert_memory_equal(g_bytes_get_data(echo, NULL), "still there", 11);

  harness_exec("plain", "e", "exec sleep 1000");
  assert_int_equal(send_signal("plain", "e", SIGTERM, FALSE), KATA_ERR_NONE);
  assert_int_equal(harness_wait("plain", "e"), 143);
  assert_int_equal(send_signal("plain", "", 0, FALSE), KATA_ERR_NONE);
  assert_int_equal(send_signal("plain", "", 65, FALSE), KATA_ERR_INVALID_ARGUMENT);
  assert_int_equal(send_signal("plain", "nobody", SIGTERM, FALSE), KATA_ERR_NOT_FOUND);
  assert_int_equal(send_signal("nobody", "", SIGTERM, FALSE), KATA_ERR_INVALID_ARGUMENT);
  harness_remove("plain");
}

static void test_signal_all(void **state) {
  harness_create("every",
                 "trap 'echo first' USR1; (trap 'echo second; exit' USR1; echo ready; while :; do sleep 0.1; "
                 "done) & wait $!; wait $!; read line; exit 3");
  harness_start_container("every");
  g_autoptr(GBytes) ready = harness_read("every", "", 6);
  harness_exec("every", "e", "exec sleep 1000");
  assert_int_equal(send_signal("every", "", SIGUSR1, TRUE), KATA_ERR_NONE);
  assert_int_equal(harness_wait("every", "e"), 128 + SIGUSR1);
  harness_close_stdin("every", "");
  g_autoptr(GString) said = harness_read_all("every", "", FALSE);
  assert_non_null(strstr(said->str, "first\n"));
  assert_non_null(strstr(said->str, "second\n"));
  assert_int_equal(harness_wait("every", ""), 3);
  harness_remove("every");
}

static gsize count_processes(const char *id) {
  Kata__V1__ListProcessesResponse *reply = must_list(id);
  gsize count = reply->n_processes;
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  return count;
}

/* Each of them forks the next one and ends: they are all stopped before the signal is sent. */
static void test_signal_all_that_fork(void **state) {
  harness_create("forks", "trap : USR1; echo ready; while :; do sleep 1000; done");
  harness_start_container("forks");
  g_autoptr(GBytes) ready = harness_read("forks", "", 6);
  for (int round = 0; round < 20; round++) {
    g_autofree char *exec_id = g_strdup_printf("e%d", round);
    harness_exec("forks", exec_id, "f() { f & }; f; f; f; f");
    assert_int_equal(harness_wait("forks", exec_id), 0);
    assert_int_equal(send_signal("forks", "", SIGUSR1, TRUE), KATA_ERR_NONE);
    /* The dead are there until somebody waits for them; who forks is never gone. */
    gint64 deadline = g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND;
    while (count_processes("forks") > 2 && g_get_monotonic_time() < deadline) g_usleep(10000);
    assert_in_range(count_processes("forks"), 1, 2);
  }
  harness_remove("forks");
}

static kata_error_code look_at_mounts(const char *id) {
  Kata__V1__LookAtMountsRequest request = KATA__V1__LOOK_AT_MOUNTS_REQUEST__INIT;
  request.container_id = (char *)id;
  g_autoptr(GError) error = NULL;
  ttrpc_client_invoke(harness_client(), &kata__v1__guest__descriptor, "LookAtMounts", &request.base, HARNESS_CALL_MS,
                      NULL, &error);
  return error_get_code(error);
}

/* What it is for needs a guest: tests/cli/test-propagation.py. */
static void test_look_at_mounts(void **state) {
  harness_create("mounts", "read line");
  harness_start_container("mounts");
  assert_int_equal(look_at_mounts("mounts"), KATA_ERR_NONE);
  assert_int_equal(look_at_mounts("nobody"), KATA_ERR_INVALID_ARGUMENT);
  harness_close_stdin("mounts", "");
  assert_int_equal(harness_wait("mounts", ""), 1);
  assert_int_not_equal(look_at_mounts("mounts"), KATA_ERR_NONE);
  harness_remove("mounts");
}

static kata_error_code cover_mount(const char *id, const char *source, const char *cover) {
  Kata__V1__CoverMountRequest request = KATA__V1__COVER_MOUNT_REQUEST__INIT;
  request.container_id = (char *)id;
  request.source = (char *)source;
  request.cover = (char *)cover;
  g_autoptr(GError) error = NULL;
  ttrpc_client_invoke(harness_client(), &kata__v1__guest__descriptor, "CoverMount", &request.base, HARNESS_CALL_MS,
                      NULL, &error);
  return error_get_code(error);
}

#define SHARE HARNESS_RUN "/kata-containers/shared/containers/"

static void make_volume(const char *path, const char *text) {
  g_autofree char *file = g_build_filename(path, "file", NULL);
  assert_int_equal(g_mkdir_with_parents(path, 0755), 0);
  assert_true(g_file_set_contents(file, text, -1, NULL));
}

static void assert_seen(const char *exec_id, const char *text) {
  harness_exec("volume", exec_id, "cat /v/file");
  GString *said = harness_read_all("volume", exec_id, FALSE);
  assert_string_equal(said->str, text);
  g_string_free(said, TRUE);
  assert_int_equal(harness_wait("volume", exec_id), 0);
}

static void test_cover_mount(void **state) {
  make_volume(SHARE "v", "volume\n");
  make_volume(SHARE "v,top", "top\n");
  make_volume(SHARE "other", "other\n");
  g_autoptr(Grpc__Spec) spec = harness_spec("echo ready; read line");
  harness_add_mount(spec, "/v", "bind", SHARE "v");
  char *options[] = {(char *)"rbind"};
  spec->mounts[spec->n_mounts - 1]->options = options;
  spec->mounts[spec->n_mounts - 1]->n_options = 1;
  harness_create_spec("volume", spec);
  spec->mounts[spec->n_mounts - 1]->options = NULL;
  spec->mounts[spec->n_mounts - 1]->n_options = 0;
  harness_start_container("volume");
  g_autoptr(GBytes) ready = harness_read("volume", "", 6);
  assert_seen("e1", "volume\n");
  assert_int_equal(cover_mount("volume", SHARE "v", SHARE "v,top"), KATA_ERR_NONE);
  assert_seen("e2", "top\n");
  assert_int_equal(cover_mount("volume", SHARE "v", SHARE "other"), KATA_ERR_NONE);
  assert_seen("e3", "other\n");
  /* Neither is anything lost by what cannot be done. */
  assert_int_equal(cover_mount("volume", SHARE "v", SHARE "nothing"), KATA_ERR_NOT_FOUND);
  assert_int_equal(cover_mount("volume", SHARE "w", SHARE "v,top"), KATA_ERR_NOT_FOUND);
  assert_int_equal(cover_mount("nobody", SHARE "v", SHARE "v,top"), KATA_ERR_INVALID_ARGUMENT);
  assert_seen("e4", "other\n");
  assert_int_equal(cover_mount("volume", SHARE "v", ""), KATA_ERR_NONE);
  assert_seen("e5", "volume\n");
  assert_int_equal(cover_mount("volume", SHARE "v", ""), KATA_ERR_NONE);
  assert_seen("e6", "volume\n");
  harness_close_stdin("volume", "");
  assert_int_equal(harness_wait("volume", ""), 1);
  assert_int_not_equal(cover_mount("volume", SHARE "v", SHARE "v,top"), KATA_ERR_NONE);
  harness_remove("volume");
}

static kata_error_code close_output(const char *id, const char *exec_id, gboolean is_stderr) {
  Kata__V1__CloseOutputRequest request = KATA__V1__CLOSE_OUTPUT_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  request.is_stderr = is_stderr;
  g_autoptr(GError) error = NULL;
  ttrpc_client_invoke(harness_client(), &kata__v1__guest__descriptor, "CloseOutput", &request.base, HARNESS_CALL_MS,
                      NULL, &error);
  return error_get_code(error);
}

/* The one that writes is told, by SIGPIPE, not the container's first process; and only on the stream that was closed.
 */
static void test_close_output(void **state) {
  harness_create("out", "yes; echo $? >&2; exec sleep 1000");
  harness_start_container("out");
  g_autoptr(GBytes) some = harness_read("out", "", 100);
  assert_true(g_bytes_get_size(some) > 0);
  assert_int_equal(close_output("out", "", FALSE), KATA_ERR_NONE);
  GString *rest = harness_read_all("out", "", FALSE);
  assert_int_equal(rest->len, 0);
  g_string_free(rest, TRUE);
  Grpc__ReadStreamRequest read = GRPC__READ_STREAM_REQUEST__INIT;
  read.container_id = (char *)"out";
  read.exec_id = (char *)"";
  read.len = 16;
  Grpc__ReadStreamResponse *reply = (Grpc__ReadStreamResponse *)harness_call("ReadStderr", &read.base, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->data.len, 4);
  assert_memory_equal(reply->data.data, "141\n", 4);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  assert_int_equal(close_output("out", "out", TRUE), KATA_ERR_NONE);
  assert_int_equal(close_output("out", "out", TRUE), KATA_ERR_NONE);
  assert_int_equal(close_output("out", "nobody", FALSE), KATA_ERR_NOT_FOUND);
  assert_int_equal(close_output("nobody", "", FALSE), KATA_ERR_INVALID_ARGUMENT);

  harness_exec("out", "e", "trap 'exit 9' PIPE; while :; do echo x; done");
  assert_int_equal(close_output("out", "e", FALSE), KATA_ERR_NONE);
  assert_int_equal(harness_wait("out", "e"), 9);
  harness_signal("out", "", 9);
  assert_int_equal(harness_wait("out", ""), 137);
  harness_remove("out");
}

/* Who has it as its controlling terminal gets SIGHUP. */
static void test_close_terminal(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("trap 'exit 9' HUP; echo ready; while :; do sleep 0.1; done");
  spec->process->terminal = TRUE;
  harness_create_spec("hup", spec);
  harness_start_container("hup");
  g_autoptr(GBytes) ready = harness_read("hup", "", 100);
  assert_int_equal(close_output("hup", "", FALSE), KATA_ERR_NONE);
  assert_int_equal(harness_wait("hup", ""), 9);
  harness_remove("hup");
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_list),           cmocka_unit_test(test_terminal),
      cmocka_unit_test(test_close_output),   cmocka_unit_test(test_plain_signals),
      cmocka_unit_test(test_signal_all),     cmocka_unit_test(test_signal_all_that_fork),
      cmocka_unit_test(test_look_at_mounts), cmocka_unit_test(test_cover_mount),
      cmocka_unit_test(test_close_terminal), cmocka_unit_test(test_unknown),
  };
  return cmocka_run_group_tests_name("agent-guest-service", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
