/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kata-agent: as PID 1 of a guest it makes the guest, serves and powers it off; otherwise it only serves. */
#include <config.h> /* configure's, not this room's */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/init.h"
#include "agent/modules.h"
#include "agent/service.h"

static const char usage[] =
    "usage: kata-agent --listen unix:///PATH [--log LEVEL] [--config FILE]\n"
    "       kata-agent --version | --help\n"
    "As PID 1 it takes no arguments: the kernel's command line tells it what to do.\n";

static G_GNUC_NORETURN void run_as_pid1(AgentConfig *config) {
  g_autoptr(GError) error = NULL;
  config->is_init = TRUE;
  if (!init_run_as_pid1(config, &error)) init_power_off(error->message);
  if (!service_run(config, &error)) init_power_off(error->message);
  init_power_off(NULL);
}

static int run_as_process(AgentConfig *config) {
  g_autoptr(GError) error = NULL;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (agent_config_finish(config, &error) && service_run(config, &error)) return EXIT_SUCCESS;
  fprintf(stderr, "kata-agent: %s\n", error->message);
  return EXIT_FAILURE;
}

/* Returns -1 to go on, otherwise the exit status. */
static int parse_arguments(AgentConfig *config, int argc, char **argv) {
  gboolean has_address = FALSE;
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-v") == 0)
      return printf("kata-agent %s\n", PACKAGE_VERSION) < 0;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return fputs(usage, stdout) < 0;
    g_autofree char *parameter = NULL;
    if (strcmp(argv[i], "--listen") == 0 && value) {
      parameter = g_strconcat("agent.server_addr=", value, NULL);
      has_address = TRUE;
    } else if (strcmp(argv[i], "--log") == 0 && value) {
      parameter = g_strconcat("agent.log=", value, NULL);
    } else if ((strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "-c") == 0) && value) {
      parameter = g_strconcat("agent.config_file=", value, NULL);
    } else {
      fprintf(stderr, "kata-agent: unknown or incomplete argument '%s'\n%s", argv[i], usage);
      return EXIT_FAILURE;
    }
    agent_config_parse_cmdline(config, parameter);
    if (config->warnings->len > 0) {
      fprintf(stderr, "kata-agent: bad value '%s' of '%s'\n", value, argv[i]);
      return EXIT_FAILURE;
    }
    i++;
  }
  if (has_address || g_getenv("KATA_AGENT_SERVER_ADDR")) return -1;
  fprintf(stderr, "kata-agent: not PID 1, and no address to listen on\n%s", usage);
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  if (argc > 0 && (strcmp(argv[0], "modprobe") == 0 || g_str_has_suffix(argv[0], "/modprobe")))
    return modules_modprobe(argc, argv);
  g_autoptr(AgentConfig) config = agent_config_new();
  config->began_at = g_get_monotonic_time();
  if (getpid() == 1) run_as_pid1(config);
  int status = parse_arguments(config, argc, argv);
  return status >= 0 ? status : run_as_process(config);
}
