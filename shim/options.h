/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of containerd-shim-kata-v2 (containerd's shim v2 contract, and what libkata adds). */
#pragma once

#include <glib.h>

typedef struct {
  char *namespace_;
  char *id;
  char *bundle;
  char *address; /* containerd's socket; empty when libkata starts us */
  char *root;
  gboolean adopt;
  gboolean debug;
  gboolean version;
  gboolean info;
  gboolean help;
  gboolean warm_cache;
  char *template_; /* "create", "list", "remove", "background" */
  char *pool;      /* likewise */
  char *config;    /* with these two: the settings file, "-": on standard input */
  char *action;    /* "start", "delete", or NULL */
} ShimOptions;

/* Go's flag syntax: one dash or two, "-name value" or "-name=value", flags before the action. */
gboolean shim_options_parse(ShimOptions *options, int argc, char **argv, GError **error);
void shim_options_clear(ShimOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ShimOptions, shim_options_clear)

const char *shim_options_help(void);
