/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state document in runc's words and order. */
#pragma once

#include <glib.h>
#include <json-c/json.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_object, json_object_put)

/* From the library's document: the members of "state" in runc's order, unknown ones left out.
 * owner: NULL for "", as "state" has it. */
json_object *state_json_build(const char *document, const char *owner, GError **error);

/* Two blanks for each level, no newline at the end; the text is the object's. */
const char *state_json_print(json_object *state);

/* The name of the user that owns the bundle, or #UID. */
char *state_json_find_owner(const char *bundle);
