// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "lib/host.h"
#include "lib/paths.h"
#include "proto/shim-sandbox.pb-c.h"
#include "shim/agent-link.h"
#include "shim/cgroup.h"
#include "shim/console.h"
#include "shim/launch.h"
#include "shim/net-follow.h"
#include "shim/pool.h"
#include "shim/sandbox-dir.h"
#include "shim/store.h"
#include "shim/task-events.h"
#include "shim/times.h"

/* A process that a stop ended, as if its init had been killed (128 + SIGKILL). */
#define STATUS_KILLED 137
/* What threads of ended processes may take to notice. */
#define PROCESS_END_TIMEOUT_MS 2000
/* How long the end of a container waits to be told after those of what was executed in it. */
#define EXEC_END_TIMEOUT_MS 1000

static gboolean resolve(const kata_settings *settings, Accelerator *ret_accelerator, AgentChannel *ret_channel,
                        GError **error) {
  return host_resolve_accelerator(settings_get_accelerator(settings), ret_accelerator, error) &&
         host_resolve_channel(settings_get_channel(settings), ret_channel, error);
}

gboolean sandbox_change_settings(Sandbox *sandbox, kata_settings *settings, GError **error) {
  Accelerator accelerator;
  AgentChannel channel;
  if (!resolve(settings, &accelerator, &channel, error) ||
      (accelerator != sandbox->accelerator && !share_change_kvm(accelerator == ACCELERATOR_TCG, error)))
    return FALSE;
  kata_settings_unref(sandbox->settings);
  sandbox->settings = kata_settings_ref(settings);
  sandbox->accelerator = accelerator;
  sandbox->channel = channel;
  return TRUE;
}

Sandbox *sandbox_new(const char *namespace_, const char *id, const char *root, kata_settings *settings,
                     GError **error) {
  Accelerator accelerator;
  AgentChannel channel;
  if (!resolve(settings, &accelerator, &channel, error)) return NULL;
  Sandbox *sandbox = g_new0(Sandbox, 1);
  sandbox->namespace_ = g_strdup(namespace_);
  sandbox->id = g_strdup(id);
  sandbox->root = g_strdup(root);
  sandbox->dir = sandbox_dir_find(root, id);
  sandbox->settings = kata_settings_ref(settings);
  sandbox->accelerator = accelerator;
  sandbox->channel = channel;
  sandbox->timeline = timeline_new();
  sandbox->events = events_new();
  sandbox->created_at = g_get_real_time();
  sandbox->netns = sandbox->resolv_conf = -1;
  sandbox->boot_slot = -1;
  sandbox->status = SANDBOX_CREATED;
  g_mutex_init(&sandbox->lock);
  g_cond_init(&sandbox->changed);
  g_mutex_init(&sandbox->removal);
  g_mutex_init(&sandbox->teardown);
  g_mutex_init(&sandbox->resizing);
  g_mutex_init(&sandbox->store);
  sandbox->containers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)container_unref);
  sandbox->waiters = g_ptr_array_new();
  sandbox->follow = net_follow_new();
  return sandbox;
}

void sandbox_free(Sandbox *sandbox) {
  if (sandbox == NULL) return;
  sandbox_unwatch(sandbox);
  g_clear_pointer(&sandbox->follow, net_follow_free);
  g_clear_pointer(&sandbox->share, share_free);
  g_clear_pointer(&sandbox->disks, disks_free);
  g_clear_pointer(&sandbox->vm, vm_free);
  g_clear_pointer(&sandbox->net, net_free);
  fd_clear(&sandbox->netns);
  fd_clear(&sandbox->resolv_conf);
  g_free(sandbox->netns_path);
  ttrpc_client_unref(sandbox->agent);
  g_hash_table_unref(sandbox->containers);
  g_ptr_array_unref(sandbox->waiters);
  timeline_free(sandbox->timeline);
  events_free(sandbox->events);
  g_strfreev(sandbox->home_cgroups);
  g_strfreev(sandbox->cgroups);
  g_free(sandbox->scope);
  g_strfreev(sandbox->dns);
  if (sandbox->pod != NULL) protobuf_c_message_free_unpacked(&sandbox->pod->base, NULL);
  g_free(sandbox->hostname);
  kata_settings_unref(sandbox->settings);
  g_cond_clear(&sandbox->changed);
  g_mutex_clear(&sandbox->lock);
  g_mutex_clear(&sandbox->removal);
  g_mutex_clear(&sandbox->teardown);
  g_mutex_clear(&sandbox->resizing);
  g_mutex_clear(&sandbox->store);
  g_free(sandbox->domain_xml);
  g_free(sandbox->template_key);
  g_free(sandbox->template_trouble);
  pool_member_free(sandbox->standby);
  g_free(sandbox->netns_mount);
  g_free(sandbox->dir);
  g_free(sandbox->root);
  g_free(sandbox->id);
  g_free(sandbox->namespace_);
  g_free(sandbox);
}

