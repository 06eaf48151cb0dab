/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Direct-assigned volumes: block devices that a CSI driver leaves for the guest to mount. What such a volume is lies in
 * a directory named for the volume's path on the host, as upstream's runtimes and drivers write it; beside that is a
 * file for each sandbox that uses it.
 */
#pragma once

#include <glib.h>

#define DIRECT_VOLUMES "/run/kata-containers/shared/direct-volumes"
#define DIRECT_VOLUME_LIMIT (64u << 10)

typedef struct {
  char *device;   /* a block device, or a file that holds a disk */
  char *fstype;   /* "": to be looked for on it */
  char **options; /* of the mount, without "ro"; never NULL */
  gboolean read_only;
  gboolean has_group; /* its files get this group */
  guint32 group;
  gboolean only_if_root_differs; /* from that group */
} DirectVolume;

/* A mountInfo.json, which where names in errors. */
DirectVolume *direct_volume_parse(const char *json, gsize length, const char *where, GError **error);
void direct_volume_free(DirectVolume *volume);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DirectVolume, direct_volume_free)

/* What has been left for the path (absolute, without "." and ".."); *ret NULL: nothing. */
gboolean direct_volume_find(const char *path, DirectVolume **ret, GError **error);
/* The same as it was left, unread; NULL: nothing, or it cannot be read. */
char *direct_volume_read(const char *path);
/* The paths something has been left for, sorted. */
char **direct_volume_list(GError **error);
/* Leaves it, in the place of what was there; the caller owns its own text. */
gboolean direct_volume_add(const char *path, const char *json, GError **error);
/* Nothing there: success. */
gboolean direct_volume_remove(const char *path, GError **error);

/* Where a guest mounts it. */
char *direct_volume_guest_path(const char *path);

/* The sandboxes that use it, with the root directory each lives in. */
gboolean direct_volume_add_user(const char *path, const char *sandbox, const char *root, GError **error);
void direct_volume_drop_user(const char *path, const char *sandbox);
/* Pairs of a sandbox's id and its root directory; some may be gone. Empty if there are none. */
char **direct_volume_list_users(const char *path);
