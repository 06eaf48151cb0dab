/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that the host sends where it shares no file system: in pieces, into the shared tree. */
#pragma once

#include <glib.h>

#include "proto/agent.pb-c.h"

/* Takes one piece. A file appears under its name when its last one has come. */
gboolean copy_file_take(const Grpc__CopyFileRequest *request, GError **error);

/* Whether a directory is where the file is to be, and all in it must go first. */
gboolean copy_file_needs_room(const Grpc__CopyFileRequest *request);
