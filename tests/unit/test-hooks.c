// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/safe-path.h"
#include "shim/hooks.h"

typedef struct {
  char *directory; /* the bundle */
  Kata__V1__ContainerInfo info;
  Kata__V1__ContainerInfo__AnnotationsEntry annotation, *annotations[1];
  HookSubject subject;
} Fixture;

static int setup(void **state) {
  Fixture *fixture = g_new0(Fixture, 1);
  fixture->directory = g_dir_make_tmp("kata-hooks-XXXXXX", NULL);
  kata__v1__container_info__init(&fixture->info);
  kata__v1__container_info__annotations_entry__init(&fixture->annotation);
  fixture->annotation.key = (char *)"a";
  fixture->annotation.value = (char *)"b";
  fixture->annotations[0] = &fixture->annotation;
  fixture->info.id = (char *)"c1";
  fixture->info.oci_version = (char *)"1.0.2";
  fixture->info.bundle = fixture->directory;
  fixture->info.annotations = fixture->annotations;
  fixture->info.n_annotations = 1;
  fixture->subject = (HookSubject){.info = &fixture->info, .status = "creating", .pid = 77};
  *state = fixture;
  return 0;
}

static int teardown(void **state) {
  Fixture *fixture = *state;
  gboolean removed = safe_remove_tree(fixture->directory, NULL);
  g_free(fixture->directory);
  g_free(fixture);
  return removed ? 0 : -1;
}

/* members: of the object "hooks". */
static OciSpec *parse(const char *members) {
  g_autofree char *text = g_strdup_printf(
      "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"r\"}, \"process\": {\"args\": [\"true\"], \"cwd\": \"/\"},"
      " \"hooks\": {%s}}",
      members);
  g_autoptr(GError) error = NULL;
  OciSpec *spec = oci_spec_parse(text, strlen(text), "test", &error);
  if (spec == NULL) fail_msg("%s", error->message);
  return spec;
}

static OciHooks *take(const char *members) {
  g_autoptr(OciSpec) spec = parse(members);
  return hooks_take(spec);
}

static char *read_text(const Fixture *fixture, const char *name) {
  g_autofree char *path = g_build_filename(fixture->directory, name, NULL);
  char *text = NULL;
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(path, &text, NULL, &error)) fail_msg("%s", error->message);
  return text;
}

static void assert_runs(const OciHooks *hooks, HookPoint point, const HookSubject *subject) {
  g_autoptr(GError) error = NULL;
  if (!hooks_run(hooks, point, subject, &error)) fail_msg("%s", error->message);
}

static void assert_fails(const OciHooks *hooks, HookPoint point, const HookSubject *subject, const char *expected) {
  g_autoptr(GError) error = NULL;
  assert_false(hooks_run(hooks, point, subject, &error));
  assert_string_equal(error->message, expected);
}

static void test_take(void **state) {
  g_autoptr(OciSpec) spec =
      parse("\"startContainer\": [{\"path\": \"/s\", \"args\": [\"s\", \"1\"]}], \"poststop\": [{\"path\": \"/p\"}]");
  g_autoptr(OciHooks) hooks = hooks_take(spec);
  assert_non_null(hooks);
  assert_int_equal(hooks->n_poststop, 1);
  assert_int_equal(hooks->n_startcontainer, 0);
  assert_non_null(spec->hooks);
  assert_int_equal(spec->hooks->n_startcontainer, 1);
  assert_string_equal(spec->hooks->startcontainer[0]->args[1], "1");
  assert_int_equal(spec->hooks->n_poststop, 0);
  g_autoptr(OciHooks) copy = hooks_copy(hooks);
  assert_string_equal(copy->poststop[0]->path, "/p");

  g_autoptr(OciSpec) guest_only = parse("\"startContainer\": [{\"path\": \"/s\"}]");
  assert_null(hooks_take(guest_only));
  assert_int_equal(guest_only->hooks->n_startcontainer, 1);
  g_autoptr(OciSpec) none = parse("");
  assert_null(hooks_take(none));
  assert_null(none->hooks);
  assert_null(hooks_copy(NULL));
}

