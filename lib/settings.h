/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings inside the project: the public handle, and the plain values a sandbox is built from. */
#pragma once

#include <glib.h>

#include "kata/settings.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_settings, kata_settings_unref)

typedef enum { ACCELERATOR_AUTO, ACCELERATOR_KVM, ACCELERATOR_TCG } Accelerator;
typedef enum { CHANNEL_AUTO, CHANNEL_VSOCK, CHANNEL_SERIAL } AgentChannel;

/* GError forms of the public calls. */
kata_settings *settings_new(void);
kata_settings *settings_copy(const kata_settings *settings);
/* Takes over from's values: all, or only those that a file or a caller has named. */
void settings_merge(kata_settings *to, const kata_settings *from, gboolean only_named);
gboolean settings_set(kata_settings *settings, const char *section, const char *key, const char *value, GError **error);
/* source: what settings_get_source() tells of it; NULL: the caller. */
gboolean settings_set_from(kata_settings *settings, const char *section, const char *key, const char *value,
                           const char *source, GError **error);
char *settings_get(const kata_settings *settings, const char *section, const char *key, GError **error);
/* Where a known key's value is from: "default", "FILE:LINE", "annotation NAME", "caller". */
const char *settings_get_source(const kata_settings *settings, const char *section, const char *key);
/* What upstream knows and has no effect here. */
typedef struct {
  char *section;
  char *key;
  char *value;     /* as it stands in the file */
  char *source;    /* "FILE:LINE" */
  const char *why; /* static */
} IgnoredSetting;

/* Of IgnoredSetting; the settings'. */
GPtrArray *settings_get_ignored(const kata_settings *settings);
/* Those that have been named, and those that have no effect. */
char *settings_to_text(const kata_settings *settings);
gboolean settings_load_file(kata_settings *settings, const char *path, GError **error);
gboolean settings_load_text(kata_settings *settings, const char *text, gsize length, const char *where, GError **error);
/* File, then DIR/conf.d/ *.conf beside it in order of their names. A missing default file is no error (must_exist). */
gboolean settings_load_default(kata_settings *settings, const char *path, gboolean must_exist, GError **error);

/* Typed getters; section and key must be known. Strings belong to settings. */
const char *settings_get_string(const kata_settings *settings, const char *section, const char *key);
gint64 settings_get_int(const kata_settings *settings, const char *section, const char *key);
gboolean settings_get_bool(const kata_settings *settings, const char *section, const char *key);
const char *const *settings_get_strv(const kata_settings *settings, const char *section, const char *key);

/* Words as the values they stand for. */
Accelerator settings_get_accelerator(const kata_settings *settings);
AgentChannel settings_get_channel(const kata_settings *settings);

/* Adds what kata_settings_describe() tells. */
struct json_object;
void settings_describe_to(const kata_settings *settings, struct json_object *document);
