/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waits for the end of a process of the host, which need be no child, in the default main context. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Returns the source's id. func runs once, in the main loop, also when the
 * process has ended before. free_data may be NULL. 0: this kernel cannot watch it, errno says why. */
guint host_watch_add(pid_t pid, GSourceOnceFunc func, gpointer data, GDestroyNotify free_data);
/* From any thread; 0 and one that has run: nothing to do. */
void host_watch_remove(guint id);
