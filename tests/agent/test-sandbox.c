/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the containers of a sandbox share, and the hooks that run beside them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "tests/agent/document.h"

#define HOOKS "/run/guest-hooks"
#define HOOKS_LOG "/run/hooks.log"
#define MODPROBE_DIRECTORY "/run/test-bin"
#define MODPROBE_BEGAN MODPROBE_DIRECTORY "/began"
#define MODPROBE_END MODPROBE_DIRECTORY "/end"

static char *own_name;

static void write_hook(const char *path, mode_t mode) {
  g_autofree char *full = g_build_filename(HOOKS, path, NULL);
  g_autofree char *directory = g_path_get_dirname(full);
  assert_int_equal(g_mkdir_with_parents(directory, 0755), 0);
  /* It reads the container's state: crun 1.8.1 fails where nobody does. */
  assert_true(g_file_set_contents(
      full, "#!/bin/busybox sh\nwhile read -r line; do :; done\necho \"${0##*/} $1\" >> " HOOKS_LOG "\n", -1, NULL));
  assert_int_equal(chmod(full, mode), 0);
}

/* In the place of the image's own: it says that it began, waits for its end and refuses. */
static void write_modprobe(void) {
  g_autofree char *path = g_strconcat(MODPROBE_DIRECTORY ":", g_getenv("PATH"), NULL);
  assert_int_equal(g_mkdir_with_parents(MODPROBE_DIRECTORY, 0755), 0);
  assert_int_equal(mkfifo(MODPROBE_BEGAN, 0600) | mkfifo(MODPROBE_END, 0600), 0);
  assert_true(g_file_set_contents(
      MODPROBE_DIRECTORY "/modprobe",
      "#!/bin/busybox sh\n: >" MODPROBE_BEGAN "\n: <" MODPROBE_END "\necho \"refused $*\" >&2\nexit 1\n", -1, NULL));
  assert_int_equal(chmod(MODPROBE_DIRECTORY "/modprobe", 0755), 0);
  assert_true(g_setenv("PATH", path, TRUE));
}

static int start(void **state) {
  write_hook("prestart/20-second", 0755);
  write_hook("prestart/10-first", 0755);
  write_hook("prestart/30-no-program", 0644);
  write_hook("poststart/10-started", 0755);
  assert_int_equal(mkdir(HOOKS "/poststart/directory", 0755), 0);
  write_hook("poststop/10-stopped", 0755);
  char name[256] = "";
  assert_int_equal(gethostname(name, sizeof name - 1), 0);
  own_name = g_strdup(name);
  write_modprobe();
  harness_start();
  return 0;
}

static int stop(void **state) {
  harness_stop();
  g_free(own_name);
  return 0;
}

typedef struct {
  Grpc__CreateSandboxRequest request;
  GError *error;
} Creation;

static gpointer create_in_thread(gpointer user_data) {
  Creation *creation = user_data;
  ProtobufCMessage *reply = harness_call("CreateSandbox", &creation->request.base, &creation->error);
  assert_null(reply);
  return NULL;
}

/* A module that takes its time holds up nobody else, and one that cannot be loaded leaves room for the next attempt. */
static void test_slow_module(void **state) {
  Grpc__KernelModule module = GRPC__KERNEL_MODULE__INIT;
  Grpc__KernelModule *modules[] = {&module};
  char *parameters[] = {(char *)"depth=2"};
  module.name = (char *)"slow";
  module.n_parameters = G_N_ELEMENTS(parameters);
  module.parameters = parameters;
  Creation creation = {.request = GRPC__CREATE_SANDBOX_REQUEST__INIT};
  creation.request.n_kernel_modules = G_N_ELEMENTS(modules);
  creation.request.kernel_modules = modules;
  creation.request.guest_hook_path = (char *)HOOKS;
  GThread *thread = g_thread_new("create", create_in_thread, &creation);
  int began = open(MODPROBE_BEGAN, O_RDONLY | O_CLOEXEC);
  assert_true(began >= 0);
  close(began);
  Grpc__GuestDetailsRequest details = GRPC__GUEST_DETAILS_REQUEST__INIT;
  ProtobufCMessage *reply = harness_call("GetGuestDetails", &details.base, NULL);
  assert_non_null(reply);
  protobuf_c_message_free_unpacked(reply, NULL);
  Grpc__CreateSandboxRequest other = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  harness_must_fail("CreateSandbox", &other.base, TTRPC_ALREADY_EXISTS, "this guest has its sandbox already");
  int end = open(MODPROBE_END, O_WRONLY | O_CLOEXEC);
  assert_true(end >= 0);
  close(end);
  g_thread_join(thread);
  assert_non_null(creation.error);
  if (!strstr(creation.error->message, "cannot load the kernel module 'slow': refused -- slow depth=2"))
    fail_msg("%s", creation.error->message);
  g_error_free(creation.error);
}

