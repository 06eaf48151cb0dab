// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/options.h"

#include <string.h>

#include "common/error.h"

typedef struct {
  const char *name;
  gsize offset;
  gboolean is_switch;
  gboolean ignored; /* containerd passes it, we have no use for it */
  const char *help;
} Flag;

static const Flag flags[] = {
    {"namespace", G_STRUCT_OFFSET(ShimOptions, namespace_), FALSE, FALSE, "containerd namespace of the sandbox"},
    {"id", G_STRUCT_OFFSET(ShimOptions, id), FALSE, FALSE, "id of the sandbox"},
    {"bundle", G_STRUCT_OFFSET(ShimOptions, bundle), FALSE, FALSE, "bundle directory (delete)"},
    {"address", G_STRUCT_OFFSET(ShimOptions, address), FALSE, FALSE, "containerd's socket"},
    {"publish-binary", 0, FALSE, TRUE, "accepted, not used: events go over ttRPC"},
    {"socket", 0, FALSE, TRUE, "accepted, not used: the socket is inherited"},
    {"debug-socket", 0, FALSE, TRUE, "accepted, not used"},
    {"root", G_STRUCT_OFFSET(ShimOptions, root), FALSE, FALSE, "directory of all sandboxes [/run/kata]"},
    {"adopt", G_STRUCT_OFFSET(ShimOptions, adopt), TRUE, FALSE, "start: take over a guest whose owner is gone"},
    {"debug", G_STRUCT_OFFSET(ShimOptions, debug), TRUE, FALSE, "log debug lines"},
    {"warm-cache", G_STRUCT_OFFSET(ShimOptions, warm_cache), TRUE, FALSE, "fill libvirt's capability cache and end"},
    {"info", G_STRUCT_OFFSET(ShimOptions, info), TRUE, FALSE, "print what the runtime is (protobuf)"},
    {"template", G_STRUCT_OFFSET(ShimOptions, template_), FALSE, FALSE, "create, list or remove saved guests and end"},
    {"pool", G_STRUCT_OFFSET(ShimOptions, pool), FALSE, FALSE, "create, list or remove guests that stand by and end"},
    {"config", G_STRUCT_OFFSET(ShimOptions, config), FALSE, FALSE, "settings file for -template and -pool"},
    {"v", G_STRUCT_OFFSET(ShimOptions, version), TRUE, FALSE, "print the version"},
    {"version", G_STRUCT_OFFSET(ShimOptions, version), TRUE, FALSE, "print the version"},
    {"h", G_STRUCT_OFFSET(ShimOptions, help), TRUE, FALSE, "print this text"},
    {"help", G_STRUCT_OFFSET(ShimOptions, help), TRUE, FALSE, "print this text"},
};

static const Flag *find_flag(const char *name, gsize length) {
  for (guint i = 0; i < G_N_ELEMENTS(flags); i++)
    if (strlen(flags[i].name) == length && strncmp(flags[i].name, name, length) == 0) return &flags[i];
  return NULL;
}

static gboolean parse_switch(const char *flag, const char *value, gboolean *ret, GError **error) {
  static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", NULL};
  static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", NULL};
  if (value != NULL && !g_strv_contains(yes, value) && !g_strv_contains(no, value)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "flag '%s': '%s' is neither true nor false", flag, value);
    return FALSE;
  }
  *ret = value == NULL || g_strv_contains(yes, value);
  return TRUE;
}

gboolean shim_options_parse(ShimOptions *options, int argc, char **argv, GError **error) {
  int i = 1;
  for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
    const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1);
    if (*name == '\0') { /* "--" ends the flags */
      i++;
      break;
    }
    const char *equals = strchr(name, '=');
    const Flag *flag = find_flag(name, equals != NULL ? (gsize)(equals - name) : strlen(name));
    if (flag == NULL) {
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "unknown flag '%s'; -help lists those known", argv[i]);
      return FALSE;
    }
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (flag->is_switch) {
      if (!parse_switch(argv[i], value, G_STRUCT_MEMBER_P(options, flag->offset), error)) return FALSE;
      continue;
    }
    if (value == NULL) {
      if (i + 1 >= argc) {
        g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "flag '%s' needs a value", argv[i]);
        return FALSE;
      }
      value = argv[++i];
    }
    if (flag->ignored) continue;
    char **target = G_STRUCT_MEMBER_P(options, flag->offset);
    g_free(*target);
    *target = g_strdup(value);
  }
  if (i < argc) options->action = g_strdup(argv[i++]);
  if (i < argc) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "unexpected argument '%s' after '%s'", argv[i],
                options->action);
    return FALSE;
  }
  return TRUE;
}

void shim_options_clear(ShimOptions *options) {
  g_free(options->namespace_);
  g_free(options->id);
  g_free(options->bundle);
  g_free(options->address);
  g_free(options->root);
  g_free(options->template_);
  g_free(options->pool);
  g_free(options->config);
  g_free(options->action);
  memset(options, 0, sizeof *options);
}

const char *shim_options_help(void) {
  static GString *text;
  if (text != NULL) return text->str;
  text = g_string_new(
      "usage: containerd-shim-kata-v2 [flags] start | delete\n"
      "Owns one sandbox: its virtual machine and the containers in it. containerd and libkata start it.\n\nflags:\n");
  for (guint i = 0; i < G_N_ELEMENTS(flags); i++)
    g_string_append_printf(text, "  -%-16s %s\n", flags[i].name, flags[i].help);
  return text->str;
}
