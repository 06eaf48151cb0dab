/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one container has mounted, shown to another: a file system that a sidecar serves (FUSE), for example. */
#pragma once

#include "agent/container.h"

/* Mounts one request may name. */
#define SHARED_MOUNTS_MAX 64

/* The name by which others may speak of a container, the caller's; NULL: it has only its id. */
char *shared_mounts_get_name(const OciSpec *spec);

/* What can be said before the container is made. */
gboolean shared_mounts_check(const Grpc__CreateContainerRequest *request, GError **error);

/* Copies the mounts into a container whose first process waits for its start; request must stay until func is called,
 * once, from the main loop or at once. */
void shared_mounts_start(Container *container, const Grpc__CreateContainerRequest *request, ContainerFunc func,
                         gpointer user_data);
