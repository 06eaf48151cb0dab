/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pool: guests that stand by for sandboxes to come. Each has started from a template (template.h) and is stopped;
 * it has no owner, nothing of a sandbox is in it, and it is connected to nothing. It lies in a directory of its own
 * below PATHS_POOL, laid out as a sandbox's. Whoever starts a sandbox locks one, which then becomes the sandbox's
 * directory, and takes the guest over as owners do from those that have died. A new one is made afterwards, in the
 * background.
 */
#pragma once

#include "lib/vm-config.h"
#include "shim/options.h"
#include "shim/sandbox.h"

typedef struct PoolMember {
  char *directory;
  char *key;      /* of the template it started from */
  char *mounts;   /* pool_name_mounts() of whoever made it */
  pid_t machine;  /* QEMU */
  gint64 made_at; /* seconds since 1970 */
} PoolMember;

void pool_member_free(PoolMember *member);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PoolMember, pool_member_free)

/* How many are to stand by, in number and memory; 0: there is no pool. */
guint pool_get_size(const kata_settings *settings);
/* Where they lie: those of one directory of templates. */
char *pool_get_directory(const kata_settings *settings);
/* The one in directory; NULL if it is not ready, taken, or has ended. Certain only while its lock is held. */
PoolMember *pool_read(const char *directory);
GPtrArray *pool_list(const char *pool);
/* Those of a key, made in a mount namespace. */
guint pool_count(const char *pool, const char *key, const char *mounts);

/* The mount namespace of this process. Who lives in another sees other files, and has guests of his own. */
char *pool_name_mounts(void);
/* From now on it may be taken, once the caller lets its directory's lock go. */
gboolean pool_offer(const PoolMember *member, GError **error);
/* Locks one that fits what the sandbox would start from, and nobody else gets it any more. NULL: there is none. */
PoolMember *pool_take(Sandbox *sandbox, int *ret_lock);
/* Takes it off the host; the caller holds its lock. */
void pool_discard(const char *directory);

/* Fills the pool up to size guests, and removes those above and what is of no use in it. Needs a process without
 * threads; the work is done by others that it starts. *ret_made: how many it has made. */
gboolean pool_fill(kata_settings *settings, guint size, guint *ret_made, GError **error);
/* Removes all that nobody has taken. */
gboolean pool_empty(const kata_settings *settings, guint *ret_removed, GError **error);

/* After a start: has the pool filled up, and freed of what the settings want no more, in the background, by a process
 * that outlives this one. */
void pool_follow_start(Sandbox *sandbox);

/* "containerd-shim-kata-v2 -pool create|list|remove|background"; returns the exit status. */
int action_pool(const ShimOptions *options);