SandboxStatus sandbox_get_status(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  SandboxStatus status = sandbox->status;
  g_mutex_unlock(&sandbox->lock);
  return status;
}

TtrpcClient *sandbox_get_agent(Sandbox *sandbox, GError **error) {
  g_mutex_lock(&sandbox->lock);
  gboolean is_paused = sandbox->is_paused;
  TtrpcClient *agent = sandbox->agent != NULL && !is_paused ? ttrpc_client_ref(sandbox->agent) : NULL;
  SandboxStatus status = sandbox->status;
  g_mutex_unlock(&sandbox->lock);
  if (agent == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
                status == SANDBOX_STOPPED ? "the guest of sandbox '%s' has ended"
                : is_paused               ? "sandbox '%s' is paused: resume it first"
                                          : "sandbox '%s' has not been started",
                sandbox->id);
  return agent;
}

gboolean sandbox_is_paused(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  gboolean is_paused = sandbox->is_paused && sandbox->status == SANDBOX_RUNNING;
  g_mutex_unlock(&sandbox->lock);
  return is_paused;
}

gboolean sandbox_check_running(Sandbox *sandbox, GError **error) {
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  return agent != NULL;
}

/* Not beside a change of its size, which asks the guest; that lock also keeps the machine. */
gboolean sandbox_set_paused(Sandbox *sandbox, gboolean paused, GError **error) {
  g_mutex_lock(&sandbox->resizing);
  gboolean is_paused = sandbox_is_paused(sandbox), done = FALSE;
  if (is_paused == paused && is_paused)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "sandbox '%s' is paused already", sandbox->id);
  else if (is_paused == paused && sandbox_check_running(sandbox, error))
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "sandbox '%s' is not paused", sandbox->id);
  else if (is_paused != paused && (is_paused || sandbox_check_running(sandbox, error)))
    done = paused ? vm_suspend(sandbox->vm, error) : vm_resume(sandbox->vm, error);
  if (done) {
    g_mutex_lock(&sandbox->lock);
    sandbox->is_paused = paused;
    g_mutex_unlock(&sandbox->lock);
  }
  g_mutex_unlock(&sandbox->resizing);
  if (done && !paused) net_follow_look(sandbox);
  return done;
}

guint32 sandbox_get_hypervisor_pid(Sandbox *sandbox) {
  return sandbox_get_status(sandbox) == SANDBOX_RUNNING ? sandbox->machine_pid : 0;
}

/* ---- containers ---- */

Container *sandbox_find_container(Sandbox *sandbox, const char *id, GError **error) {
  g_mutex_lock(&sandbox->lock);
  Container *container = g_hash_table_lookup(sandbox->containers, id);
  if (container != NULL) container_ref(container);
  g_mutex_unlock(&sandbox->lock);
  if (container == NULL) g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "container '%s' does not exist", id);
  return container;
}

void sandbox_add_container(Sandbox *sandbox, Container *container) {
  g_mutex_lock(&sandbox->lock);
  g_hash_table_insert(sandbox->containers, g_strdup(container->info->id), container_ref(container));
  g_mutex_unlock(&sandbox->lock);
}

void sandbox_drop_container(Sandbox *sandbox, const char *id) {
  g_mutex_lock(&sandbox->lock);
  g_hash_table_remove(sandbox->containers, id);
  g_mutex_unlock(&sandbox->lock);
}

