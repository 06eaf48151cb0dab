/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The context inside the library. */
#pragma once

#include <glib.h>

#include "kata/context.h"
#include "lib/settings.h"

struct kata_context {
  gatomicrefcount refs;
  char *root;
  char *config_file;
  gboolean config_chosen; /* by a caller or the environment: then the file must be there */
  char *owner;            /* the program */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_context, kata_context_unref)

/* What a new sandbox gets: defaults, the settings file, its drop-ins. */
kata_settings *context_load_settings(const kata_context *ctx, GError **error);

/* The same with sandboxes elsewhere. */
kata_context *context_copy_for_root(const kata_context *ctx, const char *root, GError **error);
