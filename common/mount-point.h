/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mounts of a config.json on their way to a root file system. */
#pragma once

#include <glib.h>

#include "common/oci.h"

gboolean mount_has_option(const Grpc__Mount *mount, const char *option);
gboolean mount_is_bind(const Grpc__Mount *mount);

/* Whether the place of mount number lies in a mount that comes before it. bind: only such, FALSE: only others. */
gboolean mount_is_beneath(const OciSpec *spec, gsize number, gboolean bind);

/* Opens (O_PATH) the place at path beneath root_fd, and makes it, as runtimes do, if it is not there. */
int mount_point_open(int root_fd, const char *path, gboolean is_directory, GError **error);
