/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standard streams: whole, in order, with back-pressure, and to their end. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "proto/kata-guest.pb-c.h"
#include "tests/agent/harness.h"

#define MIB (1u << 20)
#define BOX "box"

/* One container for all, whose execs are the tests' processes. */
static int start(void **state) {
  harness_start();
  harness_create(BOX, "sleep 10000");
  harness_start_container(BOX);
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

static gboolean invoke(const char *method, const ProtobufCMessage *request, int timeout_ms, ProtobufCMessage **reply,
                       GError **error) {
  return ttrpc_client_invoke(harness_client(), &grpc__agent_service__descriptor, method, request, timeout_ms, reply,
                             error);
}

/* Bytes that do not repeat with any buffer's size. */
static guint8 *make_bytes(gsize size) {
  guint8 *bytes = g_malloc(size);
  guint32 x = 1;
  for (gsize i = 0; i < size; i++) {
    x = x * 1664525u + 1013904223u;
    bytes[i] = (guint8)(x >> 24);
  }
  return bytes;
}

static void write_in_pieces(const char *exec_id, const guint8 *bytes, gsize size) {
  static const gsize pieces[] = {1, 4095, 65536, 1000000, 3};
  for (gsize done = 0, i = 0; done < size; i++) {
    gsize piece = MIN(pieces[i % G_N_ELEMENTS(pieces)], size - done);
    harness_write(BOX, exec_id, bytes + done, piece);
    done += piece;
  }
}

static void test_stdin_checksum(void **state) {
  const gsize size = 16 * MIB;
  g_autofree guint8 *bytes = make_bytes(size);
  g_autofree char *expected = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, size);
  harness_exec(BOX, "in", "sha256sum");
  write_in_pieces("in", bytes, size);
  /* A write of nothing closes. */
  harness_write(BOX, "in", "", 0);
  g_autoptr(GString) out = harness_read_all(BOX, "in", FALSE);
  assert_memory_equal(out->str, expected, strlen(expected));
  assert_int_equal(harness_wait(BOX, "in"), 0);
}

typedef struct {
  const char *exec_id;
  const guint8 *bytes;
  gsize size;
} Feed;

static gpointer feed_in_thread(gpointer data) {
  const Feed *feed = data;
  write_in_pieces(feed->exec_id, feed->bytes, feed->size);
  harness_close_stdin(BOX, feed->exec_id);
  return NULL;
}

static void test_echo(void **state) {
  const gsize size = 16 * MIB;
  g_autofree guint8 *bytes = make_bytes(size);
  Feed feed = {"echo", bytes, size};
  harness_exec(BOX, "echo", "cat");
  GThread *thread = g_thread_new("feed", feed_in_thread, &feed);
  g_autoptr(GString) out = harness_read_all(BOX, "echo", FALSE);
  g_thread_join(thread);
  assert_int_equal(out->len, size);
  assert_memory_equal(out->str, bytes, size);
  assert_int_equal(harness_wait(BOX, "echo"), 0);
}

static void test_stdout_checksum(void **state) {
  const gsize size = 8 * MIB;
  const guint times = 25;
  g_autofree guint8 *bytes = make_bytes(size);
  assert_true(g_file_set_contents(HARNESS_ROOTFS "/block", (const char *)bytes, (gssize)size, NULL));
  g_autoptr(GChecksum) expected = g_checksum_new(G_CHECKSUM_SHA256);
  for (guint i = 0; i < times; i++) g_checksum_update(expected, bytes, (gssize)size);
  harness_exec(BOX, "out", "i=0; while [ $i -lt 25 ]; do cat /block; i=$((i+1)); done");
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  guint64 total = 0;
  for (gsize got = 1; got > 0; total += got) {
    g_autoptr(GBytes) data = harness_read(BOX, "out", 256 * 1024);
    const guchar *part = g_bytes_get_data(data, &got);
    g_checksum_update(sum, part, (gssize)got);
  }
  assert_int_equal(total, times * size);
  assert_string_equal(g_checksum_get_string(sum), g_checksum_get_string(expected));
  assert_int_equal(harness_wait(BOX, "out"), 0);
}

