// SPDX-License-Identifier: LGPL-2.1-or-later
/* Task calls about a container as a whole: Pause, Resume, Checkpoint, Pids, Stats. */
#include <string.h>

#include "common/error.h"
#include "proto/kata-v1.pb-c.h"
#include "proto/shim-runc-options.pb-c.h"
#include "proto/shim-task.pb-c.h"
#include "shim/agent-link.h"
#include "shim/checkpoint.h"
#include "shim/metrics.h"
#include "shim/store.h"
#include "shim/task-events.h"
#include "shim/task-service.h"

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
  if (!task_find(job, id, "", &container, &init)) return;
  g_autoptr(GError) error = NULL;
  task_answer(job, set_paused(job->owner->sandbox, container, paused, &error), &error);
}

void task_pause(ServiceJob *job) {
  change_paused(job, ((const Containerd__Task__V2__PauseRequest *)(const void *)job->request)->id, TRUE);
}

void task_resume(ServiceJob *job) {
  change_paused(job, ((const Containerd__Task__V2__ResumeRequest *)(const void *)job->request)->id, FALSE);
}

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

void task_checkpoint(ServiceJob *job) {
  const Containerd__Task__V2__CheckpointTaskRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!task_find(job, request->id, "", &container, &init)) return;
  g_autoptr(GError) error = NULL;
  gboolean exits = FALSE;
  gboolean saved = wants_exit(request->options, &exits, &error) && check_checkpoint(container, &error) &&
                   checkpoint_save(sandbox, container, request->path, !exits, &error);
  /* It has not run on since. */
  if (saved && exits) sandbox_stop(sandbox, 0);
  task_answer(job, saved, &error);
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
void task_pids(ServiceJob *job) {
  const Containerd__Task__V2__PidsRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!task_find(job, request->id, "", &container, &init)) return;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(job->owner->sandbox, NULL);
  g_autoptr(GError) error = NULL;
  Kata__V1__ListProcessesResponse *list = agent != NULL ? agent_list_processes(agent, request->id, &error) : NULL;
  gboolean has_ended = process_get_status(init) == PROCESS_STOPPED;
  if (error != NULL && error->code != KATA_ERR_UNSUPPORTED && !has_ended) {
    task_fail(job, error);
    return;
  }
  guint32 own_pid = task_pid(job->owner->sandbox, init);
  reply_pids(job->call, list, own_pid != 0 ? own_pid : job->owner->sandbox->machine_pid);
  if (list != NULL) protobuf_c_message_free_unpacked(&list->base, NULL);
}

void task_stats(ServiceJob *job) {
  const Containerd__Task__V2__StatsRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!task_find(job, request->id, "", &container, &init)) return;
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
      task_fail(job, error);
    return;
  }
  g_autoptr(Google__Protobuf__Any) any = metrics_build(stats, metrics_host_has_version2());
  grpc__stats_container_response__free_unpacked(stats, NULL);
  Containerd__Task__V2__StatsResponse reply = CONTAINERD__TASK__V2__STATS_RESPONSE__INIT;
  reply.stats = any;
  ttrpc_call_reply(job->call, &reply.base);
}
