// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"
#include "common/error.h"

int cmd_pause(App *app, char **operands, GError **error) {
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  if (container == NULL) return 1;
  int status = app_get_status(container, error);
  if (status < 0) return 1;
  kata_error *err = NULL;
  if (status == KATA_CONTAINER_STOPPED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "container not running");
    return 1;
  }
  if (kata_container_pause(container, 0, &err) == 0) return 0;
  app_take_error(err, error);
  return 1;
}

int cmd_resume(App *app, char **operands, GError **error) {
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  if (container == NULL) return 1;
  int status = app_get_status(container, error);
  if (status < 0) return 1;
  kata_error *err = NULL;
  if (status != KATA_CONTAINER_PAUSED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "container not paused");
    return 1;
  }
  if (kata_container_resume(container, 0, &err) == 0) return 0;
  app_take_error(err, error);
  return 1;
}
