/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The namespaces that all containers of the sandbox are in: IPC and UTS always, of processes when somebody asks. */
#pragma once

#include <glib.h>

#include "agent/reap.h"

/* Host and domain names, as the kernel limits them. */
#define NAMESPACES_NAME_MAX 64

typedef struct Namespaces Namespaces;

/* reaper must outlive it. */
Namespaces *namespaces_new(Reaper *reaper);
/* Ends what lives in the pid namespace. */
void namespaces_free(Namespaces *namespaces);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Namespaces, namespaces_free)

/* Makes them, once; this process stays in its own. */
gboolean namespaces_make(Namespaces *namespaces, GError **error);

/* Paths for crun, once they are made. */
const char *namespaces_get_ipc(const Namespaces *namespaces);
const char *namespaces_get_uts(const Namespaces *namespaces);

/* An empty name changes nothing; what is too long is cut. Makes the namespaces if nobody has. */
gboolean namespaces_set_names(Namespaces *namespaces, const char *hostname, const char *domainname, GError **error);

/* The pid namespace, which lives as long as the sandbox, whatever containers come and go: its first process is one of
 * ours that only waits. Made when first asked for. NULL: it cannot be. */
gboolean namespaces_has_pid(const Namespaces *namespaces);
const char *namespaces_get_pid(Namespaces *namespaces, GError **error);
