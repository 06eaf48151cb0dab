// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/settings-file.h"

#include <string.h>

#include "common/error.h"

/* GKeyFile forgets on which line a key stood and lets a second one replace the first: this remembers. */
typedef struct {
  char *section;     /* the one we are in, or NULL */
  GHashTable *lines; /* "section\nkey" -> line number */
} LineIndex;

static char *index_key(const char *section, const char *key) { return g_strconcat(section, "\n", key, NULL); }

static void line_index_clear(LineIndex *index) {
  g_free(index->section);
  g_clear_pointer(&index->lines, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(LineIndex, line_index_clear)

static gboolean remember(LineIndex *index, char *name, guint line, const char *what, const char *where,
                         GError **error) {
  guint first = GPOINTER_TO_UINT(g_hash_table_lookup(index->lines, name));
  if (first != 0) {
    const char *shown = strchr(name, '\n') + 1;
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "%s:%u: %s '%s' is there twice, first on line %u", where, line,
                what, *shown != '\0' ? shown : index->section, first);
    g_free(name);
    return FALSE;
  }
  g_hash_table_insert(index->lines, name, GUINT_TO_POINTER(line));
  return TRUE;
}

static gboolean read_line(LineIndex *index, char *text, guint line, const char *where, GError **error) {
  g_strchug(text);
  if (*text == '\0' || *text == '#') return TRUE;
  if (*text == '[') {
    char *end = strchr(text, ']');
    if (end == NULL || end[1 + strspn(end + 1, " \t\r")] != '\0') {
      g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "%s:%u: a section is written [name], alone on its line", where,
                  line);
      return FALSE;
    }
    g_free(index->section);
    index->section = g_strndup(text + 1, (gsize)(end - text - 1));
    return remember(index, index_key(index->section, ""), line, "section", where, error);
  }
  char *equals = strchr(text, '=');
  if (equals == NULL || equals == text) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
                "%s:%u: neither a section, nor 'key = value', nor a comment (a value stands on one line)", where, line);
    return FALSE;
  }
  if (index->section == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "%s:%u: a key before the first section", where, line);
    return FALSE;
  }
  *equals = '\0';
  g_strchomp(text);
  return remember(index, index_key(index->section, text), line, "key", where, error);
}

static gboolean read_lines(LineIndex *index, const char *text, const char *where, GError **error) {
  guint number = 1;
  for (const char *line = text; *line != '\0'; number++) {
    gsize length = strcspn(line, "\n");
    g_autofree char *copy = g_strndup(line, length);
    if (!read_line(index, copy, number, where, error)) return FALSE;
    line += length + (line[length] == '\n');
  }
  return TRUE;
}

static gboolean check_text(const char *text, gsize length, const char *where, GError **error) {
  if (length > SETTINGS_FILE_LIMIT) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "%s: longer than %u bytes", where, SETTINGS_FILE_LIMIT);
    return FALSE;
  }
  if (!g_utf8_validate(text, (gssize)length, NULL)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "%s: not UTF-8 text", where);
    return FALSE;
  }
  return TRUE;
}

static gboolean call_for_section(GKeyFile *file, const char *section, const LineIndex *index, const char *where,
                                 SettingsFileFunc func, gpointer user_data, GError **error) {
  g_auto(GStrv) keys = g_key_file_get_keys(file, section, NULL, NULL);
  for (char **key = keys; keys != NULL && *key != NULL; key++) {
    g_autofree char *value = g_key_file_get_value(file, section, *key, NULL);
    g_autofree char *name = index_key(section, *key);
    guint line = GPOINTER_TO_UINT(g_hash_table_lookup(index->lines, name));
    if (value == NULL || !func(section, *key, value, line, user_data, error)) {
      g_prefix_error(error, "%s:%u: ", where, line);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean settings_file_parse(const char *text, gsize length, const char *where, SettingsFileFunc func,
                             gpointer user_data, GError **error) {
  if (!check_text(text, length, where, error)) return FALSE;
  g_autofree char *copy = g_strndup(text, length);
  g_auto(LineIndex) index = {NULL, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
  if (!read_lines(&index, copy, where, error)) return FALSE;
  if (g_hash_table_size(index.lines) == 0) return TRUE;

  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autoptr(GError) problem = NULL;
  if (!g_key_file_load_from_data(file, copy, length, G_KEY_FILE_NONE, &problem)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG, "%s: %s", where, problem->message);
    return FALSE;
  }
  g_auto(GStrv) sections = g_key_file_get_groups(file, NULL);
  for (char **section = sections; *section != NULL; section++) {
    if (!call_for_section(file, *section, &index, where, func, user_data, error)) return FALSE;
  }
  return TRUE;
}
