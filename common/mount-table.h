/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's table of mounts, /proc/PID/mountinfo (proc(5)). */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct {
  guint id; /* as statx(2) has it */
  dev_t device;
  char *root;     /* what of the file system is there */
  char *point;    /* where it is, for the process whose table this is */
  char *type;     /* of the file system */
  char **options; /* the file system's own: those of one mount among others do not bind the others */
} MountEntry;

/* Of MountEntry, in the order of the text: of two at the same point the later one is seen. Lines of another form are
 * left out. */
GPtrArray *mount_table_parse(const char *mountinfo);

/* As process pid sees them; 0: this one. */
GPtrArray *mount_table_read(pid_t pid, GError **error);

gboolean mount_entry_has_option(const MountEntry *entry, const char *option);