static void test_slow_reader(void **state) {
  const gsize size = 4 * MIB;
  harness_exec(BOX, "slow", "yes 0123456789abcdef | head -c 4194304; exit 8");
  Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
  wait.container_id = (char *)BOX;
  wait.exec_id = (char *)"slow";
  /* Nobody reads: the pipe fills, and the process stands. */
  g_autoptr(GError) error = NULL;
  assert_false(invoke("WaitProcess", &wait.base, 700, NULL, &error));
  gsize total = 0;
  for (int i = 0; i < 20; i++) {
    g_autoptr(GBytes) data = harness_read(BOX, "slow", 100);
    total += g_bytes_get_size(data);
    g_usleep(2000);
  }
  g_autoptr(GString) rest = harness_read_all(BOX, "slow", FALSE);
  assert_int_equal(total + rest->len, size);
  assert_int_equal(harness_wait(BOX, "slow"), 8);
}

/* What is buffered when a process ends is still there afterwards, however late. */
static void test_read_after_end(void **state) {
  harness_exec(BOX, "late", "echo first; echo second >&2");
  assert_int_equal(harness_wait(BOX, "late"), 0);
  g_usleep(700 * 1000);
  g_autoptr(GString) out = harness_read_all(BOX, "late", FALSE);
  g_autoptr(GString) err = harness_read_all(BOX, "late", TRUE);
  assert_string_equal(out->str, "first\n");
  assert_string_equal(err->str, "second\n");
}

static void test_background_child(void **state) {
  /* From before its start: a machine that is busy may come back from the call when the process has long ended. */
  gint64 begin = g_get_monotonic_time();
  harness_exec(BOX, "parent", "echo here; sleep 1000 & exit 2");
  g_autoptr(GString) out = harness_read_all(BOX, "parent", FALSE);
  gint64 took_ms = (g_get_monotonic_time() - begin) / 1000;
  assert_string_equal(out->str, "here\n");
  assert_true(took_ms >= 300 && took_ms < HARNESS_CALL_MS / 2);
  assert_int_equal(harness_wait(BOX, "parent"), 2);
}

static void test_write_errors(void **state) {
  Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
  request.container_id = (char *)BOX;
  request.exec_id = (char *)"deaf";
  request.data.data = (guint8 *)"x";
  request.data.len = 1;
  harness_exec(BOX, "deaf", "exec sleep 1000 <&-");
  /* It may still be on its way to close. */
  g_autoptr(GError) error = NULL;
  for (int i = 0; i < 1000 && !error; i++) {
    ProtobufCMessage *reply = harness_call("WriteStdin", &request.base, &error);
    if (reply) protobuf_c_message_free_unpacked(reply, NULL);
    g_usleep(1000);
  }
  assert_non_null(error);
  assert_non_null(strstr(error->message, "standard input"));
  harness_close_stdin(BOX, "deaf");
  harness_close_stdin(BOX, "deaf");
  harness_must_fail("WriteStdin", &request.base, TTRPC_INTERNAL, "closed");
  harness_signal(BOX, "deaf", SIGKILL);
  harness_wait(BOX, "deaf");
  harness_must_fail("WriteStdin", &request.base, TTRPC_INTERNAL, "ended");
  request.exec_id = (char *)"nobody";
  harness_must_fail("WriteStdin", &request.base, TTRPC_INTERNAL, "no such process");
}

/* A write that waits for room fails when the process ends instead of reading. */
static gpointer write_much_in_thread(gpointer data) {
  Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
  request.container_id = (char *)BOX;
  request.exec_id = (char *)"full";
  request.data.data = data;
  request.data.len = 3 * MIB;
  GError *error = NULL;
  ProtobufCMessage *reply = harness_call("WriteStdin", &request.base, &error);
  if (reply) protobuf_c_message_free_unpacked(reply, NULL);
  return error;
}

