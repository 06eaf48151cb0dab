// SPDX-License-Identifier: LGPL-2.1-or-later
/* A start from a template instead of a boot. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "lib/domain-xml.h"
#include "shim/agent-link.h"
#include "shim/launch-private.h"
#include "shim/store.h"
#include "shim/template.h"

/* It need not boot; on a busy machine without KVM even this takes its time. */
#define ANSWER_TIMEOUT_MS 20000

typedef struct {
  Sandbox *sandbox;
  const VmConfig *config;
  const char *path;
} Start;

/* ---- the machine ---- */

static gboolean plug(Vm *vm, char *device_xml, const char *what, GError **error) {
  g_autofree char *xml = device_xml;
  return xml != NULL && vm_attach(vm, xml, what, error);
}

static gboolean plug_all(const Start *start, GError **error) {
  Vm *vm = start->sandbox->vm;
  if (start->config->virtiofs_socket != NULL &&
      !plug(vm, domain_xml_build_share(start->config, error), "cannot plug the shared directory in", error))
    return FALSE;
  for (guint i = 0; i < start->config->nics->len; i++)
    if (!plug(vm, domain_xml_build_nic(start->config->nics->pdata[i], error), "cannot plug a network card in", error))
      return FALSE;
  return TRUE;
}

/* In the sandbox's network namespace: taps come to be there. The guest sees its devices as soon as it runs. */
static gboolean start_here(gpointer data, GError **error) {
  const Start *start = data;
  Sandbox *sandbox = start->sandbox;
  return vm_restore(sandbox->vm, start->path, start->config->name, sandbox->domain_xml, error) &&
         plug_all(start, error) && vm_resume(sandbox->vm, error);
}

static gboolean renew_guest(Sandbox *sandbox, GError **error) {
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  return agent != NULL && agent_renew_guest(agent, ANSWER_TIMEOUT_MS, error);
}

static gboolean start_machine(const Start *start, GError **error) {
  Sandbox *sandbox = start->sandbox;
  g_free(sandbox->domain_xml);
  sandbox->domain_xml = domain_xml_build(start->config, error);
  if (sandbox->domain_xml == NULL ||
      !net_namespace_run(net_get_namespace(sandbox->net), start_here, (gpointer)start, error) ||
      !net_connect(sandbox->net, error))
    return FALSE;
  sandbox_watch(sandbox);
  return store_save(sandbox, error) && launch_connect_agent(sandbox, TRUE, ANSWER_TIMEOUT_MS, error) &&
         renew_guest(sandbox, error);
}

/* ---- the step ---- */

/* virtiofsd serves one machine and ends with it: there is a new one for the next. */
static gboolean undo_start(Sandbox *sandbox, GError **error) {
  launch_undo_agent(sandbox);
  launch_undo_machine(sandbox);
  g_clear_pointer(&sandbox->domain_xml, g_free);
  launch_undo_share(sandbox);
  g_autofree char *socket = launch_in_dir(sandbox, PATHS_VIRTIOFS_SOCKET);
  unlink(socket);
  return launch_step_share(sandbox, error);
}

/* Those that are used least go first when there are too many. */
static void note_use(const char *path) { utimensat(AT_FDCWD, path, NULL, 0); }

gboolean launch_from_template(Sandbox *sandbox, GError **error) {
  if (!template_is_wanted(sandbox)) return TRUE;
  g_autoptr(GError) why = NULL;
  g_autoptr(VmConfig) config = template_make_config(sandbox, &sandbox->template_key, &why);
  if (config == NULL) {
    g_debug("sandbox '%s' can start from no template: %s", sandbox->id, why->message);
    return TRUE;
  }
  g_autofree char *path = template_path(sandbox->settings, sandbox->template_key);
  if (access(path, F_OK) < 0) return TRUE;
  launch_wait_for_turn(sandbox);
  Start start = {sandbox, config, path};
  sandbox->from_template = start_machine(&start, &why);
  if (sandbox->from_template) {
    note_use(path);
    return TRUE;
  }
  if (!undo_start(sandbox, error) || launch_is_cancelled(sandbox, error)) return FALSE;
  g_warning("sandbox '%s' boots, since it could not start from its template: %s", sandbox->id, why->message);
  template_discard(sandbox->settings, sandbox->template_key);
  return TRUE;
}
