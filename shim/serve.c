// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/serve.h"

#include <glib-unix.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "common/error.h"
#include "lib/paths.h"
#include "shim/launch.h"
#include "shim/orphan.h"
#include "shim/service.h"
#include "shim/store.h"
#include "shim/times.h"
#include "shim/vm-loop.h"

/* A starter that dies before its first call leaves an owner nobody knows of. */
#define FIRST_CALL_TIMEOUT_SECONDS 10
/* How long the end of this program waits for containerd to take its last events. */
#define EVENTS_TIMEOUT_MS 3000

static gboolean on_no_call(gpointer user_data) {
  Owner *owner = user_data;
  if (sandbox_get_status(owner->sandbox) != SANDBOX_CREATED || service_was_called(owner)) return G_SOURCE_REMOVE;
  g_warning("nobody has called within %d s: the sandbox is removed", FIRST_CALL_TIMEOUT_SECONDS);
  sandbox_stop(owner->sandbox, 0);
  sandbox_remove(owner->sandbox);
  g_main_loop_quit(owner->loop);
  return G_SOURCE_REMOVE;
}

/* As runc's are after a "systemctl stop" of their scope: there, and stopped, until somebody deletes them. containerd
 * asks this program's "delete" to remove what a shim that is gone has left. */
static gboolean has_lasting_containers(Sandbox *sandbox) {
  g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
  for (guint i = 0; sandbox->publisher == NULL && i < containers->len; i++) {
    const Container *container = containers->pdata[i];
    pid_t host_pid = (pid_t)process_get_host_pid(container->init);
    /* The foreground run that would delete it may be gone as well. */
    if (!container->bound || (host_pid > 0 && kill(host_pid, 0) == 0)) return TRUE;
  }
  return FALSE;
}

static gpointer end_thread(gpointer user_data) {
  Owner *owner = user_data;
  sandbox_stop(owner->sandbox, 0);
  if (!has_lasting_containers(owner->sandbox)) sandbox_remove(owner->sandbox);
  service_quit(owner);
  return NULL;
}

static gboolean on_terminate(gpointer user_data) {
  g_message("asked to terminate: the sandbox is stopped");
  g_thread_unref(g_thread_new("end", end_thread, user_data));
  return G_SOURCE_CONTINUE;
}

/* The processes of a restored container go on; what had ended meanwhile the agent still knows. */
static void attach_container(Container *container, TtrpcClient *agent) {
  g_autoptr(GPtrArray) processes = container_get_processes(container);
  for (guint i = 0; i < processes->len; i++) {
    Process *process = processes->pdata[i];
    gboolean in_guest = process == container->init || process_get_status(process) == PROCESS_RUNNING;
    if (in_guest) process_attach(process, agent);
  }
}

/* NULL of none. */
static char **copy_list(char *const *list, size_t length) {
  char **copy = length > 0 ? g_new0(char *, length + 1) : NULL;
  for (size_t i = 0; i < length; i++) copy[i] = g_strdup(list[i]);
  return copy;
}

/* Where the earlier owner was. This one's home need not be outside: a monitor, which is in the cgroup, may be the first
 * to find that there is no owner, and start one. */
static void join_cgroup(Sandbox *sandbox, const Kata__V1__SandboxState *state) {
  char **directories = copy_list(state->cgroups, state->n_cgroups);
  if (directories == NULL) return;
  sandbox->scope = *state->scope != '\0' ? g_strdup(state->scope) : NULL;
  char **home = copy_list(state->home_cgroups, state->n_home_cgroups);
  g_autoptr(GError) error = NULL;
  if (!sandbox_join_cgroup(sandbox, directories, home, &error)) g_warning("%s", error->message);
}

