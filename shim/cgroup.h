/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cgroups of the host: where config.json's cgroupsPath says, in every hierarchy that is mounted, of version 1 and 2.
 * They hold a container's host process, and the first container's also QEMU, virtiofsd and the owner: an engine
 * accounts for all of it there. Its limits: cgroup-limits.h. A cgroup is known by its directories, one for each
 * hierarchy.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* cgroupsPath as a path below a hierarchy's root: "slice:prefix:name" as systemd would lay it out, all else as it is.
 * One that leads out ("..") is an error. Pure. */
char *cgroup_expand_path(const char *cgroups_path, GError **error);

/* Makes the cgroup's directories and what is missing above them. A relative path begins at the cgroup of process
 * parent. NULL with an error if no hierarchy could be written to. */
char **cgroup_make(const char *path, pid_t parent, GError **error);

/* The directories a process is in. */
char **cgroup_find(pid_t pid);

/* Moves a process with all its threads. FALSE: into none of them. */
gboolean cgroup_add(char *const *directories, pid_t pid, GError **error);

/* FALSE too if either is NULL. */
gboolean cgroup_is_same(char *const *directories, char *const *others);

/* Removes the directories; waits a moment for processes that are just ending. What cannot be removed stays. */
void cgroup_remove(char *const *directories);

/* Notes directories in a sandbox's directory, so that whoever removes it also removes them. */
gboolean cgroup_note(const char *sandbox_dir, char *const *directories, GError **error);
void cgroup_remove_noted(const char *sandbox_dir);
