/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network namespaces, held as descriptors. No caller's thread ever changes its namespace: a helper thread does. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* The namespace at path as process peer sees it (its mount namespace and root may be others; "/proc/self" is peer);
 * peer 0: as the owner sees it. -1 with an error, also if it is no network namespace. */
int net_namespace_open(pid_t peer, const char *path, GError **error);

/* The namespace process pid is in. */
int net_namespace_open_of(pid_t pid, GError **error);

/* The one a machine is connected to: process pid is in it or, with mount not empty, has it mounted there. */
int net_namespace_open_machine(pid_t pid, const char *mount, GError **error);

/* Mounts it at path, a file that is made, in the caller's mount namespace. */
gboolean net_namespace_mount(int netns, const char *path, GError **error);

/* A new one that has nothing but its loopback device, up. */
int net_namespace_new(GError **error);

gboolean net_namespace_is_same(int one, int other);
/* Whether it is the one of process 1, the host's, or the owner's own. */
gboolean net_namespace_is_host(int netns);

/* A number no other namespace of this boot has or will have, unlike its inode's; 0 where the kernel has none (before
 * 5.14). */
guint64 net_namespace_get_cookie(int netns);

typedef gboolean (*NetFunc)(gpointer data, GError **error);

/* Calls func from a thread in the namespace. */
gboolean net_namespace_run(int netns, NetFunc func, gpointer data, GError **error);
