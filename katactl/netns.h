/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The network namespace of the process that stands for a container on the host. Engines find it through that process's
 * pid and put interfaces into it; the owner connects the guest to those.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "common/oci.h"

/* Moves the calling thread into the namespace that config.json names, or into a new one whose loopback device is up;
 * stays where it is if config.json has no network entry. Processes forked and threads made afterwards are there too.
 * *ret_before: for netns_leave(). */
gboolean netns_enter(const OciSpec *spec, int *ret_before, GError **error);

/* The same for the namespace that process pid is in; stays where it is if that process is gone. */
void netns_enter_of(pid_t pid, int *ret_before);

/* Moves the calling thread back, and closes *before; without effect on -1. */
void netns_leave(int *before);
