/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest writes to its serial console, kept in a file of the sandbox's directory. */
#pragma once

#include <glib.h>

/* Adds the last lines as plain text, if there are any. error may be NULL. */
void console_explain(const char *sandbox_dir, GError *error);
/* The same if error says that the connection to the guest was lost. */
void console_explain_loss(const char *sandbox_dir, GError *error);

/* Keeps a guest that writes without end from filling the host's memory: looks now and then, and empties a file that has
 * grown too large (QEMU appends). Returns a GSource id of the default main context. */
guint console_watch(const char *sandbox_dir);
