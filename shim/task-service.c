// SPDX-License-Identifier: LGPL-2.1-or-later
/* containerd.task.v2.Task and v3: containers and processes (protocols: containerd shim v2). */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/ids.h"
#include "common/oci.h"
#include "proto/kata-v1.pb-c.h"
#include "proto/shim-runc-options.pb-c.h"
#include "proto/shim-task-v3.pb-c.h"
#include "proto/shim-task.pb-c.h"
#include "shim/agent-link.h"
#include "shim/cgroup-limits.h"
#include "shim/cgroup.h"
#include "shim/checkpoint.h"
#include "shim/console.h"
#include "shim/container-create.h"
#include "shim/guest-spec.h"
#include "shim/limits.h"
#include "shim/metrics.h"
#include "shim/net-follow.h"
#include "shim/orphan.h"
#include "shim/resize.h"
#include "shim/service.h"
#include "shim/store.h"
#include "shim/task-events.h"
#include "shim/times.h"

#define OCI_PROCESS_URL "types.containerd.io/opencontainers/runtime-spec/1/Process"
#define KATA_EXEC_URL "kata.v1.ExecSpec"

/* Looks a container and one of its processes up; FALSE: the call has been answered. */
static gboolean find(ServiceJob *job, const char *id, const char *exec_id, Container **ret_container,
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

/* With the guest's last words, if its end is the reason. */
static void fail(ServiceJob *job, GError *error) {
  console_explain_loss(job->owner->sandbox->dir, error);
  ttrpc_call_fail_error(job->call, error);
}

/* error by address: it is set while the arguments are evaluated. */
static void answer(ServiceJob *job, gboolean done, GError *const *error) {
  if (done)
    service_reply_empty(job->call);
  else
    fail(job, *error);
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

static void task_start(ServiceJob *job) {
  const Containerd__Task__V2__StartRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!find(job, request->id, request->exec_id, &container, &process)) return;
  g_autoptr(GError) error = NULL;
  gboolean is_exec = process != container->init;
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
    fail(job, error);
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
  if (!find(job, request->id, request->exec_id, &container, &process)) return;
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

/* ---- exec ---- */

static gboolean read_exec_spec(const Google__Protobuf__Any *any, ProcessOptions *options, char **ret_json,
                               GError **error) {
  if (any != NULL && strcmp(any->type_url, OCI_PROCESS_URL) == 0) {
    *ret_json = g_strndup((const char *)any->value.data, any->value.len);
    return TRUE;
  }
  Kata__V1__ExecSpec *spec = any != NULL && strcmp(any->type_url, KATA_EXEC_URL) == 0
                                 ? kata__v1__exec_spec__unpack(NULL, any->value.len, any->value.data)
                                 : NULL;
  if (spec == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "exec: the process is neither an OCI process nor a kata.v1.ExecSpec");
    return FALSE;
  }
  *ret_json = g_strdup(spec->process_json);
  options->host_pid = spec->host_pid;
  kata__v1__exec_spec__free_unpacked(spec, NULL);
  return TRUE;
}

static gboolean check_exec(Container *container, GError **error) {
  const char *status = container_get_status(container);
  if (strcmp(status, "created") == 0 || strcmp(status, "running") == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
              strcmp(status, "paused") == 0
                  ? "cannot exec in a paused container (use --ignore-paused to override): '%s'"
                  : "cannot exec in a stopped container: '%s'",
              container->info->id);
  return FALSE;
}

/* A host process of its own is accounted for with the container; one that is the caller itself is the caller's. */
static gboolean join_container_cgroup(const Container *container, const Process *process, pid_t peer, GError **error) {
  pid_t host_pid = (pid_t)process_get_host_pid(process);
  if (container->cgroups == NULL || host_pid == 0 || host_pid == peer) return TRUE;
  return cgroup_add(container->cgroups, host_pid, error);
}

static gboolean add_exec(ServiceJob *job, Container *container, const Containerd__Task__V2__ExecProcessRequest *request,
                         GError **error) {
  ProcessOptions options = {.container_id = request->id,
                            .exec_id = request->exec_id,
                            .terminal = request->terminal,
                            .stdin_uri = request->stdin,
                            .stdout_uri = request->stdout,
                            .stderr_uri = request->stderr,
                            .namespace_ = job->owner->sandbox->namespace_,
                            .publisher = job->owner->sandbox->publisher};
  g_autofree char *json = NULL;
  if (!id_check(request->exec_id, "exec", error) || !check_exec(container, error) ||
      !read_exec_spec(request->spec, &options, &json, error))
    return FALSE;
  /* A wrong document is refused here; the text is parsed again when it starts. */
  g_autoptr(OciProcess) spec = oci_process_parse(json, strlen(json), "process", error);
  if (spec == NULL) return FALSE;
  options.process_json = json;
  g_autoptr(Process) process = process_new(&options, sandbox_on_process_ended, job->owner->sandbox, error);
  if (process == NULL || !join_container_cgroup(container, process, ttrpc_call_get_peer_pid(job->call), error) ||
      !container_add_exec(container, process, error))
    return FALSE;
  task_event_exec_added(job->owner->sandbox, process);
  return TRUE;
}

static void task_exec(ServiceJob *job) {
  const Containerd__Task__V2__ExecProcessRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!find(job, request->id, "", &container, &init)) return;
  g_autoptr(GError) error = NULL;
  answer(job, add_exec(job, container, request, &error), &error);
}

