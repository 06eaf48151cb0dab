/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Direct-assigned volumes: block devices that are left for guests to mount, for CSI drivers. */
#ifndef KATA_DIRECT_VOLUME_H
#define KATA_DIRECT_VOLUME_H

#include <kata/context.h>
#include <kata/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_direct_volume_add: leaves a block device for guests to mount wherever a container has a bind mount of a path. It
 * replaces what was left for that path. Nobody looks at the device before a container wants it. All contexts of a host
 * see the same volumes.
 * @ctx: the context.
 * @volume_path: where the volume is published on the host, the source of the bind mount; absolute, at most 189 bytes.
 * @mount_info_json: {"volume-type": "block", "device": "/dev/sdf", "fstype": "ext4", "options": ["noatime"],
 * "metadata": {"fsGroup": "3000", "fsGroupChangePolicy": "OnRootMismatch"}}, of which only the device must be there.
 * @flags: 0.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_INVALID_ARGUMENT naming the member; KATA_ERR_UNSUPPORTED for a type or metadata that guests do not
 * know; KATA_ERR_PERMISSION_DENIED. Since: 0.1
 */
int kata_direct_volume_add(kata_context *ctx, const char *volume_path, const char *mount_info_json, uint32_t flags,
                           kata_error **err);

/**
 * kata_direct_volume_remove: takes back what was left for a path; guests that have it mounted keep it. Nothing left
 * there: success.
 * @ctx: the context.
 * @volume_path: as for kata_direct_volume_add().
 * @flags: 0.
 * Returns: 0 or -1. Errors: KATA_ERR_INVALID_ARGUMENT, KATA_ERR_PERMISSION_DENIED. Since: 0.1
 */
int kata_direct_volume_remove(kata_context *ctx, const char *volume_path, uint32_t flags, kata_error **err);

/**
 * kata_direct_volume_list: the volumes that have been left.
 * @ctx: the context.
 * @flags: 0.
 * Returns: JSON, an array of {"volume_path", "mount_info": the object that was given, "users": an array of {"sandbox",
 * "root"}: ids of sandboxes that have it, and the root directory each lives below}, sorted by the paths' bytes, to be
 * released with kata_free(), or NULL. Errors: KATA_ERR_PERMISSION_DENIED. Since: 0.1
 */
char *kata_direct_volume_list(kata_context *ctx, uint32_t flags, kata_error **err);

/**
 * kata_direct_volume_resize: after the device has grown on the host: lets the guest's file system on it (ext4, XFS)
 * have that size. The sandbox that has it is found, below whatever root it lives.
 * @ctx: the context.
 * @volume_path: as for kata_direct_volume_add().
 * @bytes: the size that the device has by now.
 * @flags: 0.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_NOT_FOUND when no running sandbox has it; KATA_ERR_INVALID_ARGUMENT, also for a size that is not
 * the device's; what the guest's agent answered. Since: 0.1
 */
int kata_direct_volume_resize(kata_context *ctx, const char *volume_path, uint64_t bytes, uint32_t flags,
                              kata_error **err);

/**
 * kata_direct_volume_get_stats: how full a volume is, as the guest that has it sees it.
 * @ctx: the context.
 * @volume_path: as for kata_direct_volume_add().
 * @flags: 0.
 * Returns: JSON, the members of CSI's NodeGetVolumeStatsResponse: {"usage": an array of {"available", "total", "used",
 * "unit": 1 for bytes, 2 for inodes}, "volume_condition": {"abnormal", "message"}}, to be released with kata_free(), or
 * NULL. Errors: as for kata_direct_volume_resize(). Since: 0.1
 */
char *kata_direct_volume_get_stats(kata_context *ctx, const char *volume_path, uint32_t flags, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
