/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shim/sandbox.h"

/* Removes a container that has ended, or has never run, from guest and host, and runs its poststop hooks.
 * peer: as for container_create(); 0: none. */
gboolean container_delete(Sandbox *sandbox, Container *container, pid_t peer, GError **error);
