// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/timeline.h"

struct Timeline {
  GMutex lock;
  gint64 origin;
  GArray *steps;
};

Timeline *timeline_new(void) {
  Timeline *timeline = g_new0(Timeline, 1);
  g_mutex_init(&timeline->lock);
  timeline->origin = g_get_monotonic_time();
  timeline->steps = g_array_new(FALSE, TRUE, sizeof(TimelineStep));
  return timeline;
}

void timeline_free(Timeline *timeline) {
  if (timeline == NULL) return;
  g_array_unref(timeline->steps);
  g_mutex_clear(&timeline->lock);
  g_free(timeline);
}

void timeline_begin(Timeline *timeline, const char *name) {
  g_mutex_lock(&timeline->lock);
  TimelineStep step = {.name = name, .begin_us = g_get_monotonic_time() - timeline->origin};
  g_array_append_val(timeline->steps, step);
  g_mutex_unlock(&timeline->lock);
}

void timeline_end(Timeline *timeline, const char *name) {
  g_mutex_lock(&timeline->lock);
  for (guint i = timeline->steps->len; i-- > 0;) {
    TimelineStep *step = &g_array_index(timeline->steps, TimelineStep, i);
    if (step->end_us != 0 || g_strcmp0(step->name, name) != 0) continue;
    step->end_us = g_get_monotonic_time() - timeline->origin;
    break;
  }
  g_mutex_unlock(&timeline->lock);
}

GArray *timeline_get(Timeline *timeline) {
  g_mutex_lock(&timeline->lock);
  GArray *copy = g_array_copy(timeline->steps);
  g_mutex_unlock(&timeline->lock);
  return copy;
}
