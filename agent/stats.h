/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a container uses, out of the files of its cgroup (version 2). */
#pragma once

#include <glib.h>

#include "proto/agent.pb-c.h"

/* What a cgroup without limit reports as its limit. */
#define STATS_UNLIMITED G_MAXUINT64

/* A file's content by its name, NULL if the kernel does not have it; the caller's. */
typedef char *(*StatsReadFunc)(const char *file, gpointer user_data);

/* Parts whose files are not there are left empty. hugepage_sizes: as in the files' names ("2MB"), NULL-terminated.
 * Free with protobuf_c_message_free_unpacked(). */
Grpc__CgroupStats *stats_collect(StatsReadFunc read, gpointer user_data, char *const *hugepage_sizes);

/* The same for a cgroup of this system, path as in cgroup.h. */
Grpc__CgroupStats *stats_of_cgroup(const char *path);
