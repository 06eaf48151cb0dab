/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Paths that come from a bundle, a caller or a guest: resolved as if root were
 * "/", so neither "..", nor an absolute link, nor a magic link leads out
 * (openat2(2), RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS).
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* open() beneath root_fd; close-on-exec. Returns -1 with error set (KATA_ERR_* by errno). */
int safe_open(int root_fd, const char *path, int flags, mode_t mode, GError **error);

/* Makes every missing directory of path beneath root_fd, those that a dangling link names too, and opens the last one
 * (O_PATH | O_DIRECTORY). mode is subject to the umask. */
int safe_mkdirs(int root_fd, const char *path, mode_t mode, GError **error);

/* Not empty, absolute, no ".." part, shorter than PATH_MAX. what names it in the error's text. */
gboolean safe_path_check(const char *path, const char *what, GError **error);

/* Removes a directory and all below it. Neither follows links nor crosses mount points: the first mount found stops it
 * with KATA_ERR_INVALID_STATE and is named in the error. No such directory: success. */
gboolean safe_remove_tree(const char *path, GError **error);

/* A regular file's whole content, NUL-terminated; above limit bytes KATA_ERR_RESOURCE_EXHAUSTED. ret_length may be
 * NULL. */
char *safe_read_file(const char *path, gsize limit, gsize *ret_length, GError **error);

/* Replaces a file by writing a temporary one beside it and renaming; synced to disk if durable. length -1: up to the
 * NUL. mode is taken as it is, whatever the umask. */
gboolean safe_write_file(const char *path, const char *text, gssize length, mode_t mode, gboolean durable,
                         GError **error);
