// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "common/error.h"
#include "duration.h"
#include "state-json.h"
#include "stats-json.h"

/* Between two statistics, however short the interval is. */
#define PAUSE_MIN_US 10000

static const char *interval = "5s";
static gboolean stats_only;

const Option events_options[] = {
    {"interval", 0, OPTION_TEXT, &interval, "DURATION", "time between two statistics (default: 5s)"},
    {"stats", 0, OPTION_FLAG, &stats_only, NULL, "one line of statistics, and no more"},
    OPTIONS_END};

/* Takes data over. A reader in a pipe wants each line as it comes. */
static gboolean print_event(const char *type, const char *id, json_object *data, GError **error) {
  g_autofree char *line = stats_json_print_event(type, id, data);
  if (fputs(line, stdout) >= 0 && fflush(stdout) == 0) return TRUE;
  error_set_errno(error, errno, "cannot write the output");
  return FALSE;
}

static gboolean print_stats(kata_container *container, GError **error) {
  kata_error *err = NULL;
  autokatafree char *stats = kata_container_get_stats(container, 0, &err);
  if (stats == NULL) {
    app_take_error(err, error);
    return FALSE;
  }
  json_object *data = stats_json_build(stats, error);
  return data != NULL && print_event("stats", kata_container_get_id(container), data, error);
}

typedef enum { NEXT_NONE, NEXT_OTHER, NEXT_OOM, NEXT_END, NEXT_FAILED } Next;

static Next wait_event(kata_container *container, guint64 *position, guint timeout_ms, GError **error) {
  kata_error *err = NULL;
  autokatafree char *text = kata_container_next_event(container, position, timeout_ms, 0, &err);
  if (text == NULL) {
    Next next = kata_error_get_code(err) == KATA_ERR_TIMEOUT     ? NEXT_NONE
                : kata_error_get_code(err) == KATA_ERR_NOT_FOUND ? NEXT_END
                                                                 : NEXT_FAILED;
    if (next == NEXT_FAILED)
      app_take_error(err, error);
    else
      kata_error_free(err);
    return next;
  }
  g_autoptr(json_object) event = json_tokener_parse(text);
  json_object *type = NULL;
  const char *word = json_object_object_get_ex(event, "type", &type) ? json_object_get_string(type) : "";
  return strcmp(word, "oom") == 0 ? NEXT_OOM : strcmp(word, "exit") == 0 ? NEXT_END : NEXT_OTHER;
}

/* What happened before is not told. */
static Next skip_old(kata_container *container, guint64 *position, GError **error) {
  Next next;
  do next = wait_event(container, position, 1, error);
  while (next == NEXT_OTHER || next == NEXT_OOM);
  return next;
}

static int watch(kata_container *container, gint64 interval_us, GError **error) {
  guint64 position = 0;
  gint64 due = g_get_monotonic_time() + interval_us;
  Next next = skip_old(container, &position, error);
  while (next != NEXT_END && next != NEXT_FAILED) {
    gint64 left_ms = (due - g_get_monotonic_time() + 999) / 1000;
    if (left_ms <= 0) {
      g_autoptr(GError) why = NULL;
      gboolean printed = print_stats(container, &why);
      int status = printed ? -1 : app_get_status(container, NULL);
      /* It may be ending, or gone: the next event tells. */
      if (!printed && status >= 0 && status != KATA_CONTAINER_STOPPED) {
        g_propagate_error(error, g_steal_pointer(&why));
        return 1;
      }
      /* Also one who cannot keep up looks for the end. */
      due = MAX(due + interval_us, g_get_monotonic_time() + PAUSE_MIN_US);
      continue;
    }
    next = wait_event(container, &position, (guint)MIN(left_ms, G_MAXINT), error);
    if (next == NEXT_OOM && !print_event("oom", kata_container_get_id(container), NULL, error)) return 1;
  }
  return next == NEXT_FAILED ? 1 : 0;
}

int cmd_events(App *app, char **operands, GError **error) {
  gint64 interval_us = 0;
  if (!duration_parse(interval, &interval_us, error)) return 1;
  if (interval_us <= 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "duration interval must be greater than 0");
    return 1;
  }
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  int status = container != NULL ? app_get_status(container, error) : -1;
  if (status < 0) return 1;
  if (status == KATA_CONTAINER_STOPPED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "container with id %s is not running", operands[0]);
    return 1;
  }
  if (!stats_only) return watch(container, interval_us, error);
  return print_stats(container, error) ? 0 : 1;
}
