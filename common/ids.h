/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ids that callers give, and the short keys that stand for them in paths. */
#pragma once

#include <glib.h>

#define ID_MAX 128
#define ID_KEY_LENGTH 16

/* 1 to ID_MAX characters out of A-Z a-z 0-9 _ + . -, neither "." nor "..". what: "container", "sandbox", "exec", for
 * the text ("invalid container ID format: ..." as runc says it). */
gboolean id_check(const char *id, const char *what, GError **error);

/* The first ID_KEY_LENGTH hex digits of the id's SHA-256. */
char *id_key(const char *id);