static void test_write_waits(void **state) {
  g_autofree guint8 *bytes = make_bytes(3 * MIB);
  harness_exec(BOX, "full", "sleep 1000");
  GThread *thread = g_thread_new("write", write_much_in_thread, bytes);
  g_usleep(300 * 1000);
  harness_signal(BOX, "full", SIGKILL);
  g_autoptr(GError) error = g_thread_join(thread);
  assert_non_null(error);
  assert_non_null(strstr(error->message, "cannot write"));
}

static void test_bad_reads(void **state) {
  Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
  request.container_id = (char *)BOX;
  harness_must_fail("ReadStdout", &request.base, TTRPC_INVALID_ARGUMENT, "no bytes");
  request.exec_id = (char *)"nobody";
  request.len = 1;
  harness_must_fail("ReadStdout", &request.base, TTRPC_NOT_FOUND, "no process");
}

static gpointer read_in_thread(gpointer client) {
  Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
  request.container_id = (char *)BOX;
  request.exec_id = (char *)"orphan";
  request.len = 100;
  ttrpc_client_invoke(client, &grpc__agent_service__descriptor, "ReadStdout", &request.base, 0, NULL, NULL);
  return NULL;
}

/* A caller that went away takes nothing with it. */
static void test_lost_caller(void **state) {
  harness_exec(BOX, "orphan", "read x; echo $x");
  TtrpcClient *other = harness_connect();
  GThread *thread = g_thread_new("read", read_in_thread, other);
  g_usleep(200 * 1000);
  ttrpc_client_close(other, NULL);
  g_thread_join(thread);
  ttrpc_client_unref(other);
  g_usleep(200 * 1000);
  harness_write(BOX, "orphan", "kept\n", 5);
  g_autoptr(GString) out = harness_read_all(BOX, "orphan", FALSE);
  assert_string_equal(out->str, "kept\n");
  assert_int_equal(harness_wait(BOX, "orphan"), 0);
}

/* ---- terminals ---- */

static void exec_terminal(const char *exec_id, const char *script) {
  g_autoptr(Grpc__Process) process = harness_process(script);
  process->terminal = TRUE;
  Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
  request.container_id = (char *)BOX;
  request.exec_id = (char *)exec_id;
  request.process = process;
  harness_must("ExecProcess", &request.base);
}

static void resize(const char *id, const char *exec_id, guint rows, guint columns) {
  Grpc__TtyWinResizeRequest request = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  request.row = rows;
  request.column = columns;
  harness_must("TtyWinResize", &request.base);
}

static void test_terminal_exec(void **state) {
  exec_terminal("tty", "read line; echo \"got $line\"; stty size; tty; echo err >&2; exit 7");
  resize(BOX, "tty", 33, 111);
  harness_write(BOX, "tty", "hello\n", 6);
  g_autoptr(GString) out = harness_read_all(BOX, "tty", FALSE);
  assert_string_equal(out->str, "hello\r\ngot hello\r\n33 111\r\n/dev/pts/0\r\nerr\r\n");
  g_autoptr(GString) err = harness_read_all(BOX, "tty", TRUE);
  assert_string_equal(err->str, "");
  assert_int_equal(harness_wait(BOX, "tty"), 7);
}

