/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a container's id to its sandbox: the links below $ROOT/c. */
#pragma once

#include <glib.h>

#include "lib/context.h"

/* The id of the sandbox that holds the container now, or NULL. A link that leads nowhere, and a
 * sandbox that is dead, are cleared away: then it is KATA_ERR_NOT_FOUND. */
char *container_find_sandbox(const kata_context *ctx, const char *id, GError **error);

/* The ids of all containers, sorted. */
char **container_find_all(const kata_context *ctx, GError **error);
