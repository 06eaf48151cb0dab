// SPDX-License-Identifier: LGPL-2.1-or-later
/* containerd.task.v2.Task and v3: the life of containers and processes, and the table of all methods. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/oci.h"
#include "proto/shim-task-v3.pb-c.h"
#include "proto/shim-task.pb-c.h"
#include "shim/agent-link.h"
#include "shim/console.h"
#include "shim/container-create.h"
#include "shim/container-delete.h"
#include "shim/guest-spec.h"
#include "shim/net-follow.h"
#include "shim/orphan.h"
#include "shim/store.h"
#include "shim/task-events.h"
#include "shim/task-service.h"
#include "shim/times.h"

gboolean task_find(ServiceJob *job, const char *id, const char *exec_id, Container **ret_container,
                   Process **ret_process) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Container) container = sandbox_find_container(job->owner->sandbox, id, &error);
  Process *process = container != NULL ? container_find_process(container, exec_id, &error) : NULL;
  if (process == NULL) {
    ttrpc_call_fail_error(job->call, error);
    return FALSE;
  }
  *ret_container = g_steal_pointer(&container);
  *ret_process = process;
  return TRUE;
}

void task_fail(ServiceJob *job, GError *error) {
  console_explain_loss(job->owner->sandbox->dir, error);
  ttrpc_call_fail_error(job->call, error);
}

void task_answer(ServiceJob *job, gboolean done, GError *const *error) {
  if (done)
    service_reply_empty(job->call);
  else
    task_fail(job, *error);
}

/* ---- create, start, delete ---- */

static void task_create(ServiceJob *job) {
  const Containerd__Task__V2__CreateTaskRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  gboolean was_started = sandbox_get_status(sandbox) != SANDBOX_CREATED;
  g_autoptr(GError) error = NULL;
  gboolean created = container_create(sandbox, request, ttrpc_call_get_peer_pid(job->call), &error);
  g_autoptr(Container) container = created ? sandbox_find_container(sandbox, request->id, NULL) : NULL;
  if (g_atomic_int_get(&job->gone)) {
    /* Nobody will ever ask for what was made on this call's account. */
    if (container != NULL) container_delete(sandbox, container, 0, NULL);
    if (!was_started) {
      sandbox_stop(sandbox, 0);
      sandbox_remove(sandbox);
      service_quit(job->owner);
    }
    orphan_check_sandbox(job->owner);
    ttrpc_call_fail(job->call, TTRPC_CANCELLED, "the caller has gone");
    return;
  }
  if (container == NULL) {
    gboolean ended = sandbox_get_status(sandbox) == SANDBOX_STOPPED && !was_started;
    console_explain_loss(sandbox->dir, error);
    if (ended) sandbox_remove(sandbox);
    ttrpc_call_fail_error(job->call, error);
    if (ended) service_quit(job->owner);
    return;
  }
  orphan_watch_container(job->owner, container);
  Containerd__Task__V2__CreateTaskResponse reply = CONTAINERD__TASK__V2__CREATE_TASK_RESPONSE__INIT;
  reply.pid = task_pid(sandbox, container->init);
  ttrpc_call_reply(job->call, &reply.base);
}

/* As in runc, a hook that fails takes the container along. */
static gboolean run_poststart_hooks(Sandbox *sandbox, Container *container, pid_t peer, GError **error) {
  HookSubject subject = {.info = container->info, .status = "running", .place = peer};
  subject.pid = task_pid(sandbox, container->init);
  subject.outside_network = process_get_host_pid(container->init) == (guint32)peer;
  if (hooks_run(container->hooks, HOOK_POSTSTART, &subject, error)) return TRUE;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  process_expect_end(container->init);
  if (agent != NULL) agent_signal(agent, container->info->id, "", SIGKILL, NULL);
  return FALSE;
}

/* One that was restored from a checkpoint runs already. */
static gboolean let_run(const Container *container, TtrpcClient *agent, GError **error) {
  if (container->guest_id != NULL) return TRUE;
  Grpc__StartContainerRequest request = GRPC__START_CONTAINER_REQUEST__INIT;
  request.container_id = container->info->id;
  return agent_call_start_container(agent, &request, AGENT_CALL_TIMEOUT_MS, error);
}

