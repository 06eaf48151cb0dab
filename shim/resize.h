/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine's size and what the containers ask for. With the setting static_sandbox_resource_mgmt the machine gets
 * what the first container (or the pod it begins) asks for on top of its default size, and stays so; without it, it
 * begins at its default size and CPUs and memory are plugged in as containers come or their limits are raised.
 */
#pragma once

#include <glib.h>

#include "lib/vm-config.h"
#include "shim/sandbox.h"

/* Decides on the machine's size at its start; the first call's decision stays. */
void resize_decide(Sandbox *sandbox, VmConfig *config);

/* Returns what a container asked for until now; demand: from now on, NULL: no change. */
VmDemand resize_exchange_demand(Sandbox *sandbox, Container *container, const VmDemand *demand);

/* Lets a running machine grow to a size, in which 0 is as it is; *size: what it has then. */
gboolean resize_to(Sandbox *sandbox, VmSize *size, GError **error);

/* Lets a running machine grow to what its containers ask for, and one more that is being made (extra and extra_demand,
 * or NULL both). It never shrinks. With static sizes: nothing to do. */
gboolean resize_follow(Sandbox *sandbox, const Kata__V1__ContainerInfo *extra, const VmDemand *extra_demand,
                       GError **error);
