/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the options of "update" say, as an OCI linux.resources object. */
#pragma once

#include <glib.h>

/* One option of update and the member it sets. */
typedef enum {
  RESOURCE_SIZE,   /* bytes, with a suffix: 512m, 1.5g; -1: unlimited */
  RESOURCE_SIGNED, /* a whole number */
  RESOURCE_UNSIGNED,
  RESOURCE_TEXT,
} ResourceKind;

typedef struct {
  const char *option; /* its name */
  const char *value;  /* as given; NULL: not given */
  ResourceKind kind;
  const char *object; /* "memory", "cpu", "pids", "blockIO" */
  const char *member;
} ResourceChange;

/* changes: ends with an option NULL. Returns JSON, to be freed with g_free(). */
char *resources_json_build(const ResourceChange *changes, GError **error);

/* As go-units' RAMInBytes: a number, a fraction too, and k, m, g, t or p, in either case, with or without "b" or "ib";
 * -1: unlimited. */
gboolean resources_parse_size(const char *text, gint64 *ret, GError **error);
