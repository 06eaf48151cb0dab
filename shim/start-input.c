// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/start-input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "proto/shim-bootstrap.pb-c.h"
#include "proto/shim-runc-options.pb-c.h"

/* What is read from standard input (containerd's own shims: 10 MiB). */
#define INPUT_LIMIT (10u << 20)
#define DEFAULT_FILE KATA_SYSCONFDIR "/kata.conf"
#define LEVEL_DEBUG (-4)

static gboolean refuse(const char *what, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the runtime's options are %s", what);
  return FALSE;
}

/* ---- the options ---- */

/* The part after the last '/': some callers put a host's name before it. */
static const char *type_name(const Google__Protobuf__Any *any) {
  const char *slash = strrchr(any->type_url, '/');
  return slash != NULL ? slash + 1 : any->type_url;
}

static gboolean take_runc_options(StartInput *input, const Google__Protobuf__Any *any, GError **error) {
  Containerd__Runc__V1__Options *options = containerd__runc__v1__options__unpack(NULL, any->value.len, any->value.data);
  if (options == NULL) return refuse("not a containerd.runc.v1.Options, as their type says", error);
  if (*options->shim_cgroup != '\0') input->shim_cgroup = g_strdup(options->shim_cgroup);
  containerd__runc__v1__options__free_unpacked(options, NULL);
  return TRUE;
}

/* "cri.runtimeoptions.v1.Options" is what containerd before 1.3 called them. */
gboolean start_input_take_options(StartInput *input, const Google__Protobuf__Any *any, GError **error) {
  const char *type = type_name(any);
  if (*type == '\0' && any->value.len == 0) return TRUE;
  if (strcmp(type, "containerd.runc.v1.Options") == 0) return take_runc_options(input, any, error);
  if (!g_str_has_suffix(type, "runtimeoptions.v1.Options")) {
    g_autofree char *shown = error_clean_text(any->type_url);
    g_autofree char *what =
        g_strdup_printf("of the type '%s'; known are runtimeoptions.v1.Options and containerd.runc.v1.Options", shown);
    return refuse(what, error);
  }
  input->options = runtimeoptions__v1__options__unpack(NULL, any->value.len, any->value.data);
  return input->options != NULL || refuse("not a runtimeoptions.v1.Options, as their type says", error);
}

/* Of the extensions, those are looked at whose type is one of options. */
static gboolean take_bootstrap(StartInput *input, const Containerd__Runtime__Bootstrap__V1__BootstrapParams *params,
                               GError **error) {
  if (*params->containerd_ttrpc_address != '\0') input->ttrpc_address = g_strdup(params->containerd_ttrpc_address);
  input->debug = params->log_level <= LEVEL_DEBUG;
  for (size_t i = 0; i < params->n_extensions; i++) {
    Google__Protobuf__Any *any = params->extensions[i]->value;
    if (any == NULL || !g_str_has_suffix(any->type_url, ".Options")) continue;
    if (!start_input_take_options(input, any, error)) return FALSE;
    google__protobuf__any__free_unpacked(input->any, NULL);
    input->any = g_steal_pointer(&params->extensions[i]->value);
  }
  return TRUE;
}

/* Either message can be read as the other: the first field of one is a type, of the other the id. */
static gboolean is_bootstrap(const Containerd__Runtime__Bootstrap__V1__BootstrapParams *params, const char *id) {
  return params != NULL &&
         (g_strcmp0(params->instance_id, id) == 0 || params->log_level != 0 || *params->containerd_version != '\0' ||
          *params->containerd_ttrpc_address != '\0' || *params->containerd_grpc_address != '\0' ||
          *params->containerd_binary != '\0' || params->n_extensions > 0 || *params->socket_dir != '\0');
}

gboolean start_input_parse(StartInput *input, const guint8 *data, gsize length, const char *id, GError **error) {
  if (length == 0) return TRUE;
  Containerd__Runtime__Bootstrap__V1__BootstrapParams *params =
      containerd__runtime__bootstrap__v1__bootstrap_params__unpack(NULL, length, data);
  gboolean done = TRUE;
  if (is_bootstrap(params, id)) {
    done = take_bootstrap(input, params, error);
  } else {
    input->any = google__protobuf__any__unpack(NULL, length, data);
    done = input->any != NULL ? start_input_take_options(input, input->any, error)
                              : refuse("not a google.protobuf.Any", error);
  }
  if (params != NULL) containerd__runtime__bootstrap__v1__bootstrap_params__free_unpacked(params, NULL);
  return done;
}

gboolean start_input_read(StartInput *input, const char *id, GError **error) {
  if (isatty(STDIN_FILENO)) return TRUE;
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  guint8 buffer[4096];
  ssize_t got;
  while ((got = fd_read_all(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
    g_byte_array_append(bytes, buffer, (guint)got);
    if (bytes->len > INPUT_LIMIT) {
      g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "the options on standard input exceed %u bytes",
                  INPUT_LIMIT);
      return FALSE;
    }
  }
  return start_input_parse(input, bytes->data, bytes->len, id, error);
}

void start_input_clear(StartInput *input) {
  if (input->any != NULL) google__protobuf__any__free_unpacked(input->any, NULL);
  if (input->options != NULL) runtimeoptions__v1__options__free_unpacked(input->options, NULL);
  g_free(input->shim_cgroup);
  g_free(input->ttrpc_address);
  memset(input, 0, sizeof *input);
}

/* ---- the settings ---- */

static const char *choose_file(const StartInput *input, GError **error) {
  if (input->options != NULL && *input->options->config_path != '\0') return input->options->config_path;
  const char *named = getenv("KATA_CONF_FILE");
  if (named == NULL || *named == '\0') return DEFAULT_FILE;
  return safe_path_check(named, "KATA_CONF_FILE", error) ? named : NULL;
}

kata_settings *start_input_load_settings(const StartInput *input, GError **error) {
  g_autoptr(kata_settings) settings = settings_new();
  const char *path = choose_file(input, error);
  if (path == NULL || !settings_load_default(settings, path, strcmp(path, DEFAULT_FILE) != 0, error)) return NULL;
  if (input->options != NULL && input->options->config_body.len > 0 &&
      !settings_load_text(settings, (const char *)input->options->config_body.data, input->options->config_body.len,
                          "settings of the caller", error))
    return NULL;
  return g_steal_pointer(&settings);
}
