// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/mount-table.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/safe-path.h"

#define TABLE_LIMIT (16u << 20)

static void entry_free(gpointer data) {
  MountEntry *entry = data;
  g_free(entry->root);
  g_free(entry->point);
  g_free(entry->type);
  g_strfreev(entry->options);
  g_free(entry);
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPER-OPTIONS". Blanks in names are "\040", so none
 * of them has the dash. */
static MountEntry *parse_line(const char *line) {
  const char *dash = strstr(line, " - ");
  if (dash == NULL) return NULL;
  g_autofree char *mount = g_strndup(line, (gsize)(dash - line));
  g_auto(GStrv) before = g_strsplit(mount, " ", -1), after = g_strsplit(dash + strlen(" - "), " ", 3);
  guint id, major_number, minor_number;
  if (g_strv_length(before) < 6 || g_strv_length(after) < 3 || sscanf(before[0], "%u", &id) != 1 ||
      sscanf(before[2], "%u:%u", &major_number, &minor_number) != 2)
    return NULL;
  MountEntry *entry = g_new0(MountEntry, 1);
  entry->id = id;
  entry->device = makedev(major_number, minor_number);
  entry->root = g_strcompress(before[3]);
  entry->point = g_strcompress(before[4]);
  entry->type = g_strdup(after[0]);
  entry->options = g_strsplit(after[2], ",", -1);
  return entry;
}

GPtrArray *mount_table_parse(const char *mountinfo) {
  GPtrArray *table = g_ptr_array_new_with_free_func(entry_free);
  g_auto(GStrv) lines = g_strsplit(mountinfo, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    MountEntry *entry = parse_line(*line);
    if (entry != NULL) g_ptr_array_add(table, entry);
  }
  return table;
}

GPtrArray *mount_table_read(pid_t pid, GError **error) {
  g_autofree char *path = pid > 0 ? g_strdup_printf("/proc/%d/mountinfo", (int)pid) : g_strdup("/proc/self/mountinfo");
  g_autofree char *text = safe_read_file(path, TABLE_LIMIT, NULL, error);
  return text != NULL ? mount_table_parse(text) : NULL;
}

gboolean mount_entry_has_option(const MountEntry *entry, const char *option) {
  return g_strv_contains((const char *const *)entry->options, option);
}
