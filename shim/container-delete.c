// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/container-delete.h"

#include <signal.h>

#include "common/error.h"
#include "shim/agent-link.h"
#include "shim/cgroup.h"
#include "shim/host-watch.h"
#include "shim/limits.h"
#include "shim/sandbox-dir.h"
#include "shim/store.h"
#include "shim/volumes.h"

/* What the end of a killed process may take. */
#define KILL_TIMEOUT_MS 10000

static gboolean remove_from_guest(Sandbox *sandbox, Container *container, GError **error) {
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  if (agent == NULL) return TRUE; /* what was in the guest ended with it */
  Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
  request.container_id = container->info->id;
  g_autoptr(GError) why = NULL;
  if (agent_call_remove_container(agent, &request, AGENT_CALL_TIMEOUT_MS, &why)) return TRUE;
  /* The connection is lost only with the guest, and may be so before QEMU's end is noticed. */
  if (why->code == KATA_ERR_UNAVAILABLE || sandbox_get_status(sandbox) == SANDBOX_STOPPED) return TRUE;
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

static gboolean end_processes(Sandbox *sandbox, Container *container, GError **error) {
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  if (process_get_status(container->init) != PROCESS_STOPPED && agent != NULL)
    agent_signal(agent, container->info->id, "", SIGKILL, NULL);
  g_autoptr(GPtrArray) processes = container_get_processes(container);
  for (guint i = 0; i < processes->len; i++) {
    Process *process = processes->pdata[i];
    /* Registered and never started: nothing in the guest ends it. */
    if (*process_get_exec_id(process) != '\0' && process_get_status(process) == PROCESS_CREATED)
      process_set_ended(process, PROCESS_STATUS_UNKNOWN);
    process_expect_end(process);
    if (!process_wait_stopped(process, KILL_TIMEOUT_MS)) {
      g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "container '%s': process '%s' did not end when killed",
                  container->info->id, process_get_agent_id(process));
      return FALSE;
    }
    process_finish(process);
  }
  return TRUE;
}

gboolean container_delete(Sandbox *sandbox, Container *container, pid_t peer, GError **error) {
  const char *id = container->info->id;
  g_mutex_lock(&container->lock);
  gboolean is_first = !container->deleting;
  container->deleting = TRUE;
  guint bound_watch = is_first ? container->bound_watch : 0;
  g_mutex_unlock(&container->lock);
  if (!is_first) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "container '%s' does not exist", id);
    return FALSE;
  }
  if (!end_processes(sandbox, container, error) || !remove_from_guest(sandbox, container, error)) {
    g_mutex_lock(&container->lock);
    container->deleting = FALSE;
    g_mutex_unlock(&container->lock);
    return FALSE;
  }
  volumes_release(sandbox, container);
  host_watch_remove(bound_watch);
  if (!cgroup_is_same(container->cgroups, sandbox->cgroups)) cgroup_remove(container->cgroups);
  sandbox_drop_container(sandbox, id);
  if (sandbox_count_containers(sandbox) > 0) limits_follow(sandbox);
  sandbox_dir_unlink(sandbox->root, id);
  g_autoptr(GError) save_error = NULL;
  if (!store_save(sandbox, &save_error)) g_warning("%s", save_error->message);
  container_run_last_hooks(container, peer);
  return TRUE;
}
