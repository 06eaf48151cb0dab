// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"
#include "common/error.h"
#include "signals.h"

static gboolean all;

const Option kill_options[] = {
    {"all", 'a', OPTION_FLAG, &all, NULL, "send the signal to all processes of the container"}, OPTIONS_END};

static int fail_not_running(GError **error) {
  if (all) return 0;
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "container not running");
  return 1;
}

int cmd_kill(App *app, char **operands, GError **error) {
  int number = SIGTERM;
  if (operands[1] != NULL && !signals_parse(operands[1], &number, error)) return 1;
  g_autoptr(kata_container) container = app_open_container(app, operands[0], error);
  if (container == NULL) return 1;
  int status = app_get_status(container, error);
  if (status < 0) return 1;
  if (status == KATA_CONTAINER_STOPPED) return fail_not_running(error);

  kata_error *err = NULL;
  if (kata_container_kill(container, number, all ? KATA_KILL_ALL : 0, &err) < 0) {
    if (kata_error_get_code(err) == KATA_ERR_NOT_FOUND) {
      kata_error_free(err);
      return fail_not_running(error);
    }
    app_take_error(err, error);
    g_prefix_error(error, all ? "unable to kill all processes: " : "unable to signal init: ");
    return 1;
  }
  /* A frozen process dies only once it is thawed. */
  if (number == SIGKILL && status == KATA_CONTAINER_PAUSED) kata_container_resume(container, 0, NULL);
  return 0;
}
