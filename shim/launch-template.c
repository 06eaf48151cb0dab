// SPDX-License-Identifier: LGPL-2.1-or-later
/* A start from a template instead of a boot. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "lib/domain-xml.h"
#include "shim/agent-link.h"
#include "shim/launch-private.h"
#include "shim/pool.h"
#include "shim/store.h"
#include "shim/template.h"

/* It need not boot; on a busy machine without KVM even this takes its time. */
#define ANSWER_TIMEOUT_MS 20000

typedef struct {
  Sandbox *sandbox;
  const VmConfig *config;
  const char *path; /* NULL: it stands by */
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
  gboolean is_there = start->path != NULL
                          ? vm_restore(sandbox->vm, start->path, start->config->name, sandbox->domain_xml, error)
                          : launch_find_standby(sandbox, start->config, error);
  return is_there && plug_all(start, error) && vm_resume(sandbox->vm, error);
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

/* It may be the sandbox's own fault, or the host's: that is known once a boot has worked. */
static void suspect(Sandbox *sandbox, const GError *why) {
  g_free(sandbox->template_trouble);
  sandbox->template_trouble = g_strdup(why->message);
}

void launch_blame_template(Sandbox *sandbox) {
  if (sandbox->from_template || sandbox->template_trouble == NULL) return;
  template_discard(sandbox->settings, sandbox->template_key);
  template_note_failure(sandbox->settings, sandbox->template_key, sandbox->template_trouble);
}

/* FALSE: it cannot go on at all. */
static gboolean give_up(Sandbox *sandbox, const char *from, const GError *why, GError **error) {
  sandbox->from_template = FALSE;
  if (!undo_start(sandbox, error) || launch_is_cancelled(sandbox, error)) return FALSE;
  g_warning("sandbox '%s' could not start from %s: %s", sandbox->id, from, why->message);
  return TRUE;
}

/* FALSE: it cannot go on at all. Else sandbox->from_template says whether the guest runs. */
static gboolean try_start(Sandbox *sandbox, const VmConfig *config, const char *path, const char *from,
                          GError **error) {
  g_autoptr(GError) why = NULL;
  Start start = {sandbox, config, path};
  sandbox->from_template = start_machine(&start, &why);
  if (sandbox->from_template) return TRUE;
  if (!give_up(sandbox, from, why, error)) return FALSE;
  if (path != NULL) suspect(sandbox, why);
  return TRUE;
}

/* Such a guest may not see what was plugged in: its kernel cannot, or was told not to. */
gboolean launch_leave_template(Sandbox *sandbox, const GError *why, GError **error) {
  if (!give_up(sandbox, "its template", why, error)) return FALSE;
  if (template_is_wanted(sandbox)) suspect(sandbox, why);
  return TRUE;
}

/* NULL: it can start from no template, and from no guest that has. */
static VmConfig *make_config(Sandbox *sandbox) {
  g_autoptr(GError) why = NULL;
  VmConfig *config = template_make_config(sandbox, &sandbox->template_key, &why);
  if (config == NULL) g_debug("sandbox '%s' can start from no template: %s", sandbox->id, why->message);
  return config;
}

gboolean launch_from_template(Sandbox *sandbox, GError **error) {
  gboolean is_wanted = template_is_wanted(sandbox);
  g_autoptr(VmConfig) config = is_wanted || sandbox->standby != NULL ? make_config(sandbox) : NULL;
  if (config == NULL) return TRUE;
  if (sandbox->standby != NULL && !try_start(sandbox, config, NULL, "the guest that stood by", error)) return FALSE;
  sandbox->from_pool = sandbox->standby != NULL && sandbox->from_template;
  g_clear_pointer(&sandbox->standby, pool_member_free);
  g_autofree char *path = template_path(sandbox->settings, sandbox->template_key);
  if (sandbox->from_template || !is_wanted || access(path, F_OK) < 0) return TRUE;
  launch_wait_for_turn(sandbox);
  if (!try_start(sandbox, config, path, "its template", error)) return FALSE;
  if (sandbox->from_template) note_use(path);
  return TRUE;
}
