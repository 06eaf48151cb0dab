/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Root file systems that containerd gives as mounts (CreateTaskRequest.rootfs). They are made at BUNDLE/rootfs in the
 * owner's own mount namespace, and only until the guest's share has a copy of them: neither a container's nor the
 * owner's end leaves any on the host.
 */
#pragma once

#include <glib.h>

#include "proto/shim-types.pb-c.h"

#define ROOTFS_DIRECTORY "rootfs" /* below the bundle; made if it is not there */

/* Makes the mounts in their order, at BUNDLE/rootfs or its place "target". On failure none is left. */
gboolean rootfs_mount(const char *bundle, Containerd__Types__Mount *const *mounts, gsize n_mounts, GError **error);

/* Takes them away again, with whatever is mounted below. None there: nothing happens. */
void rootfs_unmount(const char *bundle, gsize n_mounts);

/* Overlay data too long for mount(2), said as seen from a directory that all lower layers share. Pure.
 * *ret_directory: where mount(2) must be called from, NULL: anywhere. */
char *rootfs_shorten_overlay(const char *data, char **ret_directory);