/* ---- what a running process is asked ---- */

static void task_wait(ServiceJob *job) {
  const Containerd__Task__V2__WaitRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (find(job, request->id, request->exec_id, &container, &process)) process_add_waiter(process, job->call);
}

static gboolean set_finished(const Process *process, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "process already finished: '%s'", process_get_agent_id(process));
  return FALSE;
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
  const char *target = all && !is_exec ? "" : process_get_agent_id(process);
  if (signal == SIGKILL) process_expect_end(process);
  if (agent != NULL && agent_signal(agent, process_get_container_id(process), target, signal, &why)) return TRUE;
  /* A guest that ends takes its processes along, even if they are not all told off yet. */
  if (sandbox_get_status(sandbox) == SANDBOX_STOPPED) return set_finished(process, error);
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

static void task_kill(ServiceJob *job) {
  const Containerd__Task__V2__KillRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!find(job, request->id, request->exec_id, &container, &process)) return;
  g_autoptr(GError) error = NULL;
  answer(job, kill_process(job->owner->sandbox, process, request->signal, request->all, &error), &error);
}

static void task_resize(ServiceJob *job) {
  const Containerd__Task__V2__ResizePtyRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!find(job, request->id, request->exec_id, &container, &process)) return;
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
  answer(job, done, &error);
}

static void task_close_io(ServiceJob *job) {
  const Containerd__Task__V2__CloseIORequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!find(job, request->id, request->exec_id, &container, &process)) return;
  if (request->stdin) process_close_stdin(process);
  service_reply_empty(job->call);
}

/* ---- the container as a whole ---- */

static gboolean set_paused(Sandbox *sandbox, Container *container, gboolean paused, GError **error) {
  Grpc__PauseContainerRequest pause = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
  Grpc__ResumeContainerRequest resume = GRPC__RESUME_CONTAINER_REQUEST__INIT;
  pause.container_id = resume.container_id = container->info->id;
  const char *status = container_get_status(container);
  gboolean possible =
      paused ? strcmp(status, "running") == 0 || strcmp(status, "created") == 0 : strcmp(status, "paused") == 0;
  if (!possible) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "container not %s: '%s' is %s",
                paused ? "running" : "paused", container->info->id, status);
    return FALSE;
  }
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  if (agent == NULL || !(paused ? agent_call_pause_container(agent, &pause, AGENT_CALL_TIMEOUT_MS, error)
                                : agent_call_resume_container(agent, &resume, AGENT_CALL_TIMEOUT_MS, error)))
    return FALSE;
  g_mutex_lock(&container->lock);
  container->paused = paused;
  g_mutex_unlock(&container->lock);
  /* It has been done: a disk that is full makes no failure of it. */
  g_autoptr(GError) save_error = NULL;
  if (!store_save(sandbox, &save_error)) g_warning("%s", save_error->message);
  events_add(sandbox->events, paused ? "pause" : "resume", container->info->id, 0);
  task_event_paused(sandbox, container->info->id, paused);
  return TRUE;
}

static void change_paused(ServiceJob *job, const char *id, gboolean paused) {
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!find(job, id, "", &container, &init)) return;
  g_autoptr(GError) error = NULL;
  answer(job, set_paused(job->owner->sandbox, container, paused, &error), &error);
}

static void task_pause(ServiceJob *job) {
  change_paused(job, ((const Containerd__Task__V2__PauseRequest *)(const void *)job->request)->id, TRUE);
}

static void task_resume(ServiceJob *job) {
  change_paused(job, ((const Containerd__Task__V2__ResumeRequest *)(const void *)job->request)->id, FALSE);
}

/* ---- checkpoint ---- */

