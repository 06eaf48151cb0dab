// SPDX-License-Identifier: LGPL-2.1-or-later
#include "activation.h"
#include "commands.h"
#include "common/error.h"
#include "state-json.h"

/* The process on the host is whose end the service manager shall wait for. */
static void notify_ready(kata_container *container) {
  autokatafree char *text = g_getenv("NOTIFY_SOCKET") != NULL ? kata_container_get_state(container, 0, NULL) : NULL;
  g_autoptr(json_object) state = text != NULL ? json_tokener_parse(text) : NULL;
  json_object *pid = NULL;
  if (json_object_object_get_ex(state, "pid", &pid)) activation_notify_ready(json_object_get_int(pid));
}

int cmd_start(App *app, char **operands, GError **error) {
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  if (container == NULL) return 1;
  kata_error *err = NULL;
  switch (app_get_status(container, error)) {
    case KATA_CONTAINER_CREATED:
      if (kata_container_start(container, 0, &err) == 0) {
        notify_ready(container);
        return 0;
      }
      app_take_error(err, error);
      return 1;
    case KATA_CONTAINER_STOPPED:
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot start a container that has stopped");
      return 1;
    case KATA_CONTAINER_RUNNING:
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot start an already running container");
      return 1;
    case KATA_CONTAINER_PAUSED:
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot start a container in the paused state");
      return 1;
    default:
      return 1;
  }
}
