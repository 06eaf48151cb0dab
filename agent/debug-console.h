/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A root shell in the guest for whoever debugs it, only where the kernel's command line asks for it. */
#pragma once

#include <glib.h>

#include "agent/reap.h"

/* Shells for one listener at once. */
#define DEBUG_CONSOLE_SHELLS_MAX 8

/* The first of those that are there, as upstream's agent looks for them; NULL: the image has none. */
const char *debug_console_find_shell(void);

/* A shell on the device, and another one each time it ends. Without a shell in the image it says so there and gives up.
 * It runs as long as the process. */
void debug_console_run(Reaper *reaper, const char *device);

/* A shell on a terminal of its own for each connection; takes the listener over. The connection closes when the shell
 * ends, and the other way round. */
void debug_console_serve(Reaper *reaper, int listener);
