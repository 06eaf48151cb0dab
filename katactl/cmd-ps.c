// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string.h>

#include "commands.h"
#include "common/error.h"
#include "process-table.h"
#include "state-json.h"

static const char *format = "table";

const Option ps_options[] = {{"format", 'f', OPTION_TEXT, &format, "table|json", "how to show them"}, OPTIONS_END};

int cmd_ps(App *app, char **operands, GError **error) {
  gboolean is_json = strcmp(format, "json") == 0;
  if (!is_json && strcmp(format, "table") != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid format option");
    return 1;
  }
  g_autoptr(ProcessTable) table = process_table_new(operands + 1, error);
  g_autoptr(kata_container) container = table != NULL ? app_open_container(app, operands[0], error) : NULL;
  if (container == NULL) return 1;
  int status = app_get_status(container, error);
  if (status < 0) return 1;
  kata_error *err = NULL;
  autokatafree char *document =
      status != KATA_CONTAINER_STOPPED ? kata_container_get_processes(container, 0, &err) : NULL;
  if (document == NULL && status != KATA_CONTAINER_STOPPED) {
    app_take_error(err, error);
    return 1;
  }
  g_autoptr(json_object) processes = json_tokener_parse(document != NULL ? document : "[]");
  if (!json_object_is_type(processes, json_type_array)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "cannot read the list of processes");
    return 1;
  }
  g_autofree char *text = is_json ? process_table_list_host_pids(processes)
                                  : process_table_print(table, processes, g_get_real_time() / G_USEC_PER_SEC);
  fputs(text, stdout);
  if (is_json) putchar('\n');
  return 0;
}
