/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounting: options as mount(8) has them, bind mounts, and paths that stay below what is the sandbox's. */
#pragma once

#include <glib.h>

#include "common/mount-options.h"

/* Everything of the sandbox and its containers lies below; storages cannot be mounted elsewhere. */
#define MOUNT_ROOT "/run/kata-containers"
/* The tree the host shares: containers can write into parts of it, and plant links there. */
#define MOUNT_SHARE MOUNT_ROOT "/shared/containers"

/* Bind-mounts a directory, with what is mounted below it. */
gboolean mount_bind(const char *source, const char *target, GError **error);

/* mount_options_parse(), but no more than mount(2) takes. */
gboolean mount_parse_options(char *const *options, gsize n_options, unsigned long *ret_flags, char **ret_data,
                             GError **error);

/* A detached copy of what is at fd: flags are those of mount(2); MS_REC takes what is mounted below along. Returns its
 * descriptor. */
int mount_copy_tree(int fd, unsigned long flags, GError **error);
/* Makes a copy read-only and so on, and says how mounts propagate, as mount(2)'s flags have it. */
gboolean mount_set_attributes(int tree, unsigned long flags, unsigned long propagation, GError **error);
/* Puts a copy where target is. */
gboolean mount_attach(int tree, int target, GError **error);

/* Splits an absolute path into the directory that nothing may lead out of (the shared tree or MOUNT_ROOT), opened, and
 * what is below. -1: it is not below MOUNT_ROOT. */
int mount_open_root(const char *path, const char **ret_below, GError **error);
/* safe_open() beneath that directory; a path elsewhere is one in the guest's own tree. */
int mount_open(const char *path, int flags, GError **error);
