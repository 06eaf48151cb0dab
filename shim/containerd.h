/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "start" does for containerd beyond what it does for libkata (containerd shim v2, "Duties of the start
 * process"). */
#pragma once

#include <glib.h>

/* The sandbox a bundle's container belongs into: that of its pod or of its group, else (also without a document) one of
 * its own. *ret_must_exist: others have made it. */
char *containerd_find_sandbox(const char *bundle, const char *id, gboolean *ret_must_exist, GError **error);

/* Whether there is a config.json: a sandbox by containerd's sandbox service has none. */
gboolean containerd_has_document(const char *bundle);

/* The files from which containerd finds the owner again, and others its process. */
gboolean containerd_note_owner(const char *bundle, const char *address, pid_t owner, GError **error);

/* In the owner, before it starts anything: its place in line for the kernel's out-of-memory killer, and in core
 * scheduling. What cannot be had is only logged. */
void containerd_adjust_owner(void);

/* Log lines also go to containerd, which reads the FIFO "log" in the bundle. Without it: nothing happens. */
void containerd_open_log(const char *bundle);
