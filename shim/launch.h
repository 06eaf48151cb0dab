/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A sandbox's start as a list of steps, each with its undo. */
#pragma once

#include "shim/sandbox.h"

/* On failure every step that was done has been undone. */
gboolean launch_run(Sandbox *sandbox, GError **error);

/* Finds the parts of a running sandbox that an earlier owner left: machine, network, share, agent. */
gboolean launch_adopt(Sandbox *sandbox, const Kata__V1__SandboxState *state, GError **error);
