/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sandbox handle inside the library: a name. */
#pragma once

#include <glib.h>

#include "kata/sandbox.h"
#include "lib/context.h"

struct kata_sandbox {
  gatomicrefcount refs;
  kata_context *ctx;
  char *id;
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_sandbox, kata_sandbox_unref)

kata_sandbox *sandbox_handle_new(kata_context *ctx, const char *id);

/* Tells the owner to end, and waits until all of the sandbox is gone from the host. */
gboolean sandbox_shut_down(const kata_context *ctx, const char *id, GError **error);

/* kata_sandbox_call_agent(), its arguments checked. */
gboolean sandbox_call_agent(const kata_sandbox *sandbox, const char *method, const char *request_json,
                            gint64 timeout_ms, char **ret_reply_json, GError **error);
