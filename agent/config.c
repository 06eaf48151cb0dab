/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config.h"

#include <string.h>

/* Longest time a device may take to appear, in seconds: the longest an RPC of the host waits. */
#define HOTPLUG_TIMEOUT_MAX 60
/* What /proc/sys/fs/pipe-max-size allows a process without privileges. */
#define PIPE_SIZE_MAX (1u << 20)

AgentConfig *agent_config_new(void) {
  AgentConfig *config = g_new0(AgentConfig, 1);
  config->log_level = G_LOG_LEVEL_INFO;
  config->address = g_strdup(AGENT_DEFAULT_ADDRESS);
  config->hotplug_timeout_ms = 3000;
  return config;
}

void agent_config_free(AgentConfig *config) {
  if (!config) return;
  g_free(config->address);
  g_free(config);
}

static gboolean parse_number(const char *value, guint64 max, guint64 *ret_number) {
  return g_ascii_string_to_unsigned(value, 10, 0, max, ret_number, NULL);
}

static gboolean set_log_level(AgentConfig *config, const char *value) {
  static const struct {
    const char *name;
    GLogLevelFlags level;
  } levels[] = {
      {"trace", G_LOG_LEVEL_DEBUG},       {"debug", G_LOG_LEVEL_DEBUG},     {"info", G_LOG_LEVEL_INFO},
      {"warn", G_LOG_LEVEL_WARNING},      {"warning", G_LOG_LEVEL_WARNING}, {"error", G_LOG_LEVEL_CRITICAL},
      {"critical", G_LOG_LEVEL_CRITICAL}, {"fatal", G_LOG_LEVEL_CRITICAL},  {"panic", G_LOG_LEVEL_CRITICAL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(levels); i++)
    if (strcmp(value, levels[i].name) == 0) {
      config->log_level = levels[i].level;
      return TRUE;
    }
  return FALSE;
}

static gboolean set_address(AgentConfig *config, const char *value) {
  if (!g_str_has_prefix(value, "vsock://") && !g_str_has_prefix(value, "unix://")) return FALSE;
  g_free(config->address);
  config->address = g_strdup(value);
  return TRUE;
}

static gboolean set_hotplug_timeout(AgentConfig *config, const char *value) {
  guint64 seconds = 0;
  if (!parse_number(value, HOTPLUG_TIMEOUT_MAX, &seconds) || seconds == 0) return FALSE;
  config->hotplug_timeout_ms = (guint)seconds * 1000;
  return TRUE;
}

static gboolean set_pipe_size(AgentConfig *config, const char *value) {
  guint64 bytes = 0;
  if (!parse_number(value, PIPE_SIZE_MAX, &bytes)) return FALSE;
  config->container_pipe_size = (guint)bytes;
  return TRUE;
}

static const struct {
  const char *name;
  gboolean (*set)(AgentConfig *config, const char *value);
} parameters[] = {
    {"agent.log", set_log_level},
    {"agent.server_addr", set_address},
    {"agent.hotplug_timeout", set_hotplug_timeout},
    {"agent.container_pipe_size", set_pipe_size},
};

void agent_config_parse_cmdline(AgentConfig *config, const char *cmdline, char **ret_warnings) {
  g_auto(GStrv) words = g_strsplit_set(cmdline, " \t\n", -1);
  g_autoptr(GString) warnings = g_string_new(NULL);
  for (char **word = words; *word; word++) {
    const char *equals = strchr(*word, '=');
    if (!equals) continue;
    for (gsize i = 0; i < G_N_ELEMENTS(parameters); i++) {
      if (strlen(parameters[i].name) != (gsize)(equals - *word)) continue;
      if (strncmp(parameters[i].name, *word, (gsize)(equals - *word)) != 0) continue;
      if (!parameters[i].set(config, equals + 1))
        g_string_append_printf(warnings, "kernel parameter '%s': bad value, the default stays\n", *word);
    }
  }
  *ret_warnings = warnings->len > 0 ? g_strdup(warnings->str) : NULL;
}
