// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"
#include "common/error.h"
#include "common/ids.h"

static gboolean force;

const Option delete_options[] = {
    {"force", 'f', OPTION_FLAG, &force, NULL, "kill it first if it runs; no error if there is none"}, OPTIONS_END};

/* The first container of a sandbox, which gave it its name, may go before the others. */
static gboolean has_containers(App *app, const char *sandbox_id) {
  char **ids = kata_container_list(app->context, 0, NULL);
  gboolean found = FALSE;
  for (guint i = 0; ids != NULL && ids[i] != NULL && !found; i++) {
    g_autoptr(kata_container) container = kata_container_open(app->context, ids[i], 0, NULL);
    found = container != NULL && g_strcmp0(kata_container_get_sandbox_id(container), sandbox_id) == 0;
  }
  kata_strv_free(ids);
  return found;
}

/* What a start that was killed half-way has left: a sandbox without its container. */
static int delete_left_over(App *app, const char *id, GError **error) {
  kata_error *err = NULL;
  if (has_containers(app, id)) return 0;
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_open(app->context, id, 0, NULL);
  if (sandbox == NULL || kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, &err) == 0) return 0;
  if (kata_error_get_code(err) == KATA_ERR_NOT_FOUND) {
    kata_error_free(err);
    return 0;
  }
  app_take_error(err, error);
  return 1;
}

static gboolean check_not_running(kata_container *container, GError **error) {
  int status = app_get_status(container, error);
  if (status < 0) return FALSE;
  if (status != KATA_CONTAINER_RUNNING && status != KATA_CONTAINER_PAUSED) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot delete container %s that is not stopped: %s",
              kata_container_get_id(container), status == KATA_CONTAINER_PAUSED ? "paused" : "running");
  return FALSE;
}

int cmd_delete(App *app, char **operands, GError **error) {
  const char *id = operands[0];
  g_autoptr(kata_container) container = app_open_container(app, id, error);
  if (container == NULL) {
    if (!force || !g_error_matches(*error, KATA_ERROR, KATA_ERR_NOT_FOUND)) return 1;
    g_clear_error(error);
    return delete_left_over(app, id, error);
  }
  if (!force && !check_not_running(container, error)) return 1;

  kata_error *err = NULL;
  guint32 flags = KATA_CONTAINER_DELETE_SANDBOX | (force ? KATA_CONTAINER_DELETE_FORCE : 0);
  if (kata_container_delete(container, flags, NULL, &err) == 0) return 0;
  if (force && kata_error_get_code(err) == KATA_ERR_NOT_FOUND) {
    kata_error_free(err);
    return delete_left_over(app, id, error);
  }
  app_take_error(err, error);
  return 1;
}
