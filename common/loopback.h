/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Sets "lo" up in the calling thread's network namespace. */
gboolean loopback_set_up(GError **error);
