/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One setting's value: read from and written as text, always within what the table allows. */
#pragma once

#include <glib.h>

#include "lib/settings-table.h"

/* Longest text, and longest list, a value may hold. */
#define SETTING_TEXT_MAX 4096
#define SETTING_LIST_MAX 256

typedef struct {
  gint64 number; /* SETTING_NUMBER, SETTING_BOOLEAN */
  char *text;    /* SETTING_STRING, SETTING_PATH */
  char **list;   /* SETTING_LIST */
} SettingValue;

void setting_value_clear(SettingValue *value);
void setting_value_copy(SettingValue *to, const SettingValue *from);

/* Reads JSON: a text in quotes, a whole number, true, false, or a list of texts; a comment may follow.
 * On failure *ret is untouched and the error says only what is wrong with the value; the caller adds where it stands.
 */
gboolean setting_value_parse(const SettingKey *key, const char *text, SettingValue *ret, GError **error);

char *setting_value_to_text(const SettingKey *key, const SettingValue *value);