static gboolean start_init(Sandbox *sandbox, Container *container, pid_t peer, GError **error) {
  const char *status = container_get_status(container);
  if (strcmp(status, "created") != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
                strcmp(status, "stopped") == 0  ? "cannot start a container that has stopped: '%s'"
                : strcmp(status, "paused") == 0 ? "cannot start a container in the paused state: '%s'"
                                                : "cannot start an already running container: '%s'",
                container->info->id);
    return FALSE;
  }
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  if (agent == NULL) return FALSE;
  timeline_begin(sandbox->timeline, "start");
  /* Buildah and "ctr run --cni" wire a container between its creation and its start. */
  net_follow_now(sandbox);
  process_begin_start(container->init);
  gboolean started = let_run(container, agent, error);
  timeline_end(sandbox->timeline, "start");
  if (started) {
    process_set_running(container->init);
    events_add(sandbox->events, "start", container->info->id, 0);
    task_event_start(sandbox, container->init);
  }
  process_end_start(container->init);
  return started && run_poststart_hooks(sandbox, container, peer, error);
}

static gboolean start_exec(Sandbox *sandbox, Container *container, Process *process, GError **error) {
  const char *json = process_get_json(process);
  g_autoptr(OciProcess) spec = oci_process_parse(json, strlen(json), "process", error);
  if (spec == NULL) return FALSE;
  spec->terminal = process_has_terminal(process);
  guest_process_rewrite(container->info->id, spec);
  Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
  request.container_id = container->info->id;
  request.exec_id = (char *)process_get_exec_id(process);
  request.process = spec;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  if (agent == NULL || !agent_call_exec_process(agent, &request, AGENT_CALL_TIMEOUT_MS, error)) return FALSE;
  process_set_running(process);
  task_event_start(sandbox, process);
  process_attach(process, agent);
  return TRUE;
}

/* Whoever comes second leaves alone what the first one has started. */
static gboolean claim_exec(Process *process, GError **error) {
  if (process_claim_start(process)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "process '%s' has been started before",
              process_get_exec_id(process));
  return FALSE;
}

static void task_start(ServiceJob *job) {
  const Containerd__Task__V2__StartRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!task_find(job, request->id, request->exec_id, &container, &process)) return;
  g_autoptr(GError) error = NULL;
  gboolean is_exec = process != container->init;
  if (is_exec && !claim_exec(process, &error)) {
    task_fail(job, error);
    return;
  }
  /* A hook that executes something finds the container running already. */
  gboolean alone = !is_exec || strcmp(container_get_status(container), "created") == 0;
  if (alone) g_mutex_lock(&container->starting);
  gboolean started = is_exec ? start_exec(sandbox, container, process, &error)
                             : start_init(sandbox, container, ttrpc_call_get_peer_pid(job->call), &error);
  if (alone) g_mutex_unlock(&container->starting);
  if (!started) {
    if (is_exec) {
      container_remove_exec(container, request->exec_id);
      process_set_ended(process, PROCESS_STATUS_UNKNOWN);
    }
    task_fail(job, error);
    return;
  }
  if (!store_save(sandbox, &error)) g_warning("%s", error->message);
  Containerd__Task__V2__StartResponse reply = CONTAINERD__TASK__V2__START_RESPONSE__INIT;
  reply.pid = task_pid(sandbox, process);
  ttrpc_call_reply(job->call, &reply.base);
}

static gboolean delete_exec(Container *container, Process *process, GError **error) {
  if (process_get_status(process) == PROCESS_RUNNING) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot delete a running process: '%s'",
                process_get_exec_id(process));
    return FALSE;
  }
  process_set_ended(process, PROCESS_STATUS_UNKNOWN);
  process_finish(process);
  container_remove_exec(container, process_get_exec_id(process));
  return TRUE;
}

static gboolean delete_init(Sandbox *sandbox, Container *container, pid_t peer, GError **error) {
  const char *status = container_get_status(container);
  if (strcmp(status, "stopped") != 0 && strcmp(status, "created") != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot delete container %s that is not stopped: %s",
                container->info->id, status);
    return FALSE;
  }
  return container_delete(sandbox, container, peer, error);
}

