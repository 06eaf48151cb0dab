/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A sandbox's directory: made by its first owner, and removed in one place. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Makes ROOT, ROOT/s, ROOT/c and the sandbox's directory. Returns its path, NULL with KATA_ERR_ALREADY_EXISTS if it is
 * there. Where QEMU's user cannot pass through ROOT, as engines have theirs, it lies below PATHS_OUTSIDE and a link to
 * it takes its place. */
char *sandbox_dir_create(const char *root, const char *sandbox_id, GError **error);

/* The same, but directory, which lies below PATHS_POOL, is the sandbox's from now on: a link to it takes its place. */
gboolean sandbox_dir_move_in(const char *root, const char *sandbox_id, const char *directory, GError **error);

/* Where it lies, or would. */
char *sandbox_dir_find(const char *root, const char *sandbox_id);

/* Takes all of a sandbox off the host, whatever state it is in: processes that an owner left, the containers'
 * links, the directory with its sockets. What is gone already: success. */
gboolean sandbox_dir_remove(const char *root, const char *sandbox_dir, GError **error);

/* Opens and locks owner.pid; the lock lives as long as the descriptor and its copies. -1 with
 * KATA_ERR_ALREADY_EXISTS when an owner holds it. */
int sandbox_dir_lock(const char *sandbox_dir, GError **error);

/* The process that has locked it last, 0 if none has. */
pid_t sandbox_dir_read_owner(const char *sandbox_dir);

/* ROOT/c/ID -> the sandbox's directory. KATA_ERR_ALREADY_EXISTS if the id is in use. */
gboolean sandbox_dir_link(const char *root, const char *sandbox_dir, const char *container_id, GError **error);
void sandbox_dir_unlink(const char *root, const char *container_id);
