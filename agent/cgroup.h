/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control groups of containers, version 2 mounted at CGROUP_ROOT. Paths start with '/'. */
#pragma once

#include <glib.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
/* The longest file of a cgroup that is read. */
#define CGROUP_FILE_MAX (4u << 20)

/* Kills every process in the cgroup and below. No such cgroup: success. */
gboolean cgroup_kill(const char *path, GError **error);

/* Sends a signal to every process in the cgroup and below, which stand still meanwhile. No such cgroup: success. */
gboolean cgroup_signal(const char *path, int signal_number, GError **error);

/* Removes the cgroup with all below it, and those above that are empty then. FALSE: processes in it are not quite
 * dead yet. */
gboolean cgroup_remove(const char *path);

/* Writes a file of the cgroup in one piece. */
gboolean cgroup_write(const char *path, const char *file, const char *text, GError **error);

/* The content of a file of the cgroup, NULL if there is none. */
char *cgroup_read(const char *path, const char *file);

/* The processes in the cgroup and below it, as pid_t, in no order; at most max. The caller's. */
GArray *cgroup_list(const char *path, guint max);

/* Whether cgroups below the root have this file: the kernel may not have all of a controller. */
gboolean cgroup_has_file(const char *file);
