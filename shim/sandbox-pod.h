/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pods that no container begins: what a CRI plugin says of them with CreateSandbox (sandboxer = "shim"), where it
 * otherwise describes a container of the pod's own.
 */
#pragma once

#include "proto/google-protobuf.pb-c.h"
#include "shim/sandbox.h"

/* The options of CreateSandbox, for a sandbox that has not started: hostname, name servers, resources, sysctls. Other
 * options than a runtime.v1.PodSandboxConfig: nothing happens. */
gboolean sandbox_pod_take(Sandbox *sandbox, const Google__Protobuf__Any *options, GError **error);

/* The owner, and what it starts from now on, is in the cgroup that the options named, as with the first container's. */
gboolean sandbox_pod_join_cgroup(Sandbox *sandbox, GError **error);

/* What its containers may use together, by that; all 0: it does not say. */
VmDemand sandbox_pod_get_demand(const Sandbox *sandbox);

/* A container's document gets the pod's sysctls, which are of namespaces that all of them share; its own come first. */
void sandbox_pod_add_sysctls(const Sandbox *sandbox, OciSpec *spec);
