/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps the limits of the sandbox's cgroup on the host in step with its containers' and the machine's size. */
#pragma once

#include "shim/sandbox.h"

/* After a container was added, changed or removed, and the machine has grown as needed. */
void limits_follow(Sandbox *sandbox);
