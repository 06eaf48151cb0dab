/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options beyond those of test-agent-init.c: flags, ports, the file, the environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/config.h"
#include "common/error.h"

static AgentConfig *parse(const char *cmdline, const char *expected_warnings) {
  AgentConfig *config = agent_config_new();
  g_autoptr(GString) warnings = g_string_new(NULL);
  agent_config_parse_cmdline(config, cmdline);
  for (guint i = 0; i < config->warnings->len; i++)
    g_string_append_printf(warnings, "%s\n", (const char *)config->warnings->pdata[i]);
  assert_string_equal(warnings->str, expected_warnings);
  return config;
}

static void test_flags_and_ports(void **state) {
  g_autoptr(AgentConfig) none =
      parse("quiet agent.guest_components_procs=none",
            "kernel parameter 'agent.guest_components_procs': this agent has no such option\n");
  assert_false(none->devmode);
  assert_false(none->debug_console);
  assert_int_equal(none->debug_console_vport, 0);
  assert_int_equal(none->log_vport, 0);
  assert_null(none->config_file);
  g_autoptr(AgentConfig) all = parse(
      "agent.devmode agent.debug_console agent.debug_console_vport=1026 agent.log_vport=1025 agent.config_file=/etc/a",
      "");
  assert_true(all->devmode);
  assert_true(all->debug_console);
  assert_int_equal(all->debug_console_vport, 1026);
  assert_int_equal(all->log_vport, 1025);
  assert_string_equal(all->config_file, "/etc/a");
  g_autoptr(AgentConfig) off = parse("agent.devmode=0 agent.debug_console=false", "");
  assert_false(off->devmode);
  assert_false(off->debug_console);
  g_autoptr(AgentConfig) bad =
      parse("agent.log_vport=-1 agent.devmode=maybe agent.config_file=etc agent.debug_console_vport=4294967295",
            "kernel parameter 'agent.log_vport=-1': bad value, the default stays\n"
            "kernel parameter 'agent.devmode=maybe': bad value, the default stays\n"
            "kernel parameter 'agent.config_file=etc': bad value, the default stays\n"
            "kernel parameter 'agent.debug_console_vport=4294967295': bad value, the default stays\n");
  assert_int_equal(bad->log_vport, 0);
  assert_null(bad->config_file);
}

static char *write_file(const char *text) {
  char *path = NULL;
  int fd = g_file_open_tmp("kata-agent-XXXXXX", &path, NULL);
  assert_true(fd >= 0);
  close(fd);
  assert_true(g_file_set_contents(path, text, -1, NULL));
  return path;
}

static void test_file(void **state) {
  g_autofree char *path = write_file(
      "# settings\n\nlog_level = \"debug\"  # loud\nserver_addr='unix:///run/a.sock'\n"
      "hotplug_timeout = 7\n  container_pipe_size=65536 # bytes\ndev_mode = true\n"
      "debug_console = true\nlog_vport = 1025\nimage_registry = \"some#where\"\n");
  g_autoptr(AgentConfig) config = agent_config_new();
  config->config_file = g_strdup(path);
  g_autoptr(GError) error = NULL;
  if (!agent_config_finish(config, &error)) fail_msg("%s", error->message);
  assert_int_equal(config->log_level, G_LOG_LEVEL_DEBUG);
  assert_string_equal(config->address, "unix:///run/a.sock");
  assert_int_equal(config->hotplug_timeout_ms, 7000);
  assert_int_equal(config->container_pipe_size, 65536);
  assert_true(config->devmode);
  assert_true(config->debug_console);
  assert_int_equal(config->log_vport, 1025);
  assert_int_equal(config->warnings->len, 1);
  assert_string_equal(config->warnings->pdata[0],
                      "agent.config_file: key 'image_registry': this agent has no such option");
  unlink(path);
}

static void check_refused(const char *text, const char *reason) {
  g_autofree char *path = write_file(text);
  g_autoptr(AgentConfig) config = agent_config_new();
  g_autoptr(GError) error = NULL;
  assert_false(agent_config_read_file(config, path, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
  if (!strstr(error->message, reason) || !strstr(error->message, path))
    fail_msg("no '%s' in '%s'", reason, error->message);
  unlink(path);
}

static void test_bad_files(void **state) {
  check_refused("log_level = \"loud\"\n", "line 1 log_level: bad value");
  check_refused("\nhotplug_timeout = \"7s\"\n", "line 2 hotplug_timeout: bad value");
  check_refused("[agent]\n", "line 1 is not 'key = value'");
  check_refused("log = \"debug\n", "log: bad value");
  check_refused("log = debug info\n", "log: bad value");
  check_refused("log = \"de\\bug\"\n", "log: bad value");
  check_refused("log =\n", "log: bad value");
  check_refused("log = \"debug\" x\n", "log: bad value");
  g_autoptr(AgentConfig) config = agent_config_new();
  config->config_file = g_strdup("/nowhere/agent.toml");
  g_autoptr(GError) error = NULL;
  assert_false(agent_config_finish(config, &error));
  assert_non_null(strstr(error->message, "agent.config_file: "));
  assert_non_null(strstr(error->message, "/nowhere/agent.toml"));
}

static void test_environment(void **state) {
  g_autoptr(AgentConfig) config = parse("agent.log=error agent.server_addr=unix:///a", "");
  g_setenv("KATA_AGENT_SERVER_ADDR", "unix:///b", TRUE);
  g_setenv("KATA_AGENT_LOG_LEVEL", "debug", TRUE);
  assert_true(agent_config_finish(config, NULL));
  assert_string_equal(config->address, "unix:///b");
  assert_int_equal(config->log_level, G_LOG_LEVEL_DEBUG);
  g_setenv("KATA_AGENT_LOG_LEVEL", "loud", TRUE);
  g_autoptr(GError) error = NULL;
  assert_false(agent_config_finish(config, &error));
  assert_non_null(strstr(error->message, "KATA_AGENT_LOG_LEVEL: bad value 'loud'"));
  g_unsetenv("KATA_AGENT_SERVER_ADDR");
  g_unsetenv("KATA_AGENT_LOG_LEVEL");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_flags_and_ports),
      cmocka_unit_test(test_file),
      cmocka_unit_test(test_bad_files),
      cmocka_unit_test(test_environment),
  };
  return cmocka_run_group_tests_name("agent-config", tests, NULL, NULL);
}
