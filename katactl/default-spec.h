/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The config.json to begin with: a shell on a terminal in a read-only root file system; indented by tabs, to be freed
 * with g_free(). rootless: for a user without rights on the host, as runc writes it. */
char *default_spec_build(gboolean rootless, guint uid, guint gid);
