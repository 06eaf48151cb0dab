/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/cpuset.h"

#include <string.h>

#include "common/error.h"

typedef struct {
  gboolean has[CPUSET_NUMBERS_MAX];
} Set;

static GArray *set_to_array(const Set *set) {
  GArray *numbers = g_array_new(FALSE, FALSE, sizeof(guint));
  for (guint i = 0; i < CPUSET_NUMBERS_MAX; i++)
    if (set->has[i]) g_array_append_val(numbers, i);
  return numbers;
}

static gboolean add_part(Set *set, const char *part) {
  g_auto(GStrv) ends = g_strsplit(part, "-", 2);
  guint64 first = 0, last = 0;
  if (!ends[0] || !g_ascii_string_to_unsigned(ends[0], 10, 0, CPUSET_NUMBERS_MAX - 1, &first, NULL)) return FALSE;
  last = first;
  if (ends[1] && !g_ascii_string_to_unsigned(ends[1], 10, first, CPUSET_NUMBERS_MAX - 1, &last, NULL)) return FALSE;
  for (guint64 i = first; i <= last; i++) set->has[i] = TRUE;
  return TRUE;
}

GArray *cpuset_parse(const char *text, const char *what, GError **error) {
  g_autofree Set *set = g_new0(Set, 1);
  g_autofree char *trimmed = g_strstrip(g_strdup(text));
  /* Of no text there would be no part. */
  g_auto(GStrv) parts = g_strsplit(*trimmed ? trimmed : ",", ",", -1);
  for (char **part = parts; *part; part++) {
    if (add_part(set, g_strstrip(*part))) continue;
    g_autofree char *shown = error_clean_text(text);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s '%s' is not a list of numbers and ranges, as '0-2,5'",
                what, shown);
    return NULL;
  }
  return set_to_array(set);
}

GArray *cpuset_translate(const GArray *host, const GArray *guest) {
  g_autofree Set *set = g_new0(Set, 1);
  guint wanted = MIN(host->len, guest->len), found = 0;
  for (guint i = 0; i < host->len && guest->len > 0; i++) {
    guint number = g_array_index(guest, guint, g_array_index(host, guint, i) % guest->len);
    found += set->has[number] ? 0 : 1;
    set->has[number] = TRUE;
  }
  for (guint i = 0; i < guest->len && found < wanted; i++) {
    guint number = g_array_index(guest, guint, i);
    found += set->has[number] ? 0 : 1;
    set->has[number] = TRUE;
  }
  return set_to_array(set);
}

char *cpuset_to_text(const GArray *numbers) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < numbers->len;) {
    guint first = g_array_index(numbers, guint, i), last = first;
    while (++i < numbers->len && g_array_index(numbers, guint, i) == last + 1) last++;
    g_string_append_printf(text, "%s%u", text->len > 0 ? "," : "", first);
    if (last > first) g_string_append_printf(text, "-%u", last);
  }
  return g_string_free(g_steal_pointer(&text), FALSE);
}
