/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How what a container has on the host gets into the guest: as a tree of the shared directory, as a disk with a file
 * system, as a bare block device, as a copy where nothing is shared, or as something the guest has itself.
 */
#pragma once

#include <glib.h>

#include "common/oci.h"
#include "proto/agent.pb-c.h"
#include "proto/shim-types.pb-c.h"
#include "shim/sandbox.h"

/* A name in the share that is no container's: where the guest has its copies of files that are watched. */
#define VOLUMES_WATCHABLE "watchable"

typedef struct Volumes Volumes;

/* *ret_taken: whether the root file system that containerd gives as mounts is plugged into the guest: then the first of
 * shares is changed, and each layer appended to them, so that volumes_plan() knows. FALSE: it has to be mounted on the
 * host. An error: neither can be done. */
gboolean volumes_take_rootfs(const Sandbox *sandbox, GPtrArray *shares, Containerd__Types__Mount *const *mounts,
                             gsize n_mounts, gboolean *ret_taken, GError **error);

/* Looks at each of shares (GuestShare, the root file system first), whose trees (descriptors, in the same order) are
 * opened, and chooses. All of them, and spec, remain the caller's, unchanged so far, and must outlive the result.
 * peer: whose mounts the paths are. A container that cannot be made is refused here, before a guest is started. */
Volumes *volumes_plan(Sandbox *sandbox, const char *container_id, pid_t peer, OciSpec *spec, GPtrArray *shares,
                      GArray *trees, GError **error);
void volumes_free(Volumes *volumes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Volumes, volumes_free)

/* Whether the root file system is a tree of the host, in which mount points can be made. */
gboolean volumes_root_is_tree(const Volumes *volumes);

/* Shows them to the running guest, takes what is shown from trees, and completes spec and request. The request must not
 * outlive volumes. On failure volumes_hide() is due too. */
gboolean volumes_show(Volumes *volumes, Grpc__CreateContainerRequest *request, GError **error);
/* Instead, for a guest that is restored: puts the disks of a saved container into their ports, in the order they were
 * plugged in. volumes_hide() is due on failure. */
gboolean volumes_prepare_disks(Volumes *volumes, const Kata__V1__ContainerState *saved, Disks *disks, GError **error);
/* Goes on with the copies it has. */
void volumes_resume_copies(Volumes *volumes, const Kata__V1__ContainerState *saved);
/* Takes everything back. */
void volumes_hide(Volumes *volumes);
/* Hands over to the container what its removal takes back. */
void volumes_give(Volumes *volumes, Container *container);

/* A container's end: nothing of it is shown to the guest, or plugged into it, any more. */
void volumes_release(Sandbox *sandbox, Container *container);

/* A disk that the guest has at guest_path is told the size it has on the host now; nothing there: success. */
gboolean volumes_update_size(Sandbox *sandbox, const char *guest_path, GError **error);

/* Follows the mounts of the host below volumes that are to have them, after a take-over as well; none: nothing. */
void volumes_follow_mounts(Sandbox *sandbox);

/* Looks from now on whether what was copied has changed. */
void volumes_watch_copies(Sandbox *sandbox);
