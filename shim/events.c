// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/events.h"

#include <stdlib.h>
#include <string.h>

#include "shim/times.h"

typedef struct {
  guint64 number;
  const char *type;
  char *container_id;
  gint64 time;
  guint32 exit_status;
} Entry;

struct Events {
  GMutex lock;
  GCond added;
  GQueue entries; /* Entry, the oldest first */
  guint64 last;
};

static void entry_free(gpointer data) {
  Entry *entry = data;
  g_free(entry->container_id);
  g_free(entry);
}

Events *events_new(void) {
  Events *events = g_new0(Events, 1);
  g_mutex_init(&events->lock);
  g_cond_init(&events->added);
  g_queue_init(&events->entries);
  /* Above what an earlier owner has given: somebody may wait for the next one. */
  events->last = (guint64)g_get_real_time();
  return events;
}

void events_free(Events *events) {
  if (events == NULL) return;
  g_queue_clear_full(&events->entries, entry_free);
  g_cond_clear(&events->added);
  g_mutex_clear(&events->lock);
  g_free(events);
}

void events_add(Events *events, const char *type, const char *container_id, guint32 exit_status) {
  Entry *entry = g_new0(Entry, 1);
  entry->type = type;
  entry->container_id = g_strdup(container_id);
  entry->time = g_get_real_time();
  entry->exit_status = exit_status;
  g_mutex_lock(&events->lock);
  entry->number = ++events->last;
  g_queue_push_tail(&events->entries, entry);
  if (g_queue_get_length(&events->entries) > EVENTS_MAX) entry_free(g_queue_pop_head(&events->entries));
  g_cond_broadcast(&events->added);
  g_mutex_unlock(&events->lock);
}

static const Entry *find(const Events *events, const char *id, guint64 after) {
  for (const GList *at = events->entries.head; at != NULL; at = at->next) {
    const Entry *entry = at->data;
    if (entry->number > after && (*id == '\0' || strcmp(entry->container_id, id) == 0)) return entry;
  }
  return NULL;
}

static Kata__V1__Event *to_message(const Entry *entry) {
  Kata__V1__Event *event = malloc(sizeof *event);
  kata__v1__event__init(event);
  event->number = entry->number;
  event->type = strdup(entry->type);
  event->container_id = strdup(entry->container_id);
  event->time = time_new_message(entry->time);
  event->exit_status = entry->exit_status;
  return event;
}

Kata__V1__Event *events_wait(Events *events, const char *id, guint64 after, guint32 timeout_ms) {
  gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
  const Entry *found = NULL;
  g_mutex_lock(&events->lock);
  while ((found = find(events, id, after)) == NULL)
    if (!g_cond_wait_until(&events->added, &events->lock, deadline)) break;
  Kata__V1__Event *event = found != NULL ? to_message(found) : NULL;
  g_mutex_unlock(&events->lock);
  return event;
}
