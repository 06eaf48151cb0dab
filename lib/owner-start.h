/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the owner program's "start": it leaves the owner behind it, or says why it cannot. */
#pragma once

#include "lib/context.h"

/* adopt: for a sandbox whose owner is gone: takes a running guest over; if there is none, removes what
 * is left and fails with KATA_ERR_NOT_FOUND. */
gboolean owner_start_program(const kata_context *ctx, const char *sandbox_id, const kata_settings *overrides,
                             gboolean adopt, GError **error);
