/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent is told by its command line and, as PID 1, by the kernel's. */
#pragma once

#include <glib.h>

#define AGENT_DEFAULT_ADDRESS "vsock://-1:1024"
#define AGENT_PORT_PATH "/dev/virtio-ports/kata.agent.0"

typedef struct {
  gint64 began_at;           /* when this process began, g_get_monotonic_time(): in a guest, since its boot */
  gboolean is_init;          /* PID 1 of a guest; FALSE: an ordinary process, for tests */
  GLogLevelFlags log_level;  /* agent.log: lines less grave are dropped */
  char *address;             /* agent.server_addr or --listen: where to serve beside the virtio-serial port */
  guint hotplug_timeout_ms;  /* agent.hotplug_timeout: how long to wait for a device to appear */
  guint container_pipe_size; /* agent.container_pipe_size: bytes, 0: PIPE_SIZE of process.c */
  gboolean devmode;          /* agent.devmode: crashes leave core files */
  gboolean debug_console;    /* agent.debug_console: a shell, on the console or */
  guint debug_console_vport; /* agent.debug_console_vport: on this vsock port; 0: none */
  guint log_vport;           /* agent.log_vport: log lines go to whoever connects there; 0: none */
  char *config_file;         /* agent.config_file: settings in a file of the guest; NULL: none */
  GPtrArray *warnings;       /* char *: what of all this makes no sense, or is not known; to be logged */
} AgentConfig;

AgentConfig *agent_config_new(void);
void agent_config_free(AgentConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentConfig, agent_config_free)

/* Takes what it knows from a kernel command line. A value that makes no sense leaves the default and gives a warning,
 * as does an option of agents that this one does not have. */
void agent_config_parse_cmdline(AgentConfig *config, const char *cmdline);

/* Takes the settings of a file: lines of "key = value" in TOML's form, keys as the parameters above without "agent.".
 * Unknown keys give a warning; what is no such file, or a value that makes no sense, is an error that names line and
 * key. */
gboolean agent_config_read_file(AgentConfig *config, const char *path, GError **error);

/* The last word: config->config_file, if there is one, then KATA_AGENT_SERVER_ADDR and KATA_AGENT_LOG_LEVEL of the
 * environment, which is for tests. */
gboolean agent_config_finish(AgentConfig *config, GError **error);

/* Once the log is open. */
void agent_config_log_warnings(const AgentConfig *config);
