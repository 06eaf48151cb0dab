/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a settings file: sections of "key = value" lines, with the number of each line. */
#pragma once

#include <glib.h>

/* A settings file may be this long. */
#define SETTINGS_FILE_LIMIT (1u << 20)

/* Called for each key in the order of the file. value: as it stands there. line: from 1. */
typedef gboolean (*SettingsFileFunc)(const char *section, const char *key, const char *value, guint line,
                                     gpointer user_data, GError **error);

/* where: the file's name for errors. A section or key given twice is an error. */
gboolean settings_file_parse(const char *text, gsize length, const char *where, SettingsFileFunc func,
                             gpointer user_data, GError **error);
