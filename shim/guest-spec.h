/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container's config.json as the guest gets it. Pure: nothing on the host is looked at. */
#pragma once

#include <glib.h>

#include "common/oci.h"
#include "shim/rootfs-layers.h"

/* The agent mounts the sandbox's share here (Kata agent protocol, storage driver virtio-fs). */
#define GUEST_SHARE_DIR "/run/kata-containers/shared/containers/"

/* What the containers of a sandbox have in common as /dev/shm, and where disks are mounted. */
#define GUEST_SHM_DIR "/run/kata-containers/sandbox/shm"
#define GUEST_STORAGE_DIR "/run/kata-containers/sandbox/storage/"

/* A file or directory of the host that must be shown in the share. */
typedef struct {
  char *host_path;
  char *name; /* below GUEST_SHARE_DIR */
  gboolean read_only;
  gboolean is_flat;     /* without what is mounted below */
  gboolean is_volume;   /* host_path is but the name of a direct-assigned volume: nothing need be there */
  char *fstype;         /* it is a disk to be mounted: its type, "" unknown; else NULL */
  char **options;       /* for that, or NULL */
  RootfsLayers *layers; /* the root file system is several disks, shares further down; else NULL */
} GuestShare;

void guest_share_free(GuestShare *share);

/* Changes spec in place: host paths become guest paths, what has no meaning in the guest goes; what somebody may miss
 * is named by a warning in the log (labels, network classes, weights of disks that are none of the guest's). bundle:
 * for relative paths. Returns an owned array of GuestShare, the root file system first; *ret_shares_pidns tells whether
 * the pid namespace shall be the sandbox's. Hooks of the host must be gone already. */
GPtrArray *guest_spec_rewrite(OciSpec *spec, const char *container_id, const char *bundle, gboolean *ret_shares_pidns,
                              GError **error);

/* Comes first, for a container that joins others: its ipc and uts namespaces are its own unless they have a path, as
 * Kubernetes and Podman give those of a pod. The first container's become the sandbox's. */
void guest_spec_keep_own(OciSpec *spec);

/* The part of it that "exec" has too. */
void guest_process_rewrite(const char *container_id, OciProcess *process);

/* The part of it that "update" takes too: CPUs and memory nodes by the host's numbers become the agent's to translate,
 * limits on block devices stay only for those in lin (NULL: none). resources may be NULL. */
void guest_resources_rewrite(const char *container_id, Grpc__LinuxResources *resources, const Grpc__Linux *lin);
