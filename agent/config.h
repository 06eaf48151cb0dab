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
  guint container_pipe_size; /* agent.container_pipe_size: bytes, 0: the kernel's default */
} AgentConfig;

AgentConfig *agent_config_new(void);
void agent_config_free(AgentConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentConfig, agent_config_free)

/* Takes what it knows from a kernel command line. A value that makes no sense
 * leaves the default and is named in *ret_warnings (lines; NULL if there are
 * none), which is the caller's. */
void agent_config_parse_cmdline(AgentConfig *config, const char *cmdline, char **ret_warnings);