/* containerd.runc.v1.CheckpointOptions, or what older ones and libkata call them. */
static gboolean wants_exit(const Google__Protobuf__Any *any, gboolean *ret, GError **error) {
  *ret = FALSE;
  if (any == NULL || (*any->type_url == '\0' && any->value.len == 0)) return TRUE;
  Kata__V1__CheckpointOptions *options =
      g_str_has_suffix(any->type_url, ".CheckpointOptions")
          ? kata__v1__checkpoint_options__unpack(NULL, any->value.len, any->value.data)
          : NULL;
  if (options == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "checkpoint: the options are not a containerd.runc.v1.CheckpointOptions");
    return FALSE;
  }
  *ret = options->exit;
  kata__v1__checkpoint_options__free_unpacked(options, NULL);
  return TRUE;
}

static gboolean check_checkpoint(Container *container, GError **error) {
  const char *status = container_get_status(container);
  if (strcmp(status, "running") == 0 || strcmp(status, "paused") == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "Container cannot be checkpointed in %s state: '%s'", status,
              container->info->id);
  return FALSE;
}

static void task_checkpoint(ServiceJob *job) {
  const Containerd__Task__V2__CheckpointTaskRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!find(job, request->id, "", &container, &init)) return;
  g_autoptr(GError) error = NULL;
  gboolean exits = FALSE;
  gboolean saved = wants_exit(request->options, &exits, &error) && check_checkpoint(container, &error) &&
                   checkpoint_save(sandbox, container, request->path, !exits, &error);
  /* It has not run on since. */
  if (saved && exits) sandbox_stop(sandbox, 0);
  answer(job, saved, &error);
}

/* What is not named stays. */
static VmDemand change_demand(VmDemand demand, const OciResources *resources) {
  VmDemand named = vm_demand_of_resources(resources);
  gint64 quota = resources->cpu != NULL ? resources->cpu->quota : 0;
  guint64 period = resources->cpu != NULL ? resources->cpu->period : 0;
  if (quota != 0)
    demand.vcpus = period > 0 ? named.vcpus : vm_demand_of_limits(quota, CGROUP_CPU_PERIOD_US, 0, 0).vcpus;
  if (resources->memory != NULL && resources->memory->limit != 0) demand.memory_mib = named.memory_mib;
  if (named.shares != 0) demand.shares = named.shares;
  if (named.named_cpus != 0) demand.named_cpus = named.named_cpus;
  if (resources->n_hugepagelimits > 0) demand.huge_page_mib = named.huge_page_mib;
  return demand;
}

/* What the host's cgroup of the container itself has. */
static gboolean update_on_host(const Container *container, const OciResources *resources, GError **error) {
  const Grpc__LinuxCPU *cpu = resources->cpu;
  if (cpu != NULL && !cgroup_limits_set_cpuset(container->cgroups, cpu->cpus, cpu->mems, error)) return FALSE;
  cgroup_limits_apply_block_io(container->cgroups, resources);
  return TRUE;
}

static gboolean update_in_guest(Sandbox *sandbox, const Container *container, OciResources *resources, GError **error) {
  guest_resources_rewrite(container->info->id, resources, NULL);
  Grpc__UpdateContainerRequest call = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
  call.container_id = container->info->id;
  call.resources = resources;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  return agent != NULL && agent_call_update_container(agent, &call, AGENT_CALL_TIMEOUT_MS, error);
}

static OciResources *read_resources(const Google__Protobuf__Any *any, GError **error) {
  if (any == NULL || !g_str_has_suffix(any->type_url, "/LinuxResources")) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "update: the resources are not OCI LinuxResources");
    return NULL;
  }
  const char *json = any->value.len > 0 ? (const char *)any->value.data : "";
  return oci_resources_parse(json, any->value.len, "resources", error);
}

static gboolean update(Sandbox *sandbox, Container *container, const Containerd__Task__V2__UpdateTaskRequest *request,
                       GError **error) {
  g_autoptr(OciResources) resources = read_resources(request->resources, error);
  if (resources == NULL) return FALSE;
  VmDemand before = resize_exchange_demand(sandbox, container, NULL), after = change_demand(before, resources);
  resize_exchange_demand(sandbox, container, &after);
  /* The machine first: the guest's kernel can give no more than it has. */
  gboolean updated = resize_follow(sandbox, NULL, NULL, error) && update_on_host(container, resources, error) &&
                     update_in_guest(sandbox, container, resources, error);
  /* A machine that has grown stays so, but nothing counts on what the container did not get. */
  if (!updated) resize_exchange_demand(sandbox, container, &before);
  limits_follow(sandbox);
  /* A later owner shall count as this one does. */
  g_autoptr(GError) why = NULL;
  if (!store_save(sandbox, &why)) g_warning("%s", why->message);
  return updated;
}

