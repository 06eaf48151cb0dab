// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/spare-memory.h"

#include <string.h>

#include "common/error.h"
#include "common/safe-path.h"

/* This part of the host's memory is left alone. */
#define FREE_MEMORY_DIVISOR 4u

/* proc(5): "MemAvailable:   1234 kB". */
static guint64 read_meminfo(const char *text, const char *name) {
  const char *line = text != NULL ? strstr(text, name) : NULL;
  return line != NULL ? g_ascii_strtoull(line + strlen(name), NULL, 10) / 1024 : 0;
}

gboolean spare_memory_check(guint64 guest_mib, GError **error) {
  g_autofree char *text = safe_read_file("/proc/meminfo", 64 * 1024, NULL, NULL);
  guint64 total = read_meminfo(text, "MemTotal:"), available = read_meminfo(text, "MemAvailable:");
  if (total == 0 || available >= guest_mib + total / FREE_MEMORY_DIVISOR) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
              "no guest of %" G_GUINT64_FORMAT " MiB can stand by: only %" G_GUINT64_FORMAT
              " of the host's %" G_GUINT64_FORMAT " MiB are available, and a quarter of it is left alone",
              guest_mib, available, total);
  return FALSE;
}