static void test_state_arguments_and_environment(void **state) {
  Fixture *fixture = *state;
  g_autoptr(OciHooks) hooks = take(
      "\"prestart\": [{\"path\": \"/bin/sh\", \"args\": [\"name\", \"-c\", \"cat > state; echo \\\"$0 $*\\\" > "
      "args; /usr/bin/env | /usr/bin/sort > env\", \"zero\", \"one\"], \"env\": [\"A=1\", \"B=two words\"]}]");
  assert_runs(hooks, HOOK_PRESTART, &fixture->subject);
  g_autofree char *told = read_text(fixture, "state");
  g_autofree char *expected = g_strdup_printf(
      "{\"ociVersion\":\"1.0.2\",\"id\":\"c1\",\"status\":\"creating\",\"pid\":77,\"bundle\":\"%s\",\"annotations\":"
      "{\"a\":\"b\"}}",
      fixture->directory);
  assert_string_equal(told, expected);
  g_autofree char *args = read_text(fixture, "args");
  assert_string_equal(args, "zero one\n");
  g_autofree char *env = read_text(fixture, "env");
  assert_non_null(strstr(env, "A=1\nB=two words\n"));
  assert_null(strstr(env, "HOME="));
}

static void test_a_pid_of_none_is_left_out(void **state) {
  Fixture *fixture = *state;
  fixture->subject.pid = 0;
  fixture->subject.status = "stopped";
  fixture->info.n_annotations = 0;
  g_autoptr(OciHooks) hooks = take("\"poststop\": [{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\", \"cat > s\"]}]");
  assert_runs(hooks, HOOK_POSTSTOP, &fixture->subject);
  g_autofree char *told = read_text(fixture, "s");
  g_autofree char *expected = g_strdup_printf(
      "{\"ociVersion\":\"1.0.2\",\"id\":\"c1\",\"status\":\"stopped\",\"bundle\":\"%s\"}", fixture->directory);
  assert_string_equal(told, expected);
}

#define SH(script) "{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\", \"" script "\"]}"

static void test_order_and_failure(void **state) {
  Fixture *fixture = *state;
  g_autoptr(OciHooks) hooks = take("\"createRuntime\": [" SH("echo 1 >> log") "," SH(
      "echo 2 >> log; echo out; echo wrong >&2; exit 3") "," SH("echo 3 >> log") "]");
  assert_fails(hooks, HOOK_CREATE_RUNTIME, &fixture->subject,
               "error running createRuntime hook #1: exit status 3, stdout: out, stderr: wrong");
  g_autofree char *log = read_text(fixture, "log");
  assert_string_equal(log, "1\n2\n");
  /* Other points have none, and no hooks at all are fine. */
  assert_runs(hooks, HOOK_PRESTART, &fixture->subject);
  assert_runs(NULL, HOOK_PRESTART, &fixture->subject);
}

static void test_killed_and_missing(void **state) {
  Fixture *fixture = *state;
  g_autoptr(OciHooks) hooks = take("\"poststart\": [" SH("kill -9 $$") "], \"prestart\": [{\"path\": \"/none/x\"}]");
  assert_fails(hooks, HOOK_POSTSTART, &fixture->subject,
               "error running poststart hook #0: signal: Killed, stdout: , stderr: ");
  assert_fails(hooks, HOOK_PRESTART, &fixture->subject,
               "error running prestart hook #0: cannot start '/none/x': No such file or directory");
}

/* With what it has started: the time is for the hook as a whole. */
static void test_timeout(void **state) {
  Fixture *fixture = *state;
  g_autoptr(OciHooks) hooks = take(
      "\"createContainer\": [{\"path\": \"/bin/sh\", \"timeout\": 1, \"args\": [\"sh\", \"-c\", \"/bin/sleep 600 & "
      "echo $! > pid; wait\"]}]");
  assert_fails(hooks, HOOK_CREATE_CONTAINER, &fixture->subject,
               "error running createContainer hook #0: hook ran past specified timeout of 1.0s");
  g_autofree char *text = read_text(fixture, "pid");
  pid_t pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
  g_autofree char *stat_path = g_strdup_printf("/proc/%d/stat", (int)pid);
  for (int i = 0; i < 1000; i++) { /* killed: gone, or nobody's to reap */
    g_autofree char *stat = NULL;
    if (!g_file_get_contents(stat_path, &stat, NULL, NULL) || strstr(stat, ") Z ") != NULL) return;
    g_usleep(10000);
  }
  fail_msg("process %d of the hook still runs", (int)pid);
}

