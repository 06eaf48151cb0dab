/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program's actions, each with its exit status. */
#pragma once

#include <glib.h>

#include "shim/options.h"

/* Makes a sandbox's directory and socket, leaves its owner running and prints the owner's address. */
int action_start(const ShimOptions *options);

/* Removes what is left of a sandbox and prints a containerd DeleteResponse. */
int action_delete(const ShimOptions *options);

/* Fills libvirt's capability cache. */
int action_warm_cache(void);

/* Prints an error as libkata and containerd read it: message, detail, and its code in the last line. Returns 1. */
int action_report(const GError *error);
