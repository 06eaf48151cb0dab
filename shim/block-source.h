/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk of the host, or a file that holds one, as long as a guest has it. One that is written belongs to one user
 * alone: the kernel then refuses to mount it on the host, and another guest does not get it. Readers may be many, as
 * long as nobody writes.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct BlockSource BlockSource;

/* fd: opened (O_PATH suffices) block device or regular file, remains the caller's; -1: the block device of number
 * device. shown: its name for errors.
 * node_path: where a device node is made that QEMU's user may open, and that goes with the source; its directory may
 * not be mounted with "nodev". A file gets a loop device, which the kernel takes away after its last user.
 * KATA_ERR_INVALID_STATE: it is used in a way that excludes this one. */
BlockSource *block_source_new(int fd, dev_t device, const char *shown, const char *node_path, gboolean read_only,
                              GError **error);

/* The same from what an earlier owner noted; its node is there. */
BlockSource *block_source_adopt(const char *lock_name, const char *shown, const char *node_path, gboolean read_only,
                                GError **error);
void block_source_free(BlockSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockSource, block_source_free)

const char *block_source_get_node(const BlockSource *source);
const char *block_source_get_shown(const BlockSource *source);
/* For block_source_adopt(). */
const char *block_source_get_lock_name(const BlockSource *source);
gboolean block_source_is_read_only(const BlockSource *source);

/* Bytes, 0 if nobody can tell. A file that has grown has its loop device grow. */
guint64 block_source_update_size(const BlockSource *source);

/* The type of the file system on a device or in a file ("ext4"), by libblkid; KATA_ERR_INVALID_ARGUMENT if there is
 * none, or more than one. */
char *block_probe_type(const char *path, const char *shown, GError **error);

/* File systems that cannot be written to. */
gboolean block_type_is_read_only(const char *type);
