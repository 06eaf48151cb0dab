/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that the host sends where it shares no file system: in pieces, into the shared tree. */
#pragma once

#include <glib.h>

#include "proto/agent.pb-c.h"

/* Takes one piece. A file appears under its name when its last one has come. May take as long as a file system of a
 * container's does: for a task. */
gboolean copy_file_take(const Grpc__CopyFileRequest *request, GError **error);
