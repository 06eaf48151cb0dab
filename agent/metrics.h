/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guest and this agent use, as Prometheus' text format has it; names are those of upstream's agent. */
#pragma once

#include <glib.h>

/* A file's content by its path, NULL if there is none; the caller's. */
typedef char *(*MetricsReadFunc)(const char *path, gpointer user_data);

typedef struct {
  MetricsReadFunc read;
  gpointer user_data;
  guint64 scrapes;
  guint ticks; /* the kernel's, a second */
  guint64 page_size;
  gint64 boot_s; /* since 1970 */
  guint open_fds;
} MetricsSource;

/* Files that are not there have no lines. The caller's. */
char *metrics_format(const MetricsSource *source);

/* The same of this system. */
char *metrics_collect(void);
