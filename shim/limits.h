/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps the limits of the sandbox's cgroup on the host in step with its containers' and the machine's size. */
#pragma once

#include "shim/sandbox.h"

/* It is the pod's own container, which the engine adds and which does nothing but hold the pod. */
gboolean limits_is_pods_own(const Kata__V1__ContainerInfo *info);

/* After a container was added, changed or removed, and the machine has grown as needed. */
void limits_follow(Sandbox *sandbox);
