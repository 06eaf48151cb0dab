/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest writes to its serial console, kept in a file of the sandbox's directory. */
#pragma once

#include <glib.h>

/* The last lines as plain text, or NULL if there are none. */
char *console_tail(const char *sandbox_dir);

/* Keeps a guest that writes without end from filling the host's memory: looks now and then, and empties a file that has
 * grown too large (QEMU appends). Returns a GSource id of the default main context. */
guint console_watch(const char *sandbox_dir);
