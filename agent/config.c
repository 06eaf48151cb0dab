/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config.h"

#include <string.h>

#include "common/error.h"
#include "common/safe-path.h"

/* Longest time a device may take to appear, in seconds: the longest an RPC of the host waits. */
#define HOTPLUG_TIMEOUT_MAX 60
/* What /proc/sys/fs/pipe-max-size allows a process without privileges. */
#define PIPE_SIZE_MAX (1u << 20)
#define CONFIG_FILE_MAX 65536
#define OPTION_PREFIX "agent."

AgentConfig *agent_config_new(void) {
  AgentConfig *config = g_new0(AgentConfig, 1);
  config->log_level = G_LOG_LEVEL_INFO;
  config->address = g_strdup(AGENT_DEFAULT_ADDRESS);
  config->hotplug_timeout_ms = 3000;
  config->warnings = g_ptr_array_new_with_free_func(g_free);
  return config;
}

void agent_config_free(AgentConfig *config) {
  if (!config) return;
  g_free(config->address);
  g_free(config->config_file);
  g_ptr_array_unref(config->warnings);
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

static gboolean parse_bool(const char *value, gboolean *ret_value) {
  gboolean is_true = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
  if (!is_true && strcmp(value, "false") != 0 && strcmp(value, "0") != 0) return FALSE;
  *ret_value = is_true;
  return TRUE;
}

static gboolean set_devmode(AgentConfig *config, const char *value) { return parse_bool(value, &config->devmode); }

static gboolean set_debug_console(AgentConfig *config, const char *value) {
  return parse_bool(value, &config->debug_console);
}

static gboolean set_port(guint *port, const char *value) {
  guint64 number = 0;
  if (!parse_number(value, G_MAXUINT32 - 1, &number)) return FALSE;
  *port = (guint)number;
  return TRUE;
}

static gboolean set_debug_console_vport(AgentConfig *config, const char *value) {
  return set_port(&config->debug_console_vport, value);
}

static gboolean set_log_vport(AgentConfig *config, const char *value) { return set_port(&config->log_vport, value); }

static gboolean set_config_file(AgentConfig *config, const char *value) {
  if (*value != '/') return FALSE;
  g_free(config->config_file);
  config->config_file = g_strdup(value);
  return TRUE;
}

typedef gboolean (*SetFunc)(AgentConfig *config, const char *value);

static const struct {
  const char *name;
  SetFunc set;
  const char *bare; /* its value when it stands alone; NULL: it cannot */
} parameters[] = {
    {"agent.log", set_log_level},
    {"agent.server_addr", set_address},
    {"agent.hotplug_timeout", set_hotplug_timeout},
    {"agent.container_pipe_size", set_pipe_size},
    {"agent.devmode", set_devmode, "true"},
    {"agent.debug_console", set_debug_console, "true"},
    {"agent.debug_console_vport", set_debug_console_vport},
    {"agent.log_vport", set_log_vport},
    {"agent.config_file", set_config_file},
};

typedef enum { OPTION_SET, OPTION_BAD, OPTION_UNKNOWN } OptionResult;

/* value: NULL where there is none. */
static OptionResult set_parameter(AgentConfig *config, const char *name, const char *value) {
  for (gsize i = 0; i < G_N_ELEMENTS(parameters); i++) {
    if (strcmp(parameters[i].name, name) != 0) continue;
    if (!value) value = parameters[i].bare;
    return value && parameters[i].set(config, value) ? OPTION_SET : OPTION_BAD;
  }
  return OPTION_UNKNOWN;
}

static void warn_of_unknown(AgentConfig *config, const char *what, const char *name) {
  g_autofree char *shown = error_clean_text(name);
  g_ptr_array_add(config->warnings, g_strdup_printf("%s '%s': this agent has no such option", what, shown));
}

/* Those without "agent." are the kernel's and others'. */
static void parse_word(AgentConfig *config, const char *word) {
  const char *equals = strchr(word, '=');
  g_autofree char *name = equals ? g_strndup(word, (gsize)(equals - word)) : g_strdup(word);
  OptionResult result = set_parameter(config, name, equals ? equals + 1 : NULL);
  if (result == OPTION_UNKNOWN && g_str_has_prefix(name, OPTION_PREFIX)) {
    warn_of_unknown(config, "kernel parameter", name);
  } else if (result == OPTION_BAD) {
    g_autofree char *shown = error_clean_text(word);
    g_ptr_array_add(config->warnings, g_strdup_printf("kernel parameter '%s': bad value, the default stays", shown));
  }
}

void agent_config_parse_cmdline(AgentConfig *config, const char *cmdline) {
  g_auto(GStrv) words = g_strsplit_set(cmdline, " \t\n", -1);
  for (char **word = words; *word; word++) parse_word(config, *word);
}

/* ---- the file ---- */

/* A string in quotes without escapes, or a word. NULL: neither. */
static char *read_value(char *text) {
  g_strstrip(text);
  if (*text == '"' || *text == '\'') {
    const char *end = strchr(text + 1, *text);
    const char *rest = end ? end + 1 + strspn(end + 1, " \t") : NULL;
    if (!rest || (*rest && *rest != '#') || memchr(text, '\\', (gsize)(end - text))) return NULL;
    return g_strndup(text + 1, (gsize)(end - text - 1));
  }
  g_autofree char *word = g_strchomp(g_strndup(text, strcspn(text, "#")));
  return *word && !strpbrk(word, " \t[]{},") ? g_steal_pointer(&word) : NULL;
}

static gboolean read_line(AgentConfig *config, char *line, GString *problem) {
  g_strstrip(line);
  if (!*line || *line == '#') return TRUE;
  char *equals = strchr(line, '=');
  if (!equals) {
    g_string_assign(problem, "is not 'key = value'");
    return FALSE;
  }
  *equals = '\0';
  g_strchomp(line);
  g_autofree char *value = read_value(equals + 1);
  /* Upstream's names in the file for what it calls otherwise on the command line. */
  const char *key = strcmp(line, "log_level") == 0 ? "log" : strcmp(line, "dev_mode") == 0 ? "devmode" : line;
  g_autofree char *name = g_strconcat(OPTION_PREFIX, key, NULL);
  OptionResult result = value ? set_parameter(config, name, value) : OPTION_BAD;
  if (result == OPTION_UNKNOWN) warn_of_unknown(config, "agent.config_file: key", line);
  if (result != OPTION_BAD) return TRUE;
  g_autofree char *shown = error_clean_text(line);
  g_string_printf(problem, "%s: bad value", shown);
  return FALSE;
}

gboolean agent_config_read_file(AgentConfig *config, const char *path, GError **error) {
  g_autoptr(GError) why = NULL;
  g_autofree char *text = safe_read_file(path, CONFIG_FILE_MAX, NULL, &why);
  if (!text) {
    g_set_error(error, KATA_ERROR, error_get_code(why), "agent.config_file: %s", why->message);
    return FALSE;
  }
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_autoptr(GString) problem = g_string_new(NULL);
  for (guint i = 0; lines[i]; i++) {
    if (read_line(config, lines[i], problem)) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "agent.config_file '%s': line %u %s", path, i + 1,
                problem->str);
    return FALSE;
  }
  return TRUE;
}

gboolean agent_config_finish(AgentConfig *config, GError **error) {
  static const char *const variables[][2] = {{"KATA_AGENT_SERVER_ADDR", "agent.server_addr"},
                                             {"KATA_AGENT_LOG_LEVEL", "agent.log"}};
  g_autofree char *path = g_strdup(config->config_file);
  if (path && !agent_config_read_file(config, path, error)) return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS(variables); i++) {
    const char *value = g_getenv(variables[i][0]);
    if (!value || set_parameter(config, variables[i][1], value) == OPTION_SET) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "environment variable %s: bad value '%s'",
                variables[i][0], value);
    return FALSE;
  }
  return TRUE;
}

void agent_config_log_warnings(const AgentConfig *config) {
  for (guint i = 0; i < config->warnings->len; i++) g_warning("%s", (const char *)config->warnings->pdata[i]);
}
