/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each step of a sandbox's start took. Thread-safe. */
#pragma once

#include <glib.h>

typedef struct Timeline Timeline;

typedef struct {
  const char *name; /* static */
  gint64 begin_us;  /* since timeline_new() */
  gint64 end_us;    /* 0: not ended yet */
} TimelineStep;

Timeline *timeline_new(void);
void timeline_free(Timeline *timeline);
void timeline_begin(Timeline *timeline, const char *name);
void timeline_end(Timeline *timeline, const char *name);
/* A copy: array of TimelineStep. */
GArray *timeline_get(Timeline *timeline);
