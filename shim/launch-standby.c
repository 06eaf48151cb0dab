// SPDX-License-Identifier: LGPL-2.1-or-later
/* A start that takes a guest over which stood by (pool.h). */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "lib/paths.h"
#include "shim/cgroup.h"
#include "shim/launch-private.h"
#include "shim/net-namespace.h"
#include "shim/pool.h"
#include "shim/template.h"

#define OOM_SCORE_LIMIT 32u

/* ---- whether it fits ---- */

/* Limits are part of a guest's size with static_sandbox_resource_mgmt, a checkpoint brings a machine of its own: when
 * the guest was chosen nobody knew of either. */
static gboolean fits(Sandbox *sandbox) {
  g_autofree char *key = NULL;
  g_autoptr(VmConfig) config = sandbox->restoring == NULL ? template_make_config(sandbox, &key, NULL) : NULL;
  return config != NULL && strcmp(key, sandbox->standby->key) == 0;
}

static void remove_file(const Sandbox *sandbox, const char *name) {
  g_autofree char *path = launch_in_dir(sandbox, name);
  unlink(path);
}

/* The directory is then as if it had been made for the sandbox. */
gboolean launch_check_standby(Sandbox *sandbox, GError **error) {
  if (sandbox->standby == NULL || fits(sandbox)) return TRUE;
  g_debug("sandbox '%s' needs another guest than the one that stood by", sandbox->id);
  g_clear_pointer(&sandbox->standby, pool_member_free);
  g_autofree char *libvirt = launch_in_dir(sandbox, PATHS_LIBVIRT);
  vm_kill_strays(sandbox->dir);
  remove_file(sandbox, PATHS_AGENT_SOCKET);
  remove_file(sandbox, PATHS_CONSOLE_LOG);
  return safe_remove_tree(libvirt, error);
}

/* ---- taking it over ---- */

/* What it would have inherited, had the owner started it. */
static gboolean bring_home(const Sandbox *sandbox, GError **error) {
  pid_t machine = vm_get_pid(sandbox->vm);
  g_auto(GStrv) cgroups = cgroup_find(getpid());
  if (cgroups != NULL && !cgroup_add(cgroups, machine, error)) return FALSE;
  g_autofree char *path = g_strdup_printf("/proc/%d/oom_score_adj", (int)machine);
  g_autofree char *score = safe_read_file("/proc/self/oom_score_adj", OOM_SCORE_LIMIT, NULL, NULL);
  autofd int file = score != NULL ? open(path, O_WRONLY | O_CLOEXEC) : -1;
  if (score != NULL && (file < 0 || !fd_write_all(file, score, strlen(score))))
    g_warning("cannot set oom_score_adj of QEMU to %s", g_strchomp(score));
  return TRUE;
}

/* Its machine is in no network namespace: later owners find the sandbox's by this mount. */
static gboolean mount_network(Sandbox *sandbox, GError **error) {
  g_autofree char *path = launch_in_dir(sandbox, PATHS_NETNS);
  if (!net_namespace_mount(net_get_namespace(sandbox->net), path, error)) return FALSE;
  sandbox->netns_mount = g_steal_pointer(&path);
  return TRUE;
}

gboolean launch_find_standby(Sandbox *sandbox, const VmConfig *config, GError **error) {
  if (mount_network(sandbox, error) && vm_find(sandbox->vm, config->name, error) && bring_home(sandbox, error))
    return TRUE;
  vm_kill_strays(sandbox->dir);
  return FALSE;
}
