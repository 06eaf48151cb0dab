/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program's actions, each with its exit status. */
#pragma once

#include <glib.h>

#include "shim/options.h"

/* Makes a sandbox's directory and socket, leaves its owner running and prints the owner's address. */
int action_start(const ShimOptions *options);

/* Removes what is left of a container, and of its sandbox unless an owner lives who has others; prints a containerd
 * DeleteResponse and nothing else. */
int action_delete(const ShimOptions *options);

/* Fills libvirt's capability cache. */
int action_warm_cache(const ShimOptions *options);

/* Prints an error: the message, which containerd shows to its user; for libkata its code too, in the last line.
 * Returns 1. */
int action_report(const ShimOptions *options, const GError *error);

/* Prints what the runtime is, as a containerd RuntimeInfo. */
int action_info(const ShimOptions *options);

/* The directory of all sandboxes: the option's, else that of the caller's kind. */
char *start_get_root(const ShimOptions *options);
gboolean start_check_options(const ShimOptions *options, const char *root, GError **error);
