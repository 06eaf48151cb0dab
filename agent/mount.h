/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File systems the host asks for ("storages"), counted by mount point. */
#pragma once

#include <glib.h>

#include "proto/agent.pb-c.h"

/* Everything of the sandbox and its containers lies below; storages cannot be mounted elsewhere. */
#define MOUNT_ROOT "/run/kata-containers"
/* Storages one request may name. */
#define MOUNT_STORAGES_MAX 1024

/* What mount_table_add() knows, for GetGuestDetails; NULL ends it. */
extern const char *const mount_drivers[];

typedef struct MountTable MountTable;

MountTable *mount_table_new(void);
/* Unmounts all. */
void mount_table_free(MountTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MountTable, mount_table_free)

/* Mounts it, or counts one user more where something is mounted already. *ret_key, the caller's, is for
 * mount_table_release(). */
gboolean mount_table_add(MountTable *table, const Grpc__Storage *storage, char **ret_key, GError **error);

/* One user less; the last one unmounts, unless the storage is shared. */
void mount_table_release(MountTable *table, const char *key);

/* stat()s every mount point below the shared tree, so that the host's file server lets go of what was removed. */
void mount_table_touch(const MountTable *table);

/* Bind-mounts a directory, with what is mounted below it. */
gboolean mount_bind(const char *source, const char *target, GError **error);

/* Words of mount(8) that are flags go to *ret_flags, the others, joined by commas, to *ret_data (NULL: none). "loop"
 * is refused. */
gboolean mount_parse_options(char *const *options, gsize n_options, unsigned long *ret_flags, char **ret_data,
                             GError **error);
