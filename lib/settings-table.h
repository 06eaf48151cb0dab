/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every setting there is: the one table that parsing, errors, texts and kata.conf(5) are derived from. */
#pragma once

#include <glib.h>

typedef enum { SETTING_STRING, SETTING_PATH, SETTING_NUMBER, SETTING_BOOLEAN, SETTING_LIST } SettingType;

typedef struct {
  const char *section;
  const char *key;
  SettingType type;
  const char *preset; /* the default, as it would stand in the file */
  gint64 min, max;    /* SETTING_NUMBER */
  const char *words;  /* SETTING_STRING: the only values allowed, parted by "|"; NULL: any */
  const char *doc;    /* what it means, for kata.conf(5) */
} SettingKey;

extern const SettingKey setting_keys[];
extern const gsize n_setting_keys;

/* The key's place in the table, or -1. */
int setting_find(const char *section, const char *key);
gboolean setting_section_exists(const char *section);

/* What may stand there, for people: "a number from 1 to 240", "one of \"auto\", \"kvm\", \"tcg\"". */
char *setting_describe(const SettingKey *key);

/* The known name most like an unknown one, or NULL when none is near. section NULL: among the sections. */
const char *setting_suggest(const char *section, const char *name);