static gint compare_containers(gconstpointer a, gconstpointer b) {
  const Container *const *left = a, *const *right = b;
  return strcmp((*left)->info->id, (*right)->info->id);
}

GPtrArray *sandbox_get_containers(Sandbox *sandbox) {
  GPtrArray *containers = g_ptr_array_new_with_free_func((GDestroyNotify)container_unref);
  g_mutex_lock(&sandbox->lock);
  GHashTableIter iter;
  gpointer container;
  g_hash_table_iter_init(&iter, sandbox->containers);
  while (g_hash_table_iter_next(&iter, NULL, &container)) g_ptr_array_add(containers, container_ref(container));
  g_mutex_unlock(&sandbox->lock);
  g_ptr_array_sort(containers, compare_containers);
  return containers;
}

guint sandbox_count_containers(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  guint count = g_hash_table_size(sandbox->containers);
  g_mutex_unlock(&sandbox->lock);
  return count;
}

gboolean sandbox_begin_creation(Sandbox *sandbox, GError **error) {
  g_mutex_lock(&sandbox->lock);
  gboolean closed = sandbox->closed;
  if (!closed) sandbox->creations++;
  g_mutex_unlock(&sandbox->lock);
  if (closed)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "sandbox '%s' is being removed: its last container has gone",
                sandbox->id);
  return !closed;
}

void sandbox_end_creation(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  sandbox->creations--;
  g_mutex_unlock(&sandbox->lock);
}

gboolean sandbox_close_if_empty(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  gboolean is_empty = sandbox->creations == 0 && g_hash_table_size(sandbox->containers) == 0;
  if (is_empty) sandbox->closed = TRUE;
  g_mutex_unlock(&sandbox->lock);
  return is_empty;
}

/* The kernel has ended what was executed in it too; those in a pod's common pid namespace live on. */
static void wait_for_execs(Sandbox *sandbox, const char *container_id) {
  g_autoptr(Container) container = sandbox_find_container(sandbox, container_id, NULL);
  if (container == NULL) return;
  gint64 deadline = g_get_monotonic_time() + EXEC_END_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
  g_autoptr(GPtrArray) processes = container_get_processes(container);
  for (guint i = 0; i < processes->len; i++) {
    Process *process = processes->pdata[i];
    gint64 left_ms = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
    if (process_get_status(process) == PROCESS_RUNNING) process_wait_stopped(process, MAX(left_ms, 0));
  }
}

static void publish_exit(Sandbox *sandbox, Process *process) {
  gboolean is_init = *process_get_exec_id(process) == '\0';
  if (sandbox->publisher == NULL || (!is_init && !process_was_started(process))) return;
  if (is_init) wait_for_execs(sandbox, process_get_container_id(process));
  guint32 host_pid = process_get_host_pid(process);
  task_event_exit(sandbox, process, host_pid != 0 ? host_pid : sandbox->machine_pid);
}

void sandbox_on_process_ended(Process *process, gpointer user_data) {
  Sandbox *sandbox = user_data;
  publish_exit(sandbox, process);
  if (*process_get_exec_id(process) == '\0')
    events_add(sandbox->events, "exit", process_get_container_id(process), process_get_exit_status(process));
  g_autoptr(GError) error = NULL;
  if (!store_save(sandbox, &error)) g_warning("%s", error->message);
}

/* ---- start ---- */

static void set_status(Sandbox *sandbox, SandboxStatus status) {
  g_mutex_lock(&sandbox->lock);
  sandbox->status = status;
  g_cond_broadcast(&sandbox->changed);
  g_mutex_unlock(&sandbox->lock);
}

static void answer_waiters(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  sandbox->exited_at = g_get_real_time();
  g_autoptr(GPtrArray) waiters = g_steal_pointer(&sandbox->waiters);
  sandbox->waiters = g_ptr_array_new();
  Google__Protobuf__Timestamp when = time_to_message(sandbox->exited_at);
  g_mutex_unlock(&sandbox->lock);
  Containerd__Runtime__Sandbox__V1__WaitSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__WAIT_SANDBOX_RESPONSE__INIT;
  reply.exited_at = &when;
  for (guint i = 0; i < waiters->len; i++) ttrpc_call_reply(waiters->pdata[i], &reply.base);
}