static void test_terminal_container(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_spec("stty size; echo first; read line; stty size; sleep 0.1; exit 3");
  spec->process->terminal = TRUE;
  spec->process->consolesize = malloc(sizeof *spec->process->consolesize);
  grpc__box__init(spec->process->consolesize);
  spec->process->consolesize->height = 20;
  spec->process->consolesize->width = 70;
  harness_create_spec("ttybox", spec);
  harness_start_container("ttybox");
  g_autoptr(GString) begin = g_string_new(NULL);
  while (!strstr(begin->str, "first\r\n")) {
    g_autoptr(GBytes) data = harness_read("ttybox", "ttybox", 1000);
    assert_true(g_bytes_get_size(data) > 0);
    g_string_append_len(begin, g_bytes_get_data(data, NULL), (gssize)g_bytes_get_size(data));
  }
  assert_string_equal(begin->str, "20 70\r\nfirst\r\n");
  resize("ttybox", "", 40, 132);
  /* Closing a terminal's input is no end of file; later writes fail. */
  harness_write("ttybox", "", "\n", 1);
  harness_close_stdin("ttybox", "");
  Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
  request.container_id = (char *)"ttybox";
  request.data.data = (guint8 *)"x";
  request.data.len = 1;
  harness_must_fail("WriteStdin", &request.base, TTRPC_INTERNAL, "");
  g_autoptr(GString) rest = harness_read_all("ttybox", "", FALSE);
  assert_string_equal(rest->str, "\r\n40 132\r\n");
  assert_int_equal(harness_wait("ttybox", ""), 3);
  harness_remove("ttybox");
}

/* All processes let go of the terminal, and one takes it again: that is no end. */
static void test_terminal_let_go(void **state) {
  exec_terminal("letgo", "t=$(tty); echo a; exec </dev/null >/dev/null 2>&1; sleep 0.5; exec >$t; echo b");
  g_autoptr(GString) out = harness_read_all(BOX, "letgo", FALSE);
  assert_string_equal(out->str, "a\r\nb\r\n");
  assert_int_equal(harness_wait(BOX, "letgo"), 0);
}

/* A terminal's buffered output is whole at the end, too. */
static void test_terminal_output(void **state) {
  exec_terminal("ttyout", "stty -opost; yes 0123456789abcdef | head -c 1700000");
  g_autoptr(GString) out = harness_read_all(BOX, "ttyout", FALSE);
  assert_int_equal(out->len, 1700000);
  for (gsize i = 0; i + 17 <= out->len; i += 17) assert_memory_equal(out->str + i, "0123456789abcdef\n", 17);
  assert_int_equal(harness_wait(BOX, "ttyout"), 0);
}

static pid_t pid_of(const char *id) {
  Kata__V1__ListProcessesRequest request = KATA__V1__LIST_PROCESSES_REQUEST__INIT;
  ProtobufCMessage *reply = NULL;
  g_autoptr(GError) error = NULL;
  request.container_id = (char *)id;
  if (!ttrpc_client_invoke(harness_client(), &kata__v1__guest__descriptor, "ListProcesses", &request.base,
                           HARNESS_CALL_MS, &reply, &error))
    fail_msg("%s", error->message);
  pid_t pid = (pid_t)((Kata__V1__ListProcessesResponse *)reply)->processes[0]->pid;
  protobuf_c_message_free_unpacked(reply, NULL);
  return pid;
}

static void check_pipes(const char *id, int size) {
  for (int i = 0; i < 3; i++) {
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)pid_of(id), i);
    int fd = open(path, (i == 0 ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETPIPE_SZ), size);
    close(fd);
  }
}

/* As large as the agent is told, in an agent of its own; a megabyte otherwise. */
static void test_pipe_size(void **state) {
  check_pipes(BOX, MIB);
  harness_stop();
  harness_start_with("container_pipe_size = 131072\n");
  harness_create("pipes", "exec sleep 1000");
  harness_start_container("pipes");
  check_pipes("pipes", 131072);
  harness_remove("pipes");
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stdin_checksum),  cmocka_unit_test(test_echo),
      cmocka_unit_test(test_stdout_checksum), cmocka_unit_test(test_slow_reader),
      cmocka_unit_test(test_read_after_end),  cmocka_unit_test(test_background_child),
      cmocka_unit_test(test_write_errors),    cmocka_unit_test(test_write_waits),
      cmocka_unit_test(test_bad_reads),       cmocka_unit_test(test_lost_caller),
      cmocka_unit_test(test_terminal_exec),   cmocka_unit_test(test_terminal_container),
      cmocka_unit_test(test_terminal_let_go), cmocka_unit_test(test_terminal_output),
      cmocka_unit_test(test_pipe_size),
  };
  return cmocka_run_group_tests_name("agent-streams", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
