/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File systems seen as volumes: how full they are, and larger ones. All of it may wait for a disk: for helper processes
 * (agent/task.h). */
#pragma once

#include <glib.h>

#include "proto/agent.pb-c.h"

/* Volume statistics as one text, and back: what crosses from the helper. */
gboolean volume_measure(const char *path, GString *result, GError **error);
gboolean volume_parse(const char *text, Grpc__VolumeUsage *ret_bytes, Grpc__VolumeUsage *ret_inodes);

/* Makes the file system at path use size bytes of its disk; 0: all of it. A disk that is shorter may become that long
 * within wait_ms. */
gboolean volume_resize(const char *path, guint64 size, guint wait_ms, GError **error);

/* Uses a disk as swap space; it must have been made one. */
gboolean volume_swap_on(const char *node, GError **error);