static void test_create_sandbox(void **state) {
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.sandbox_id = (char *)"sandbox-of-test";
  /* Host names are cut where the kernel's end. */
  request.hostname = (char *)"name-of-sandbox-5678901234567890123456789012345678901234567890123456789";
  request.guest_hook_path = (char *)HOOKS;
  harness_must("CreateSandbox", &request.base);
}

static void run_spec(const char *id, Grpc__Spec *spec, const char *expected) {
  harness_create_spec(id, spec);
  harness_start_container(id);
  g_autoptr(GString) out = harness_read_all(id, "", FALSE);
  harness_wait(id, "");
  harness_remove(id);
  assert_string_equal(out->str, expected);
}

static void run(const char *id, const char *script, const char *members, const char *expected) {
  g_autoptr(Grpc__Spec) spec = harness_document(script, members);
  run_spec(id, spec, expected);
}

/* ---- namespaces ---- */

/* As a pod's containers have them that ask for some of their own: what is there stays out of them. */
static void test_own_namespaces(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_document(
      "hostname; cat /proc/sys/kernel/shmmni",
      "{\"hostname\": \"mine\", \"linux\": {\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"ipc\"}, {\"type\": "
      "\"uts\"}], \"sysctl\": {\"kernel.shmmni\": \"555\"}}}");
  for (gsize i = 0; i < spec->linux->n_namespaces; i++)
    spec->linux->namespaces[i]->own = strcmp(spec->linux->namespaces[i]->type, "mount") != 0;
  run_spec("own", spec, "mine\n555\n");
  run("after", "cat /proc/sys/kernel/shmmni", "{}", "777\n");
}

static void test_names(void **state) {
  run("names", "hostname; cat /proc/sys/kernel/domainname", "{\"hostname\": \"mine\", \"domainname\": \"example.org\"}",
      "name-of-sandbox-567890123456789012345678901234567890123456789012\nexample.org\n");
  /* The second to come finds them set. */
  run("names", "hostname; cat /proc/sys/kernel/domainname", "{\"domainname\": \"example.net\"}",
      "name-of-sandbox-567890123456789012345678901234567890123456789012\nexample.org\n");
  g_autofree char *log = harness_log();
  assert_non_null(strstr(log, "the domain name stays 'example.org', though 'example.net' is asked for"));
  assert_non_null(strstr(log, "though 'mine' is asked for"));
  char name[256] = "";
  assert_int_equal(gethostname(name, sizeof name - 1), 0);
  assert_string_equal(name, own_name);
}

static void test_ipc(void **state) {
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;
  assert_true(g_file_get_contents("/proc/sys/kernel/shmmni", &before, NULL, NULL));
  run("first", "cat /proc/sys/kernel/shmmni", "{\"linux\": {\"sysctl\": {\"kernel.shmmni\": \"777\"}}}", "777\n");
  run("second", "cat /proc/sys/kernel/shmmni", "{}", "777\n");
  assert_true(g_file_get_contents("/proc/sys/kernel/shmmni", &after, NULL, NULL));
  assert_string_equal(before, after);
}

static void create_with_pidns(const char *id, const char *script) {
  g_autoptr(Grpc__Spec) spec = harness_spec(script);
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  request.oci = spec;
  request.sandbox_pidns = TRUE;
  harness_must("CreateContainer", &request.base);
  harness_start_container(id);
}

