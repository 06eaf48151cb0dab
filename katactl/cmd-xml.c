// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"
#include "common/error.h"
#include "common/ids.h"

#define DEFAULT_ID "sandbox"

static const char *bundle;

const Option xml_options[] = {
    {"bundle", 'b', OPTION_TEXT, &bundle, "DIR", "of the guest this bundle would get; ID then is only a name"},
    OPTIONS_END};

static char *get_running(App *app, const char *id, GError **error) {
  kata_error *err = NULL;
  g_autoptr(kata_sandbox) sandbox = app_open_sandbox_of(app, id, error);
  if (sandbox == NULL) return NULL;
  char *xml = kata_sandbox_get_domain_xml(sandbox, 0, &err);
  if (xml == NULL) app_take_error(err, error);
  return xml;
}

static char *build_for_bundle(App *app, const char *id, GError **error) {
  kata_error *err = NULL;
  g_autoptr(kata_settings) settings = kata_context_load_settings(app->context, 0, &err);
  gboolean is_ready = settings != NULL && kata_settings_load_annotations(settings, bundle, 0, &err) == 0;
  char *xml =
      is_ready ? kata_domain_xml_for_bundle(settings, id, kata_context_get_root(app->context), bundle, 0, &err) : NULL;
  if (xml == NULL) app_take_error(err, error);
  return xml;
}

int cmd_xml(App *app, char **operands, GError **error) {
  if (bundle == NULL && operands[0] == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "xml needs the ID of a container or sandbox, or --bundle DIR");
    return 1;
  }
  const char *id = operands[0] != NULL ? operands[0] : DEFAULT_ID;
  if (!id_check(id, "container", error)) return 1;
  autokatafree char *xml = bundle != NULL ? build_for_bundle(app, id, error) : get_running(app, id, error);
  if (xml == NULL) return 1;
  fputs(xml, stdout);
  if (!g_str_has_suffix(xml, "\n")) putchar('\n');
  return 0;
}
