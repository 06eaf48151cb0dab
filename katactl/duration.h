/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A span of time as Go's flag package takes it: "5s", "1m30s", "250ms", "1.5h". */
gboolean duration_parse(const char *text, gint64 *ret_us, GError **error);
