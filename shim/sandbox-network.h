/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which network namespace a sandbox's guest is connected to. */
#pragma once

#include "common/oci.h"
#include "shim/sandbox.h"

/* What config.json says: the path of its network namespace, "" for one of its own; NULL with KATA_ERR_UNSUPPORTED if
 * it wants the host's. To be freed with g_free(). */
char *sandbox_network_read(const OciSpec *spec, GError **error);

/* Chooses the namespace at path as process peer sees it, or for "" the one of host_pid, the container's process on the
 * host, if that has one of its own. The first choice holds: KATA_ERR_INVALID_ARGUMENT for another path afterwards. */
gboolean sandbox_network_choose(Sandbox *sandbox, const char *path, pid_t peer, guint32 host_pid, GError **error);

/* net_serve_dns() with what the resolv.conf of its first container says now; it is the containers' to change. */
gboolean sandbox_network_serve_dns(Sandbox *sandbox);
