// SPDX-License-Identifier: LGPL-2.1-or-later
#include "boot-chart.h"
#include "commands.h"
#include "common/error.h"
#include "state-json.h"

int cmd_boot_chart(App *app, char **operands, GError **error) {
  const char *id = operands[0];
  g_autoptr(kata_sandbox) sandbox = app_open_sandbox_of(app, id, error);
  if (sandbox == NULL) return 1;
  kata_error *err = NULL;
  autokatafree char *text = kata_sandbox_get_boot_timeline(sandbox, 0, &err);
  if (text == NULL) {
    app_take_error(err, error);
    return 1;
  }
  g_autoptr(json_object) steps = json_tokener_parse(text);
  if (!json_object_is_type(steps, json_type_array)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "cannot read the times of the start");
    return 1;
  }
  /* The times are the owner's, and end with it. */
  if (json_object_array_length(steps) == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
                "nothing is known of the start of '%s': another owner process has taken it over since", id);
    return 1;
  }
  g_autofree char *title = g_strdup_printf("start of '%s'", id);
  g_autofree char *svg = boot_chart_draw(title, steps);
  fputs(svg, stdout);
  return 0;
}
