/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the OCI document the host sends to the one crun gets. */
#pragma once

#include <glib.h>

#include "agent/spec-resources.h"
#include "common/oci.h"

typedef struct {
  const char *container_id;
  /* Where the root file system is mounted. */
  const char *rootfs;
  /* The namespaces that all containers of the sandbox are in. */
  const char *ipc_path;
  const char *uts_path;
  const char *network_path;
  /* NULL: a pid namespace of its own. */
  const char *pid_path;
  SpecKernel kernel;
} SpecPlace;

/* Refuses what no container can be made of (no process, no root, paths that are not absolute), and what is asked for
 * and cannot be had in this guest. */
gboolean spec_check(const OciSpec *spec, GError **error);

/* A copy without an AppArmor profile that this kernel cannot apply, which is said in the log. NULL: attributes that do
 * not exist, or an SELinux label without SELinux. */
OciProcess *spec_prepare_process(const OciProcess *process, GError **error);

/* A copy, changed: root, namespaces, cgroup, limits, labels, and the hooks that are not run here. */
OciSpec *spec_prepare(const OciSpec *spec, const SpecPlace *place, GError **error);

/* The path of the container's cgroup below the root of the hierarchy: starts with '/', no ".." in it.
 * "slice:prefix:name" stands for slice/prefix/name; empty for the container's id. */
char *spec_get_cgroup_path(const OciSpec *spec, const char *container_id, GError **error);

/* Whether the container has a namespace of this type that is not the sandbox's. */
gboolean spec_has_own(const OciSpec *spec, const char *type);
