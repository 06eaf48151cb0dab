// SPDX-License-Identifier: LGPL-2.1-or-later
/* Task.Exec: another process in a container, made here and begun by Task.Start. */
#include <string.h>

#include "common/error.h"
#include "common/ids.h"
#include "common/oci.h"
#include "proto/kata-v1.pb-c.h"
#include "proto/shim-task.pb-c.h"
#include "shim/cgroup.h"
#include "shim/task-events.h"
#include "shim/task-service.h"

#define OCI_PROCESS_URL "types.containerd.io/opencontainers/runtime-spec/1/Process"
#define KATA_EXEC_URL "kata.v1.ExecSpec"

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

void task_exec(ServiceJob *job) {
  const Containerd__Task__V2__ExecProcessRequest *request = (const void *)job->request;
  g_autoptr(Container) container = NULL;
  g_autoptr(Process) init = NULL;
  if (!task_find(job, request->id, "", &container, &init)) return;
  g_autoptr(GError) error = NULL;
  task_answer(job, add_exec(job, container, request, &error), &error);
}