static void on_waiter_gone(TtrpcCall *call, gpointer user_data) {
  Sandbox *sandbox = user_data;
  g_mutex_lock(&sandbox->lock);
  gboolean was_waiting = g_ptr_array_remove(sandbox->waiters, call);
  g_mutex_unlock(&sandbox->lock);
  if (was_waiting) ttrpc_call_fail(call, TTRPC_CANCELLED, "the caller has gone");
}

void sandbox_add_waiter(Sandbox *sandbox, TtrpcCall *call) {
  g_mutex_lock(&sandbox->lock);
  gboolean ended = sandbox->status == SANDBOX_STOPPED;
  g_ptr_array_add(sandbox->waiters, call);
  ttrpc_call_set_gone_func(call, on_waiter_gone, sandbox);
  g_mutex_unlock(&sandbox->lock);
  if (ended) answer_waiters(sandbox);
}

gboolean sandbox_start(Sandbox *sandbox, GError **error) {
  g_mutex_lock(&sandbox->lock);
  gboolean may_start = sandbox->status == SANDBOX_CREATED;
  if (may_start) sandbox->status = SANDBOX_STARTING;
  g_mutex_unlock(&sandbox->lock);
  if (!may_start) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "sandbox '%s' has been started before", sandbox->id);
    return FALSE;
  }
  if (!launch_run(sandbox, error)) {
    set_status(sandbox, SANDBOX_STOPPED);
    sandbox_remove(sandbox);
    answer_waiters(sandbox);
    return FALSE;
  }
  sandbox->machine_pid = (guint32)vm_get_pid(sandbox->vm);
  set_status(sandbox, SANDBOX_RUNNING);
  net_follow_start(sandbox);
  g_autoptr(GError) save_error = NULL;
  if (store_save(sandbox, &save_error)) return TRUE;
  sandbox_stop(sandbox, 0);
  sandbox_remove(sandbox);
  g_propagate_error(error, g_steal_pointer(&save_error));
  return FALSE;
}

gboolean sandbox_ensure_started(Sandbox *sandbox, GError **error) {
  g_mutex_lock(&sandbox->lock);
  gboolean is_first = sandbox->status == SANDBOX_CREATED;
  while (sandbox->status == SANDBOX_STARTING) g_cond_wait(&sandbox->changed, &sandbox->lock);
  SandboxStatus status = sandbox->status;
  g_mutex_unlock(&sandbox->lock);
  if (is_first) return sandbox_start(sandbox, error);
  if (status == SANDBOX_RUNNING) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "sandbox '%s' has stopped", sandbox->id);
  return FALSE;
}

void sandbox_cancel_start(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  gboolean starting = sandbox->status == SANDBOX_STARTING;
  if (starting) sandbox->cancelled = TRUE;
  g_autoptr(TtrpcClient) agent = starting && sandbox->agent != NULL ? ttrpc_client_ref(sandbox->agent) : NULL;
  g_mutex_unlock(&sandbox->lock);
  if (agent != NULL) ttrpc_client_close(agent, "the start was given up by its caller");
}

gboolean sandbox_join_cgroup(Sandbox *sandbox, char **directories, char **home_directories, GError **error) {
  g_auto(GStrv) home = home_directories != NULL ? home_directories : cgroup_find(getpid());
  g_auto(GStrv) taken = directories;
  if (!cgroup_add(taken, getpid(), error)) return FALSE;
  sandbox->home_cgroups = g_steal_pointer(&home);
  sandbox->cgroups = g_steal_pointer(&taken);
  return TRUE;
}

/* ---- the guest's end ---- */

typedef struct {
  Sandbox *sandbox;
  const char *reason;
  int machine; /* -1, or a descriptor that tells whether QEMU has ended as well */
} LostJob;

#define MACHINE_ENDED "the guest has ended: its hypervisor is gone"
#define DAEMON_ENDED "the guest has lost its files: virtiofsd is gone"
/* virtiofsd ends with QEMU, and may be the first whose end is seen. */
#define MACHINE_END_MS 300