static void task_delete(ServiceJob *job) {
  const Containerd__Task__V2__DeleteRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!task_find(job, request->id, request->exec_id, &container, &process)) return;
  guint32 pid = task_pid(sandbox, process);
  if (pid == 0) pid = sandbox->machine_pid;
  g_autoptr(GError) error = NULL;
  gboolean deleted = process == container->init
                         ? delete_init(sandbox, container, ttrpc_call_get_peer_pid(job->call), &error)
                         : delete_exec(container, process, &error);
  if (!deleted) {
    ttrpc_call_fail_error(job->call, error);
    return;
  }
  if (process == container->init) task_event_delete(sandbox, process, pid);
  gint64 exited_at = process_get_exited_at(process);
  Google__Protobuf__Timestamp when = exited_at != 0 ? time_to_message(exited_at) : time_never();
  Containerd__Task__V2__DeleteResponse reply = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
  reply.pid = pid;
  reply.exit_status = process_get_exit_status(process);
  reply.exited_at = &when;
  ttrpc_call_reply(job->call, &reply.base);
  orphan_check_sandbox(job->owner);
}

/* ---- what a running process is asked ---- */

static void task_wait(ServiceJob *job) {
  const Containerd__Task__V2__WaitRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (task_find(job, request->id, request->exec_id, &container, &process)) process_add_waiter(process, job->call);
}

static gboolean set_finished(const Process *process, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "process already finished: '%s'", process_get_agent_id(process));
  return FALSE;
}

/*
 * Engines that call katactl have runc in mind: a first process without a handler does not feel SIGTERM, and ends by the
 * SIGKILL that follows. Under containerd's shim it is killed at once, as everybody's who comes from upstream's.
 */
static gboolean is_plain(const Sandbox *sandbox, guint32 signal, gboolean all) {
  return signal == SIGTERM ? sandbox->publisher == NULL : all && signal != SIGKILL;
}

static gboolean signal_guest(const Sandbox *sandbox, TtrpcClient *agent, const Process *process, guint32 signal,
                             gboolean all, GError **error) {
  const char *container_id = process_get_container_id(process);
  const char *target = all ? "" : process_get_agent_id(process);
  if (is_plain(sandbox, signal, all)) {
    g_autoptr(GError) why = NULL;
    if (agent_signal_plainly(agent, container_id, target, signal, all, &why)) return TRUE;
    if (error_get_code(why) != KATA_ERR_UNSUPPORTED) {
      g_propagate_error(error, g_steal_pointer(&why));
      return FALSE;
    }
  }
  return agent_signal(agent, container_id, target, signal, error);
}

static gboolean kill_process(Sandbox *sandbox, Process *process, guint32 signal, gboolean all, GError **error) {
  ProcessStatus status = process_get_status(process);
  gboolean is_exec = *process_get_exec_id(process) != '\0';
  if (status == PROCESS_STOPPED) return set_finished(process, error);
  if (is_exec && status == PROCESS_CREATED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "process '%s' has not been started",
                process_get_agent_id(process));
    return FALSE;
  }
  g_autoptr(GError) why = NULL;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, &why);
  if (signal == SIGKILL) process_expect_end(process);
  /* As with runc: where the pid namespace is another container's, the kernel would spare what the first process has
   * made. */
  gboolean whole = !is_exec && (all || signal == SIGKILL);
  if (agent != NULL && signal_guest(sandbox, agent, process, signal, whole, &why)) return TRUE;
  /* A guest that ends takes its processes along, even if they are not all told off yet. */
  if (sandbox_get_status(sandbox) == SANDBOX_STOPPED) return set_finished(process, error);
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

static void task_kill(ServiceJob *job) {
  const Containerd__Task__V2__KillRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!task_find(job, request->id, request->exec_id, &container, &process)) return;
  g_autoptr(GError) error = NULL;
  task_answer(job, kill_process(job->owner->sandbox, process, request->signal, request->all, &error), &error);
}

static void task_resize(ServiceJob *job) {
  const Containerd__Task__V2__ResizePtyRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!task_find(job, request->id, request->exec_id, &container, &process)) return;
  if (!process_has_terminal(process)) { /* as containerd's own shim: nothing to do */
    service_reply_empty(job->call);
    return;
  }
  Grpc__TtyWinResizeRequest resize = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
  resize.container_id = request->id;
  resize.exec_id = (char *)process_get_agent_id(process);
  resize.row = request->height;
  resize.column = request->width;
  g_autoptr(GError) error = NULL;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(job->owner->sandbox, &error);
  gboolean done = agent != NULL && agent_call_tty_win_resize(agent, &resize, AGENT_CALL_TIMEOUT_MS, &error);
  task_answer(job, done, &error);
}

