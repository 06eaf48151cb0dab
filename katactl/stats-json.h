/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container's counters in the words of runc's "events". */
#pragma once

#include <glib.h>
#include <json-c/json.h>

/* stats: kata_container_get_stats(). Returns the object "data". */
json_object *stats_json_build(const char *stats, GError **error);

/* A whole line: type is "stats" or "oom"; data: taken over, or NULL. To be freed with g_free(). */
char *stats_json_print_event(const char *type, const char *container_id, json_object *data);
