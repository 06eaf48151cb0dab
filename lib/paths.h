/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where things of a sandbox lie below the root directory (docs/ARCHITECTURE.md, "On disk"). */
#pragma once

#include <glib.h>

#define PATHS_DEFAULT_ROOT "/run/kata"
/* sun_path holds 107 bytes and a terminating NUL, unix(7). */
#define PATHS_ROOT_MAX 48

/* Below the root. */
#define PATHS_SANDBOXES "s"
#define PATHS_CONTAINERS "c"

/* Below the default root: the sandboxes of other roots whose directories QEMU's user may not pass through. */
#define PATHS_OUTSIDE PATHS_DEFAULT_ROOT "/o"
/* Likewise: guests that stand by, and the sandboxes that have begun as one (shim/pool.h). */
#define PATHS_POOL PATHS_DEFAULT_ROOT "/p"

/* Absolute, not "/", no "..", at most PATHS_ROOT_MAX bytes. */
gboolean paths_check_root(const char *root, GError **error);

char *paths_sandbox_dir(const char *root, const char *sandbox_id);      /* ROOT/s/KEY, a directory or a link to one */
char *paths_container_link(const char *root, const char *container_id); /* ROOT/c/ID -> ../s/KEY */

/* Below a sandbox's directory. */
#define PATHS_STATE "state.json"
#define PATHS_OWNER_PID "owner.pid"
#define PATHS_OWNER_SOCKET "owner.sock"
#define PATHS_OWNER_LOG "owner.log"
#define PATHS_CONSOLE_LOG "console.log"
#define PATHS_AGENT_SOCKET "agent.sock"
#define PATHS_VIRTIOFS_SOCKET "virtiofs.sock"
#define PATHS_LIBVIRT "v"
#define PATHS_SHARE "f"
#define PATHS_DISKS "d"
#define PATHS_FOLLOWED "m"
#define PATHS_NETNS "n"         /* of a guest that stood by: its network namespace, mounted there for its owners */
#define PATHS_LINK "link"       /* of one that lies elsewhere: the link's path */
#define PATHS_CGROUPS "cgroups" /* directories of the host's cgroups, one a line */