static void task_close_io(ServiceJob *job) {
  const Containerd__Task__V2__CloseIORequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!task_find(job, request->id, request->exec_id, &container, &process)) return;
  if (request->stdin) process_close_stdin(process);
  service_reply_empty(job->call);
}

static void task_state(ServiceJob *job) {
  const Containerd__Task__V2__StateRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!task_find(job, request->id, request->exec_id, &container, &process)) return;
  static const Containerd__Task__V2__Status statuses[] = {CONTAINERD__TASK__V2__STATUS__CREATED,
                                                          CONTAINERD__TASK__V2__STATUS__RUNNING,
                                                          CONTAINERD__TASK__V2__STATUS__STOPPED};
  Containerd__Task__V2__StateResponse reply = CONTAINERD__TASK__V2__STATE_RESPONSE__INIT;
  reply.id = *request->exec_id != '\0' ? request->exec_id : request->id;
  reply.bundle = container->info->bundle;
  reply.pid = task_pid(job->owner->sandbox, process);
  reply.status = statuses[process_get_status(process)];
  if (process == container->init && strcmp(container_get_status(container), "paused") == 0)
    reply.status = CONTAINERD__TASK__V2__STATUS__PAUSED;
  reply.stdin = (char *)process_get_stream_uri(process, 0);
  reply.stdout = (char *)process_get_stream_uri(process, 1);
  reply.stderr = (char *)process_get_stream_uri(process, 2);
  reply.terminal = process_has_terminal(process);
  reply.exit_status = process_get_exit_status(process);
  gint64 exited_at = process_get_exited_at(process);
  Google__Protobuf__Timestamp when = exited_at != 0 ? time_to_message(exited_at) : time_never();
  reply.exited_at = &when;
  ttrpc_call_reply(job->call, &reply.base);
}

/* ---- the owner itself ---- */

static void task_connect(ServiceJob *job) {
  const Containerd__Task__V2__ConnectRequest *request = (const void *)job->request;
  Containerd__Task__V2__ConnectResponse reply = CONTAINERD__TASK__V2__CONNECT_RESPONSE__INIT;
  g_autoptr(Container) container = sandbox_find_container(job->owner->sandbox, request->id, NULL);
  reply.shim_pid = (guint32)getpid();
  reply.task_pid = container != NULL ? task_pid(job->owner->sandbox, container->init) : 0;
  reply.version = "v2";
  ttrpc_call_reply(job->call, &reply.base);
}

static void task_shutdown(ServiceJob *job) {
  Sandbox *sandbox = job->owner->sandbox;
  gboolean runs = sandbox_get_status(sandbox) == SANDBOX_RUNNING;
  if (runs ? !sandbox_close_if_empty(sandbox) : sandbox_count_containers(sandbox) > 0) {
    orphan_check_sandbox(job->owner); /* the one that is being made may fail */
    service_reply_empty(job->call);
    return;
  }
  sandbox_stop(sandbox, 0);
  sandbox_remove(sandbox);
  service_reply_empty(job->call);
  service_quit(job->owner);
}

static const ServiceMethod methods[] = {
    {"Create", task_create, TRUE},
    {"Start", task_start},
    {"Delete", task_delete},
    {"Exec", task_exec},
    {"Wait", task_wait},
    {"Kill", task_kill},
    {"ResizePty", task_resize},
    {"CloseIO", task_close_io},
    {"Pause", task_pause},
    {"Resume", task_resume},
    {"Update", task_update},
    {"State", task_state},
    {"Pids", task_pids},
    {"Connect", task_connect},
    {"Shutdown", task_shutdown},
    {"Stats", task_stats},
    {"Checkpoint", task_checkpoint},
    {NULL, NULL},
};

void task_service_add(Owner *owner) {
  service_add(owner, &containerd__task__v2__task__descriptor, methods);
  service_add(owner, &containerd__task__v3__task__descriptor, methods);
}
