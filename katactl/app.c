// SPDX-License-Identifier: LGPL-2.1-or-later
#include "app.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/ids.h"

static gboolean log_is_file;

void app_free_text(char **text) { kata_free(*text); }

void app_take_error(kata_error *err, GError **error) {
  const char *detail = kata_error_get_detail(err);
  g_set_error(error, KATA_ERROR, (int)kata_error_get_code(err), "%s%s%s", kata_error_get_message(err),
              *detail != '\0' ? "\n" : "", detail);
  kata_error_free(err);
}

gboolean app_open_log(const char *file, const char *format, gboolean debug, GError **error) {
  gboolean is_json = g_strcmp0(format, "json") == 0;
  if (format != NULL && !is_json && strcmp(format, "text") != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid log-format: %s", format);
    return FALSE;
  }
  int fd = STDERR_FILENO;
  if (file != NULL && *file != '\0') {
    fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_SYNC | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0) {
      error_set_errno(error, errno, "open %s", file);
      return FALSE;
    }
    log_is_file = TRUE;
  }
  log_open(fd, is_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT, debug ? G_LOG_LEVEL_DEBUG : G_LOG_LEVEL_WARNING);
  log_tell_places(debug);
  return TRUE;
}

void app_report(const GError *error) {
  if (log_is_file) {
    log_error(error->message);
    fprintf(stderr, "%s\n", error->message);
    return;
  }
  /* On a terminal the other programs' words read better as lines of their own. */
  const char *detail = strchr(error->message, '\n');
  if (detail == NULL) {
    log_error(error->message);
    return;
  }
  g_autofree char *message = g_strndup(error->message, (gsize)(detail - error->message));
  log_error(message);
  fprintf(stderr, "%s\n", detail + 1);
}

kata_container *app_open_container(App *app, const char *id, GError **error) {
  if (!id_check(id, "container", error)) return NULL;
  kata_error *err = NULL;
  kata_container *container = kata_container_open(app->context, id, 0, &err);
  if (container != NULL) return container;
  if (kata_error_get_code(err) == KATA_ERR_NOT_FOUND) {
    kata_error_free(err);
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "container does not exist");
  } else {
    app_take_error(err, error);
  }
  return NULL;
}

kata_sandbox *app_open_sandbox_of(App *app, const char *id, GError **error) {
  if (!id_check(id, "container", error)) return NULL;
  kata_error *err = NULL;
  g_autoptr(kata_container) container = kata_container_open(app->context, id, 0, NULL);
  const char *sandbox_id = container != NULL ? kata_container_get_sandbox_id(container) : id;
  kata_sandbox *sandbox = kata_sandbox_open(app->context, sandbox_id, 0, &err);
  if (sandbox != NULL) return sandbox;
  if (kata_error_get_code(err) == KATA_ERR_NOT_FOUND) {
    kata_error_free(err);
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "no container or sandbox '%s': it does not exist", id);
  } else {
    app_take_error(err, error);
  }
  return NULL;
}

int app_get_status(kata_container *container, GError **error) {
  kata_error *err = NULL;
  int status = kata_container_get_status(container, &err);
  if (status < 0) app_take_error(err, error);
  return status;
}
