// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"
#include "common/error.h"
#include "state-json.h"

static const char *get_text(json_object *finding, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(finding, key, &value) && value != NULL ? json_object_get_string(value) : "";
}

static gboolean get_flag(json_object *finding, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(finding, key, &value) && json_object_get_boolean(value);
}

static void print_finding(json_object *finding) {
  const char *verdict = !get_flag(finding, "ok") ? "missing" : get_flag(finding, "warning") ? "warning" : "ok";
  const char *remedy = get_text(finding, "remedy");
  printf("%-8s %-16s %s\n", verdict, get_text(finding, "name"), get_text(finding, "text"));
  if (*remedy != '\0') printf("%-8s %-16s -> %s\n", "", "", remedy);
}

int cmd_check(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  autokatafree char *document = kata_host_check(app->context, 0, &err);
  if (document == NULL) {
    app_take_error(err, error);
    return 1;
  }
  g_autoptr(json_object) findings = json_tokener_parse(document);
  gsize count = json_object_is_type(findings, json_type_array) ? json_object_array_length(findings) : 0;
  gsize n_missing = 0;
  for (gsize i = 0; i < count; i++) {
    json_object *finding = json_object_array_get_idx(findings, i);
    print_finding(finding);
    if (!get_flag(finding, "ok")) n_missing++;
  }
  if (count > 0 && n_missing == 0) {
    puts("This host can run guests.");
    return 0;
  }
  printf("This host cannot run guests: %zu of %zu checks failed.\n", n_missing, count);
  return 1;
}
