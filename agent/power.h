/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How PID 1 ends. A guest whose PID 1 exits panics without a word of why; this one says why and powers off. */
#pragma once

#include <glib.h>

/* Turns a crash or an exit() that nobody meant into a reason on the console and a power-off. */
gboolean power_guard(GError **error);