static gpointer lost_thread(gpointer user_data) {
  g_autofree LostJob *job = user_data;
  struct pollfd machine = {.fd = job->machine, .events = POLLIN};
  if (job->machine >= 0 && poll(&machine, 1, MACHINE_END_MS) > 0) job->reason = MACHINE_ENDED;
  fd_clear(&job->machine);
  sandbox_guest_lost(job->sandbox, job->reason);
  return NULL;
}

static void report_lost(Sandbox *sandbox, const char *reason, int machine) {
  LostJob *job = g_new(LostJob, 1);
  *job = (LostJob){sandbox, reason, machine};
  g_thread_unref(g_thread_new("lost", lost_thread, job));
}

static gboolean on_machine_ended(gint fd, GIOCondition condition, gpointer user_data) {
  Sandbox *sandbox = user_data;
  g_mutex_lock(&sandbox->lock);
  sandbox->vm_watch = 0;
  g_mutex_unlock(&sandbox->lock);
  report_lost(sandbox, MACHINE_ENDED, -1);
  return G_SOURCE_REMOVE;
}

static gboolean on_daemon_ended(gint fd, GIOCondition condition, gpointer user_data) {
  Sandbox *sandbox = user_data;
  int machine = -1;
  g_mutex_lock(&sandbox->lock);
  /* Nobody frees the machine before it is no longer watched. */
  if (sandbox->daemon_watch != 0) machine = fcntl(vm_get_pidfd(sandbox->vm), F_DUPFD_CLOEXEC, 3);
  sandbox->daemon_watch = 0;
  g_mutex_unlock(&sandbox->lock);
  report_lost(sandbox, DAEMON_ENDED, machine);
  return G_SOURCE_REMOVE;
}

void sandbox_watch(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  sandbox->vm_watch = g_unix_fd_add(vm_get_pidfd(sandbox->vm), G_IO_IN, on_machine_ended, sandbox);
  if (sandbox->share != NULL)
    sandbox->daemon_watch = g_unix_fd_add(share_get_daemon_pidfd(sandbox->share), G_IO_IN, on_daemon_ended, sandbox);
  sandbox->console_watch = console_watch(sandbox->dir);
  g_mutex_unlock(&sandbox->lock);
}

void sandbox_unwatch(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  g_clear_handle_id(&sandbox->vm_watch, g_source_remove);
  g_clear_handle_id(&sandbox->daemon_watch, g_source_remove);
  g_clear_handle_id(&sandbox->console_watch, g_source_remove);
  g_mutex_unlock(&sandbox->lock);
}

/* Everybody who waits for a process of the guest gets an answer. */
static void end_processes(Sandbox *sandbox, guint32 status) {
  g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
  for (guint i = 0; i < containers->len; i++) {
    g_autoptr(GPtrArray) processes = container_get_processes(containers->pdata[i]);
    for (guint k = 0; k < processes->len; k++) process_set_ended(processes->pdata[k], status);
  }
}

/* With the teardown lock held, the status being STOPPED. */
static void take_down(Sandbox *sandbox, const char *reason, guint32 process_status) {
  sandbox_unwatch(sandbox);
  g_mutex_lock(&sandbox->lock);
  g_autoptr(TtrpcClient) agent = g_steal_pointer(&sandbox->agent);
  g_mutex_unlock(&sandbox->lock);
  net_follow_end(sandbox);
  if (sandbox->vm != NULL) vm_destroy(sandbox->vm);
  if (agent != NULL) ttrpc_client_close(agent, reason);
  net_follow_wait(sandbox);
  if (sandbox->net != NULL) net_disconnect(sandbox->net);
  end_processes(sandbox, process_status);
  if (sandbox->share != NULL) share_stop_daemon(sandbox->share);
  g_mutex_lock(&sandbox->resizing);
  if (sandbox->disks != NULL) disks_forget_all(sandbox->disks);
  g_mutex_unlock(&sandbox->resizing);
  g_autoptr(GError) error = NULL;
  if (!store_save(sandbox, &error)) g_warning("%s", error->message);
  answer_waiters(sandbox);
}