/* The agent's child that bears this name, which it gives itself a moment after its birth. */
static pid_t find_pause(void) {
  g_autofree char *path = g_strdup_printf("/proc/%1$d/task/%1$d/children", (int)harness_agent_pid());
  g_autofree char *children = NULL;
  if (!g_file_get_contents(path, &children, NULL, NULL)) return 0;
  g_auto(GStrv) pids = g_strsplit(children, " ", -1);
  for (char **pid = pids; *pid; pid++) {
    g_autofree char *comm_path = g_strdup_printf("/proc/%s/comm", *pid);
    g_autofree char *comm = NULL;
    if (**pid && g_file_get_contents(comm_path, &comm, NULL, NULL) && strcmp(comm, "kata-pause\n") == 0)
      return (pid_t)atoi(*pid);
  }
  return 0;
}

static pid_t wait_for_pause(void) {
  pid_t found = 0;
  for (int waited = 0; (found = find_pause()) == 0 && waited < HARNESS_CALL_MS; waited++) g_usleep(1000);
  return found;
}

static guint64 private_memory_kib(pid_t pid) {
  g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", (int)pid);
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(path, &text, NULL, NULL));
  const char *dirty = strstr(text, "\nPrivate_Dirty:");
  assert_non_null(dirty);
  return g_ascii_strtoull(dirty + strlen("\nPrivate_Dirty:"), NULL, 10);
}

/* Who did not ask for a shared one is joined in its own; when that has ended there is another. */
static void test_first_pid_namespace(void **state) {
  harness_create("pod", "echo $$; sleep 1111; exit 0");
  harness_start_container("pod");
  g_autoptr(GBytes) first = harness_read("pod", "", 2);
  assert_memory_equal(g_bytes_get_data(first, NULL), "1\n", 2);
  create_with_pidns("member", "ps | grep -c '[s]leep 1111'");
  g_autoptr(GString) seen = harness_read_all("member", "", FALSE);
  assert_string_equal(seen->str, "2\n");
  harness_remove("member");
  assert_int_equal(find_pause(), 0);
  harness_signal("pod", "", SIGKILL);
  assert_int_equal(harness_wait("pod", ""), 137);
  create_with_pidns("late", "[ $$ != 1 ] && echo runs");
  g_autoptr(GString) runs = harness_read_all("late", "", FALSE);
  assert_string_equal(runs->str, "runs\n");
  harness_remove("late");
  harness_remove("pod");
  pid_t made = wait_for_pause();
  assert_true(made > 0);
  assert_int_equal(kill(made, SIGKILL), 0);
  while (find_pause() == made) g_usleep(1000);
}

/* It outlives its first container; who is left behind in it is reaped. */
static void test_pid_namespace(void **state) {
  assert_int_equal(find_pause(), 0);
  create_with_pidns("one", "[ $$ != 1 ] && echo $$");
  g_autoptr(GString) pid = harness_read_all("one", "", FALSE);
  assert_true(atoi(pid->str) > 1);
  assert_int_equal(harness_wait("one", ""), 0);
  pid_t pause_pid = wait_for_pause();
  assert_true(pause_pid > 0);
  harness_remove("one");

  create_with_pidns("two", "(sleep 0.01 & ) ; echo ready; exec sleep 1000");
  g_autoptr(GBytes) ready = harness_read("two", "", 100);
  create_with_pidns("three",
                    "while ps | grep -q '[s]leep 0.01'; do sleep 0.1; done; ps | grep -c '[s]leep 1000'; exec sleep "
                    "2000");
  g_autoptr(GBytes) seen = harness_read("three", "", 2);
  assert_memory_equal(g_bytes_get_data(seen, NULL), "1\n", 2);
  print_message("the first process of a shared pid namespace has %" G_GUINT64_FORMAT " KiB of its own\n",
                private_memory_kib(pause_pid));
  /* Not the first of its namespace: it feels the signal as it is. */
  harness_signal("three", "", SIGTERM);
  assert_int_equal(harness_wait("three", ""), 143);
  harness_remove("three");
  assert_int_equal(find_pause(), pause_pid);

  /* Should it ever die, all in it do, and the next one who asks gets another. */
  assert_int_equal(kill(pause_pid, SIGKILL), 0);
  assert_int_equal(harness_wait("two", ""), 137);
  harness_remove("two");
  /* It takes the others along before it is gone itself, and nobody can join it meanwhile. */
  for (int waited = 0; find_pause() == pause_pid && waited < HARNESS_CALL_MS; waited++) g_usleep(1000);
  create_with_pidns("four", "echo again");
  g_autoptr(GString) again = harness_read_all("four", "", FALSE);
  assert_string_equal(again->str, "again\n");
  assert_true(find_pause() != pause_pid);
  harness_remove("four");
}

