/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What PID 1 does before it serves, as far as it can be seen without a guest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka.h needs those above it. */
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/init.h"
#include "agent/modules.h"
#include "agent/power.h"
#include "common/error.h"

/* ---- the kernel's command line ---- */

static void test_defaults(void **state) {
  g_autoptr(AgentConfig) config = agent_config_new();
  agent_config_parse_cmdline(config, "console=ttyS0 quiet agent.unknown=1 agent.trace agentx.log=1 root=/dev/vda\n");
  assert_int_equal(config->warnings->len, 2);
  assert_string_equal(config->warnings->pdata[0], "kernel parameter 'agent.unknown': this agent has no such option");
  assert_string_equal(config->warnings->pdata[1], "kernel parameter 'agent.trace': this agent has no such option");
  assert_string_equal(config->address, "vsock://-1:1024");
  assert_int_equal(config->log_level, G_LOG_LEVEL_INFO);
  assert_int_equal(config->hotplug_timeout_ms, 3000);
  assert_int_equal(config->container_pipe_size, 0);
  assert_false(config->is_init);
}

static void test_values(void **state) {
  g_autoptr(AgentConfig) config = agent_config_new();
  agent_config_parse_cmdline(config,
                             "agent.log=debug\tagent.server_addr=unix:///run/a.sock agent.hotplug_timeout=7 "
                             "agent.container_pipe_size=65536");
  assert_int_equal(config->warnings->len, 0);
  assert_int_equal(config->log_level, G_LOG_LEVEL_DEBUG);
  assert_string_equal(config->address, "unix:///run/a.sock");
  assert_int_equal(config->hotplug_timeout_ms, 7000);
  assert_int_equal(config->container_pipe_size, 65536);
}

static void test_bad_values_are_named_and_ignored(void **state) {
  static const char *const bad[] = {
      "agent.log=loud",
      "agent.log",
      "agent.hotplug_timeout",
      "agent.log=",
      "agent.server_addr=tcp://1",
      "agent.hotplug_timeout=0",
      "agent.hotplug_timeout=61",
      "agent.hotplug_timeout=-1",
      "agent.hotplug_timeout=7s",
      "agent.hotplug_timeout=99999999999999999999",
      "agent.container_pipe_size=1048577",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(AgentConfig) config = agent_config_new();
    agent_config_parse_cmdline(config, bad[i]);
    g_autofree char *expected = g_strdup_printf("kernel parameter '%s': bad value, the default stays", bad[i]);
    assert_int_equal(config->warnings->len, 1);
    assert_string_equal(config->warnings->pdata[0], expected);
    assert_string_equal(config->address, AGENT_DEFAULT_ADDRESS);
    assert_int_equal(config->log_level, G_LOG_LEVEL_INFO);
    assert_int_equal(config->hotplug_timeout_ms, 3000);
    assert_int_equal(config->container_pipe_size, 0);
  }
}

/* ---- modules ---- */

static int make_list(void **state) {
  char *directory = g_dir_make_tmp("kata-modules.XXXXXX", NULL);
  g_autofree char *path = g_build_filename(directory, "modules.list", NULL);
  *state = directory;
  return g_file_set_contents(path,
                             "module virtio_ring\n"
                             "module virtio virtio_ring\n"
                             "module virtio_pci virtio_ring virtio\n"
                             "module overlay\n"
                             "alias fs-overlay overlay\n"
                             "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n"
                             "garbage\nmodule\nalias one\nalias a b c\n\n",
                             -1, NULL)
             ? 0
             : -1;
}

static int remove_list(void **state) {
  g_autofree char *directory = *state;
  g_autofree char *path = g_build_filename(directory, "modules.list", NULL);
  unlink(path);
  return rmdir(directory);
}

static char *resolve(const ModuleList *list, const char *name) {
  g_autoptr(GPtrArray) names = modules_resolve(list, name);
  if (!names) return NULL;
  g_ptr_array_add(names, NULL);
  return g_strjoinv(" ", (char **)names->pdata);
}

