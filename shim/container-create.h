/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a bundle to a container that waits in the guest for its start. */
#pragma once

#include "proto/shim-task.pb-c.h"
#include "shim/sandbox.h"

/* peer: the caller's process, whose view of the file system names the bundle. Starts the sandbox if it has not been
 * started. On failure nothing of the container is left. */
gboolean container_create(Sandbox *sandbox, const Containerd__Task__V2__CreateTaskRequest *request, pid_t peer,
                          GError **error);

/* Removes a container that has ended, or has never run, from guest and host, and runs its poststop hooks.
 * peer: as above; 0: none. */
gboolean container_delete(Sandbox *sandbox, Container *container, pid_t peer, GError **error);