/* Whoever sees it stopped may remove it: so that is said only with the lock in hand that the removal waits for. */
void sandbox_guest_lost(Sandbox *sandbox, const char *reason) {
  g_mutex_lock(&sandbox->lock);
  SandboxStatus status = sandbox->status;
  g_autoptr(TtrpcClient) agent =
      status == SANDBOX_STARTING && sandbox->agent != NULL ? ttrpc_client_ref(sandbox->agent) : NULL;
  g_mutex_unlock(&sandbox->lock);
  if (agent != NULL) ttrpc_client_close(agent, reason); /* the start fails and undoes itself */
  if (status != SANDBOX_RUNNING) return;
  g_mutex_lock(&sandbox->teardown);
  if (sandbox_get_status(sandbox) == SANDBOX_RUNNING) {
    set_status(sandbox, SANDBOX_STOPPED);
    g_warning("sandbox '%s': %s", sandbox->id, reason);
    take_down(sandbox, reason, PROCESS_STATUS_UNKNOWN);
  }
  g_mutex_unlock(&sandbox->teardown);
}

/* Asks the guest to power off and waits until QEMU has ended. */
static void power_off(Sandbox *sandbox, guint timeout_ms) {
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  if (agent == NULL) return;
  sandbox_unwatch(sandbox);
  Grpc__DestroySandboxRequest request = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
  gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
  agent_call_destroy_sandbox(agent, &request, timeout_ms, NULL);
  gint64 left = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
  struct pollfd machine = {.fd = vm_get_pidfd(sandbox->vm), .events = POLLIN};
  while (left > 0 && poll(&machine, 1, (int)left) < 0 && errno == EINTR) continue;
}

void sandbox_stop(Sandbox *sandbox, guint timeout_ms) {
  sandbox_cancel_start(sandbox);
  g_mutex_lock(&sandbox->lock);
  while (sandbox->status == SANDBOX_STARTING) g_cond_wait(&sandbox->changed, &sandbox->lock);
  SandboxStatus status = sandbox->status;
  g_mutex_unlock(&sandbox->lock);
  g_mutex_lock(&sandbox->teardown);
  if (status == SANDBOX_RUNNING && sandbox_get_status(sandbox) == SANDBOX_RUNNING) {
    if (timeout_ms > 0) power_off(sandbox, timeout_ms);
    set_status(sandbox, SANDBOX_STOPPED);
    end_processes(sandbox, STATUS_KILLED);
    take_down(sandbox, "the sandbox was stopped", STATUS_KILLED);
  } else if (status == SANDBOX_CREATED) {
    set_status(sandbox, SANDBOX_STOPPED);
    answer_waiters(sandbox);
  }
  g_mutex_unlock(&sandbox->teardown);
}

/* ---- removal ---- */

static void finish_container(Container *container) {
  g_autoptr(GPtrArray) processes = container_get_processes(container);
  for (guint i = 0; i < processes->len; i++)
    if (process_wait_stopped(processes->pdata[i], PROCESS_END_TIMEOUT_MS)) process_finish(processes->pdata[i]);
  container_run_last_hooks(container, 0);
}

static void free_machine(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->resizing); /* a call that plugs something in is told so by QEMU's end */
  g_mutex_lock(&sandbox->store);
  g_clear_pointer(&sandbox->share, share_free);
  g_clear_pointer(&sandbox->disks, disks_free);
  g_clear_pointer(&sandbox->vm, vm_free);
  g_clear_pointer(&sandbox->net, net_free);
  g_mutex_unlock(&sandbox->store);
  g_mutex_unlock(&sandbox->resizing);
}

void sandbox_remove(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->removal);
  /* A hook may take long, and may ask this owner something, or end its sandbox. */
  g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
  for (guint i = 0; i < containers->len; i++) finish_container(containers->pdata[i]);
  g_mutex_lock(&sandbox->teardown);
  free_machine(sandbox);
  g_autoptr(GError) error = NULL;
  if (sandbox->cgroups != NULL && !cgroup_add(sandbox->home_cgroups, getpid(), &error)) {
    g_warning("%s", error->message);
    g_clear_error(&error);
  }
  if (sandbox->netns_mount != NULL) umount2(sandbox->netns_mount, MNT_DETACH | UMOUNT_NOFOLLOW);
  if (!sandbox_dir_remove(sandbox->root, sandbox->dir, &error)) g_warning("%s", error->message);
  g_mutex_unlock(&sandbox->teardown);
  g_mutex_unlock(&sandbox->removal);
}