static void task_update(ServiceJob *job) {
  const Containerd__Task__V2__UpdateTaskRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!find(job, request->id, "", &container, &init)) return;
  g_autoptr(GError) error = NULL;
  answer(job, update(job->owner->sandbox, container, request, &error), &error);
}

static void task_state(ServiceJob *job) {
  const Containerd__Task__V2__StateRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) process = NULL;
  if (!find(job, request->id, request->exec_id, &container, &process)) return;
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

/* Which exec a process was begun by, as containerd's own shim tells it. */
static void set_details(Containerd__Task__V2__ProcessInfo *info, Google__Protobuf__Any *any, const char *exec_id) {
  if (*exec_id == '\0') return;
  Containerd__Runc__V1__ProcessDetails details = CONTAINERD__RUNC__V1__PROCESS_DETAILS__INIT;
  details.exec_id = (char *)exec_id;
  google__protobuf__any__init(any);
  any->type_url = (char *)"containerd.runc.v1.ProcessDetails";
  any->value.len = containerd__runc__v1__process_details__get_packed_size(&details);
  any->value.data = g_malloc(any->value.len);
  containerd__runc__v1__process_details__pack(&details, any->value.data);
  info->info = any;
}

static void reply_pids(TtrpcCall *call, const Kata__V1__ListProcessesResponse *list, guint32 other_pid) {
  gsize n_listed = list != NULL ? list->n_processes : 0, n_processes = n_listed > 0 ? n_listed : other_pid != 0;
  g_autofree Containerd__Task__V2__ProcessInfo *infos = g_new(Containerd__Task__V2__ProcessInfo, n_processes + 1);
  g_autofree Containerd__Task__V2__ProcessInfo **pointers = g_new(Containerd__Task__V2__ProcessInfo *, n_processes + 1);
  g_autofree Google__Protobuf__Any *anys = g_new0(Google__Protobuf__Any, n_processes + 1);
  for (gsize i = 0; i < n_processes; i++) {
    containerd__task__v2__process_info__init(&infos[i]);
    infos[i].pid = n_listed > 0 ? list->processes[i]->pid : other_pid;
    if (n_listed > 0) set_details(&infos[i], &anys[i], list->processes[i]->exec_id);
    pointers[i] = &infos[i];
  }
  Containerd__Task__V2__PidsResponse reply = CONTAINERD__TASK__V2__PIDS_RESPONSE__INIT;
  reply.processes = pointers;
  reply.n_processes = n_processes;
  ttrpc_call_reply(call, &reply.base);
  for (gsize i = 0; i < n_processes; i++) g_free(anys[i].value.data);
}

/* The pids are the guest's. Where nobody can list them, and for a container that has ended, it is the task's own: a
 * containerd that comes back takes a container without any for a leak, and would forget how it ended. */
static void task_pids(ServiceJob *job) {
  const Containerd__Task__V2__PidsRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!find(job, request->id, "", &container, &init)) return;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(job->owner->sandbox, NULL);
  g_autoptr(GError) error = NULL;
  Kata__V1__ListProcessesResponse *list = agent != NULL ? agent_list_processes(agent, request->id, &error) : NULL;
  gboolean has_ended = process_get_status(init) == PROCESS_STOPPED;
  if (error != NULL && error->code != KATA_ERR_UNSUPPORTED && !has_ended) {
    fail(job, error);
    return;
  }
  guint32 own_pid = task_pid(job->owner->sandbox, init);
  reply_pids(job->call, list, own_pid != 0 ? own_pid : job->owner->sandbox->machine_pid);
  if (list != NULL) protobuf_c_message_free_unpacked(&list->base, NULL);
}

static void task_stats(ServiceJob *job) {
  const Containerd__Task__V2__StatsRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!find(job, request->id, "", &container, &init)) return;
  Grpc__StatsContainerRequest call = GRPC__STATS_CONTAINER_REQUEST__INIT;
  call.container_id = request->id;
  Grpc__StatsContainerResponse *stats = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(job->owner->sandbox, &error);
  if (agent == NULL || !agent_call_stats_container(agent, &call, AGENT_CALL_TIMEOUT_MS, &stats, &error)) {
    /* Its cgroup is gone: the CRI leaves such a container out. */
    if (process_get_status(init) == PROCESS_STOPPED)
      ttrpc_call_fail(job->call, TTRPC_NOT_FOUND, "container '%s' has ended: it has no counters", request->id);
    else
      fail(job, error);
    return;
  }
  g_autoptr(Google__Protobuf__Any) any = metrics_build(stats, metrics_host_has_version2());
  grpc__stats_container_response__free_unpacked(stats, NULL);
  Containerd__Task__V2__StatsResponse reply = CONTAINERD__TASK__V2__STATS_RESPONSE__INIT;
  reply.stats = any;
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
