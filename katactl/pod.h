/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which sandbox a container belongs into: one of its own, or another container's. */
#pragma once

#include <glib.h>

#include "app.h"
#include "common/oci.h"

/* The id of the sandbox that runs already and that the container joins: the one its annotations name (containerd's,
 * CRI-O's and dockershim's keys), else the one that is connected to the network namespace config.json names. NULL
 * without an error: one of its own, which is refused if it is to share other namespaces with a container. To be freed
 * with g_free(). */
char *pod_find_sandbox(App *app, const OciSpec *spec, GError **error);
