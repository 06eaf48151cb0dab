/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state.json of a sandbox; nothing else writes state. */
#pragma once

#include <glib.h>

#include "proto/kata-state.pb-c.h"
#include "shim/sandbox.h"

/* Replaces the file by what is so now. A sandbox whose directory is gone is not written. */
gboolean store_save(Sandbox *sandbox, GError **error);

/* What it would write; free with store_state_free(). */
Kata__V1__SandboxState *store_describe(Sandbox *sandbox);

static inline void store_state_free(Kata__V1__SandboxState *state) {
  if (state != NULL) kata__v1__sandbox_state__free_unpacked(state, NULL);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kata__V1__SandboxState, store_state_free)

/* The settings it was made with, for an owner that takes it over. */
gboolean store_save_settings(const Sandbox *sandbox, GError **error);
kata_settings *store_load_settings(const char *sandbox_dir, GError **error);

/* Free with store_state_free(). KATA_ERR_NOT_FOUND: there is none; KATA_ERR_UNSUPPORTED: a newer
 * version wrote it; KATA_ERR_INVALID_ARGUMENT: it is damaged. */
Kata__V1__SandboxState *store_load(const char *sandbox_dir, GError **error);