static void test_resolve(void **state) {
  g_autoptr(GError) error = NULL;
  g_autoptr(ModuleList) list = modules_open(*state, &error);
  assert_non_null(list);
  static const struct {
    const char *name, *expected;
  } cases[] = {
      {"virtio_pci", "virtio_ring virtio virtio_pci"},
      {"virtio-pci", "virtio_ring virtio virtio_pci"},
      {"pci:v00001AF4d00001003sv00001AF4sd00000003bc07sc80i00", "virtio_ring virtio virtio_pci"},
      {"fs-overlay", "overlay"},
      {"fs_overlay", NULL},
      {"pci:v00008086d00002922sv0sd0bc0sc0i0", NULL},
      {"", NULL},
      {"one", NULL},
      {"../../etc/passwd", NULL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *names = resolve(list, cases[i].name);
    if (cases[i].expected) {
      assert_non_null(names);
      assert_string_equal(names, cases[i].expected);
    } else {
      assert_null(names);
    }
  }
}

static void test_load_failures(void **state) {
  g_autoptr(GError) error = NULL;
  g_autoptr(ModuleList) list = modules_open(*state, &error);
  assert_non_null(list);
  assert_false(modules_load(list, "wireguard", &error));
  assert_string_equal(error->message, "the guest image has no kernel module for 'wireguard'");
  assert_int_equal(error_get_code(error), KATA_ERR_NOT_FOUND);
  g_clear_error(&error);
  assert_false(modules_load(list, "overlay", &error));
  g_autofree char *expected =
      g_strdup_printf("cannot open kernel module '%s/overlay.ko': No such file or directory", (char *)*state);
  assert_string_equal(error->message, expected);
  g_clear_error(&error);
  assert_null(modules_open("/nonexistent", &error));
  assert_true(g_str_has_prefix(error->message, "cannot read the list of kernel modules '/nonexistent/modules.list': "));
}

/* ---- the end ---- */

static void end_by_abort(void) { abort(); }
static void end_by_signal(void) { raise(SIGSEGV); }
static void end_by_exit(void) { exit(0); }
static void end_by_reason(void) { init_power_off("nothing left to do"); }

/* Runs PID 1 of a PID namespace, where powering off ends the namespace and nothing else. */
static void assert_last_words(void (*end)(void), const char *words) {
  int pipe_fds[2];
  assert_int_equal(pipe(pipe_fds), 0);
  pid_t outer = fork();
  assert_true(outer >= 0);
  if (outer == 0) {
    if (unshare(CLONE_NEWPID) < 0) _exit(77);
    pid_t init = fork();
    if (init == 0) {
      if (getpid() != 1) _exit(1);
      dup2(pipe_fds[1], STDERR_FILENO);
      close(pipe_fds[0]);
      close(pipe_fds[1]);
      if (power_guard(NULL)) end();
      _exit(2);
    }
    int status = 0;
    while (waitpid(init, &status, 0) < 0 && errno == EINTR) continue;
    /* What reboot(2) does to the init of a namespace on a power-off; valgrind has no reboot(2). */
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) _exit(0);
    _exit(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE ? 4 : 3);
  }
  close(pipe_fds[1]);
  char text[1024] = "";
  gsize length = 0;
  for (ssize_t n; length < sizeof text - 1 && (n = read(pipe_fds[0], text + length, sizeof text - 1 - length)) > 0;)
    length += (gsize)n;
  close(pipe_fds[0]);
  int status = 0;
  assert_int_equal(waitpid(outer, &status, 0), outer);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) skip();
  if (WEXITSTATUS(status) == 4)
    assert_non_null(strstr(text, "kata-agent: cannot power off\n"));
  else
    assert_int_equal(WEXITSTATUS(status), 0);
  assert_non_null(strstr(text, words));
}

static void test_last_words(void **state) {
  assert_last_words(end_by_abort, "kata-agent: fatal: aborted (SIGABRT)\n");
  assert_last_words(end_by_signal, "kata-agent: fatal: segmentation fault (SIGSEGV)\n");
  assert_last_words(end_by_exit, "kata-agent: fatal: the agent called exit()\n");
  assert_last_words(end_by_reason, "kata-agent: fatal: nothing left to do\n");
}

static void test_power_off_outside_of_a_guest(void **state) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    close(STDERR_FILENO);
    init_power_off("not here");
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_bad_values_are_named_and_ignored),
      cmocka_unit_test_setup_teardown(test_resolve, make_list, remove_list),
      cmocka_unit_test_setup_teardown(test_load_failures, make_list, remove_list),
      cmocka_unit_test(test_last_words),
      cmocka_unit_test(test_power_off_outside_of_a_guest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
