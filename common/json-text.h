/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON from outside: strict, of limited size and depth, with the place of a mistake in the error. */
#pragma once

#include <glib.h>
#include <json-c/json.h>

/* Our documents nest less than ten deep; what is unknown may nest this deep. */
#define JSON_TEXT_DEPTH_LIMIT 32

/* One JSON value that is not null, and nothing after it; NULs are refused. where: the document's name in errors, which
 * are KATA_ERR_INVALID_ARGUMENT, or KATA_ERR_RESOURCE_EXHAUSTED above limit bytes. The caller owns the object. */
struct json_object *json_text_parse(const char *text, gsize length, gsize limit, const char *where, GError **error);