static void test_last_hooks_all_run(void **state) {
  Fixture *fixture = *state;
  g_autoptr(OciHooks) hooks =
      take("\"poststop\": [" SH("echo 1 >> log; exit 1") ", {\"path\": \"/none/x\"}," SH("echo 3 >> log") "]");
  hooks_run_all(hooks, HOOK_POSTSTOP, &fixture->subject);
  hooks_run_all(NULL, HOOK_POSTSTOP, &fixture->subject);
  g_autofree char *log = read_text(fixture, "log");
  assert_string_equal(log, "1\n3\n");
}

/* A process in a network and UTS namespace of its own, ended by the end of its input. */
static pid_t start_elsewhere(int *ret_fd) {
  int ready[2], end[2];
  assert_int_equal(pipe(ready), 0);
  assert_int_equal(pipe(end), 0);
  pid_t pid = fork();
  if (pid == 0) {
    close(end[1]);
    char byte = unshare(CLONE_NEWNET | CLONE_NEWUTS) == 0 && sethostname("elsewhere", 9) == 0 ? 'y' : 'n';
    if (write(ready[1], &byte, 1) == 1 && read(end[0], &byte, 1) == 0) _exit(0);
    _exit(1);
  }
  char byte = 'n';
  close(end[0]);
  close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  assert_int_equal(byte, 'y');
  *ret_fd = end[1];
  return pid;
}

static void test_namespaces(void **state) {
  Fixture *fixture = *state;
  if (geteuid() != 0) {
    print_message("only root may join namespaces\n");
    skip();
  }
  int fd = -1;
  pid_t pid = start_elsewhere(&fd);
  g_autofree char *link = g_strdup_printf("/proc/%d/ns/net", (int)pid);
  g_autofree char *expected = g_file_read_link(link, NULL);
  g_autoptr(OciHooks) hooks =
      take("\"createContainer\": [" SH("/usr/bin/readlink /proc/self/ns/net > net; /usr/bin/uname -n > name") "]");
  fixture->subject.place = pid;
  assert_runs(hooks, HOOK_CREATE_CONTAINER, &fixture->subject);
  g_autofree char *net = read_text(fixture, "net"), *name = read_text(fixture, "name");
  assert_string_equal(g_strchomp(net), expected);
  assert_string_equal(name, "elsewhere\n");
  fixture->subject.place = getpid();
  fixture->subject.network_place = pid;
  assert_runs(hooks, HOOK_CREATE_CONTAINER, &fixture->subject);
  g_autofree char *mixed = read_text(fixture, "net");
  assert_string_equal(g_strchomp(mixed), expected);
  close(fd);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  g_autoptr(GError) error = NULL;
  assert_false(hooks_run(hooks, HOOK_CREATE_CONTAINER, &fixture->subject, &error));
  assert_non_null(strstr(error->message, "whose network it belongs into, has ended"));
  fixture->subject.place = pid;
  fixture->subject.network_place = 0;
  /* Of a process that is gone nothing can be joined: they run in ours. */
  assert_runs(hooks, HOOK_CREATE_CONTAINER, &fixture->subject);
  g_autofree char *own = g_file_read_link("/proc/self/ns/net", NULL), *second = read_text(fixture, "net");
  assert_string_equal(g_strchomp(second), own);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_take),
      cmocka_unit_test_setup_teardown(test_state_arguments_and_environment, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_pid_of_none_is_left_out, setup, teardown),
      cmocka_unit_test_setup_teardown(test_order_and_failure, setup, teardown),
      cmocka_unit_test_setup_teardown(test_killed_and_missing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
      cmocka_unit_test_setup_teardown(test_last_hooks_all_run, setup, teardown),
      cmocka_unit_test_setup_teardown(test_namespaces, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
