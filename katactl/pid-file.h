/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pid file, and the pidfd beside it, by which callers learn of a container's process on the host. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* The decimal pid and nothing else: callers take white space for an error. It appears at once and whole. */
gboolean pid_file_write(const char *path, pid_t pid, GError **error);

/* A pidfd of the process to a caller that listens on the unix socket. */
gboolean pid_file_send_pidfd(const char *socket_path, pid_t pid, GError **error);