/* Takes over what an earlier owner left; a guest that is gone by now leaves stopped containers. */
static void adopt(Sandbox *sandbox, const Kata__V1__SandboxState *state) {
  sandbox->vsock_cid = state->vsock_cid;
  sandbox->created_at = time_from_message(state->created_at);
  sandbox->machine_pid = state->qemu_pid;
  for (size_t i = 0; i < state->n_containers; i++) {
    g_autoptr(Container) container =
        container_restore(state->containers[i], sandbox->publisher, sandbox_on_process_ended, sandbox);
    sandbox_add_container(sandbox, container);
  }
  g_autoptr(GError) error = NULL;
  if (state->pod != NULL) sandbox->pod = oci_linux_copy(state->pod);
  if (*state->netns_mount != '\0') sandbox->netns_mount = g_strdup(state->netns_mount);
  sandbox->shm_is_free = state->shm_is_free;
  sandbox->base_size = (VmSize){state->base_vcpus, state->base_memory_mib};
  sandbox->size = (VmSize){state->vcpus, state->memory_mib};
  sandbox->untaken = (VmSize){state->untaken_vcpus, state->untaken_memory_mib};
  g_mutex_lock(&sandbox->lock);
  sandbox->status = SANDBOX_RUNNING;
  sandbox->netns_chosen = TRUE;
  g_mutex_unlock(&sandbox->lock);
  if (state->qemu_pid == 0 && state->network != NULL) {
    g_autoptr(Net) net = net_find_stray(state->network, 0, "");
    if (net != NULL) net_disconnect(net);
  }
  if (state->qemu_pid == 0 || !launch_adopt(sandbox, state, &error)) {
    sandbox_guest_lost(sandbox, error != NULL ? error->message : "the guest has ended while it had no owner");
    return;
  }
  join_cgroup(sandbox, state); /* systemd waits for whoever is in a scope that it stops */
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
  for (guint i = 0; i < containers->len && agent != NULL; i++) attach_container(containers->pdata[i], agent);
  g_message("sandbox '%s' has been taken over", sandbox->id);
}

static gpointer adopt_thread(gpointer user_data) {
  gpointer *data = user_data;
  Owner *owner = data[0];
  adopt(owner->sandbox, data[1]);
  g_autoptr(GError) error = NULL;
  if (!store_save(owner->sandbox, &error)) g_warning("%s", error->message);
  g_main_loop_quit(owner->loop);
  return NULL;
}

/* Whoever would have removed this may have ended while there was no owner to see it. */
static void bind_again(Owner *owner, const Kata__V1__SandboxState *state) {
  g_autoptr(GPtrArray) containers = sandbox_get_containers(owner->sandbox);
  for (guint i = 0; i < containers->len; i++) orphan_watch_container(owner, containers->pdata[i]);
  if (state->bound) orphan_bind_sandbox(owner, 0);
}

int serve(Sandbox *sandbox, int listen_fd, const Kata__V1__SandboxState *state) {
  /* Many threads that mostly wait: a heap for each would cost more than it saves. */
  mallopt(M_ARENA_MAX, 2);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  vm_loop_use_main();
  Owner *owner = owner_new(sandbox);
  g_unix_signal_add(SIGTERM, on_terminate, owner);
  g_unix_signal_add(SIGINT, on_terminate, owner);
  task_service_add(owner);
  sandbox_service_add(owner);
  owner_service_add(owner);
  if (state != NULL) {
    /* Callers wait in the socket's backlog until what they ask about is known; the loop already watches the guest. */
    gpointer data[] = {owner, (gpointer)state};
    GThread *thread = g_thread_new("adopt", adopt_thread, data);
    g_main_loop_run(owner->loop);
    g_thread_join(thread);
    bind_again(owner, state);
  } else {
    g_timeout_add_seconds(FIRST_CALL_TIMEOUT_SECONDS, on_no_call, owner);
  }
  ttrpc_server_listen(owner->server, listen_fd, TRUE);
  g_main_loop_run(owner->loop);
  /* The last word is containerd's only news of it; one that is away asks "delete" when it is back. */
  publisher_flush(sandbox->publisher, EVENTS_TIMEOUT_MS);
  return 0;
}
