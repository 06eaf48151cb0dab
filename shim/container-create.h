/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a bundle to a container that waits in the guest for its start. */
#pragma once

#include "proto/shim-task.pb-c.h"
#include "shim/sandbox.h"

/* peer: the caller's process, whose view of the file system names the bundle. Starts the sandbox if it has not been
 * started. On failure nothing of the container is left. */
gboolean container_create(Sandbox *sandbox, const Containerd__Task__V2__CreateTaskRequest *request, pid_t peer,
                          GError **error);
