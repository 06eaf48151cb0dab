/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The owner's life: from its socket to the end of its sandbox. */
#pragma once

#include "proto/kata-state.pb-c.h"
#include "shim/sandbox.h"

/* Runs until the sandbox is removed. listen_fd: consumed. state: what an earlier owner left, or NULL for a new sandbox.
 */
int serve(Sandbox *sandbox, int listen_fd, const Kata__V1__SandboxState *state);