/* ---- hooks ---- */

static void check_log(const char *expected) {
  g_autofree char *log = NULL;
  assert_true(g_file_get_contents(HOOKS_LOG, &log, NULL, NULL));
  assert_string_equal(log, expected);
}

static void test_guest_hooks(void **state) {
  unlink(HOOKS_LOG);
  g_autoptr(Grpc__Spec) spec = harness_document("exec sleep 1000", "{}");
  harness_create_spec("hooked", spec);
  check_log("10-first prestart\n20-second prestart\n");
  harness_start_container("hooked");
  check_log("10-first prestart\n20-second prestart\n10-started poststart\n");
  harness_remove("hooked");
  check_log("10-first prestart\n20-second prestart\n10-started poststart\n10-stopped poststop\n");
}

#define HOOK(name)                                                                                            \
  "\"" name                                                                                                   \
  "\": [{\"path\": \"/bin/busybox\", \"args\": [\"sh\", \"-c\", \"while read -r line; do :; done; echo " name \
  " >> " HOOKS_LOG "\"]}]"

/* Those of the document come first; createRuntime is the host's to run. */
static void test_document_hooks(void **state) {
  unlink(HOOKS_LOG);
  g_autoptr(Grpc__Spec) spec = harness_document(
      "cat /tmp/started; exec sleep 1000",
      "{\"hooks\": {" HOOK("prestart") ", " HOOK("createRuntime") ", " HOOK("createContainer") ", " HOOK(
          "poststart") ", " HOOK("poststop") ", \"startContainer\": [{\"path\": \"/bin/busybox\", \"args\": [\"sh\", \"-c\", "
                                             "\"while read -r line; do :; done; echo inside > /tmp/started\"]}]}}");
  harness_create_spec("hooked", spec);
  check_log("prestart\n10-first prestart\n20-second prestart\ncreateContainer\n");
  harness_start_container("hooked");
  g_autoptr(GBytes) inside = harness_read("hooked", "", 7);
  assert_memory_equal(g_bytes_get_data(inside, NULL), "inside\n", 7);
  harness_remove("hooked");
  check_log(
      "prestart\n10-first prestart\n20-second prestart\ncreateContainer\npoststart\n10-started poststart\n"
      "poststop\n10-stopped poststop\n");
}

static void test_failing_hook(void **state) {
  g_autofree char *before = harness_leftovers();
  g_autoptr(Grpc__Spec) spec = harness_document(
      "true",
      "{\"hooks\": {\"prestart\": [{\"path\": \"/bin/busybox\", \"args\": [\"sh\", \"-c\", \"while read -r line; do "
      ":; done; exit 3\"]}]}}");
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"failing";
  request.oci = spec;
  harness_must_fail("CreateContainer", &request.base, TTRPC_INTERNAL, "hook");
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
}

/* Asked for of the sandbox, it is that of all containers, the first one too. In an agent of its own. */
static void test_pid_namespace_of_sandbox(void **state) {
  harness_stop();
  harness_start();
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.sandbox_pidns = TRUE;
  harness_must("CreateSandbox", &request.base);
  assert_true(wait_for_pause() > 0);
  harness_create("one", "echo $$; exec sleep 1212");
  harness_start_container("one");
  g_autoptr(GBytes) pid = harness_read("one", "", 20);
  assert_true(atoi(g_bytes_get_data(pid, NULL)) > 1);
  harness_create("two", "ps | grep -c '[s]leep 1212'");
  harness_start_container("two");
  g_autoptr(GString) seen = harness_read_all("two", "", FALSE);
  assert_string_equal(seen->str, "1\n");
  harness_remove("two");
  harness_remove("one");
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slow_module),
      cmocka_unit_test(test_create_sandbox),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_ipc),
      cmocka_unit_test(test_own_namespaces),
      cmocka_unit_test(test_guest_hooks),
      cmocka_unit_test(test_document_hooks),
      cmocka_unit_test(test_failing_hook),
      cmocka_unit_test(test_first_pid_namespace),
      cmocka_unit_test(test_pid_namespace),
      cmocka_unit_test(test_pid_namespace_of_sandbox),
  };
  return cmocka_run_group_tests_name("agent-sandbox", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
