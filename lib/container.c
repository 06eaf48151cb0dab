// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/container.h"

#include <string.h>

#include "common/error.h"
#include "common/ids.h"
#include "lib/api.h"
#include "lib/container-find.h"
#include "lib/sandbox.h"
#include "proto/shim-sandbox.pb-c.h"
#include "proto/shim-task.pb-c.h"

#define TASK_SERVICE (&containerd__task__v2__task__descriptor)
/* As runc waits for a killed process. */
#define KILLED_MS 10000
/* containerd's name for OCI's linux.resources in JSON. */
#define RESOURCES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"

kata_container *container_handle_new(kata_context *ctx, const char *sandbox_id, const char *id) {
  kata_container *container = g_new0(kata_container, 1);
  g_atomic_ref_count_init(&container->refs);
  container->ctx = kata_context_ref(ctx);
  container->sandbox_id = g_strdup(sandbox_id);
  container->id = g_strdup(id);
  return container;
}

kata_container *kata_container_ref(kata_container *container) {
  if (container != NULL) g_atomic_ref_count_inc(&container->refs);
  return container;
}

void kata_container_unref(kata_container *container) {
  if (container == NULL || !g_atomic_ref_count_dec(&container->refs)) return;
  kata_context_unref(container->ctx);
  g_free(container->sandbox_id);
  g_free(container->id);
  g_free(container);
}

const char *kata_container_get_id(const kata_container *container) { return container != NULL ? container->id : NULL; }

const char *kata_container_get_sandbox_id(const kata_container *container) {
  return container != NULL ? container->sandbox_id : NULL;
}

TaskTarget container_target(const kata_container *container, const char *exec_id) {
  return (TaskTarget){container->ctx, container->sandbox_id, container->id, exec_id};
}

static gboolean call(const kata_container *container, const char *method, const ProtobufCMessage *request,
                     GError **error) {
  return owner_call(container->ctx, container->sandbox_id, TASK_SERVICE, method, request, 0, NULL, error);
}

/* ---- create, open, list ---- */

/* checkpoint: where one is, or NULL. */
static gboolean create(const kata_sandbox *sandbox, const char *id, const char *bundle, const char *checkpoint,
                       const kata_process_io *io, uint32_t flags, GError **error) {
  g_auto(TaskStreams) streams = {0};
  if (!api_check_argument(id, "id", error) || !id_check(id, "container", error) ||
      !api_check_argument(bundle, "bundle", error) || !task_streams_init(&streams, io, error))
    return FALSE;
  gboolean bound = (flags & KATA_CONTAINER_CREATE_BOUND) != 0;
  if (bound && streams.host_pid == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "KATA_CONTAINER_CREATE_BOUND needs io->host_pid, the process container '%s' is bound to", id);
    return FALSE;
  }
  Kata__V1__CreateOptions own = KATA__V1__CREATE_OPTIONS__INIT;
  own.host_pid = streams.host_pid;
  own.bound = bound;
  guint8 packed[16]; /* a number and a truth value with their tags take 8 bytes at most */
  Google__Protobuf__Any options = GOOGLE__PROTOBUF__ANY__INIT;
  options.type_url = (char *)"kata.v1.CreateOptions";
  options.value.len = kata__v1__create_options__pack(&own, packed);
  options.value.data = packed;

  g_autofree char *absolute = g_canonicalize_filename(bundle, NULL);
  g_autofree char *saved = checkpoint != NULL ? g_canonicalize_filename(checkpoint, NULL) : NULL;
  Containerd__Task__V2__CreateTaskRequest request = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
  request.id = (char *)id;
  request.bundle = absolute;
  if (saved != NULL) request.checkpoint = saved;
  request.terminal = streams.terminal;
  request.stdin = streams.in;
  request.stdout = streams.out;
  request.stderr = streams.err;
  request.options = &options;
  return owner_call(sandbox->ctx, sandbox->id, TASK_SERVICE, "Create", &request.base, 0, NULL, error);
}

kata_container *kata_container_create(kata_sandbox *sandbox, const char *id, const char *bundle,
                                      const kata_process_io *io, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(sandbox, "sandbox", flags, KATA_CONTAINER_CREATE_BOUND, &error) ||
      !create(sandbox, id, bundle, NULL, io, flags, &error))
    return api_fail_null(err, error);
  return container_handle_new(sandbox->ctx, sandbox->id, id);
}

kata_container *kata_container_restore(kata_sandbox *sandbox, const char *id, const char *bundle, const char *directory,
                                       const kata_process_io *io, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(sandbox, "sandbox", flags, KATA_CONTAINER_CREATE_BOUND, &error) ||
      !api_check_argument(directory, "directory", &error) || !create(sandbox, id, bundle, directory, io, flags, &error))
    return api_fail_null(err, error);
  return container_handle_new(sandbox->ctx, sandbox->id, id);
}

static gboolean checkpoint(const kata_container *container, const char *directory, gboolean leave_running,
                           GError **error) {
  Kata__V1__CheckpointOptions own = KATA__V1__CHECKPOINT_OPTIONS__INIT;
  own.exit = !leave_running;
  guint8 packed[8];
  Google__Protobuf__Any options = GOOGLE__PROTOBUF__ANY__INIT;
  options.type_url = (char *)"kata.v1.CheckpointOptions";
  options.value.len = kata__v1__checkpoint_options__pack(&own, packed);
  options.value.data = packed;
  g_autofree char *absolute = g_canonicalize_filename(directory, NULL);
  Containerd__Task__V2__CheckpointTaskRequest request = CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
  request.id = container->id;
  request.path = absolute;
  request.options = &options;
  return call(container, "Checkpoint", &request.base, error);
}

int kata_container_checkpoint(kata_container *container, const char *directory, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  gboolean leave_running = (flags & KATA_CHECKPOINT_LEAVE_RUNNING) != 0;
  if (!api_check(container, "container", flags, KATA_CHECKPOINT_LEAVE_RUNNING, &error) ||
      !api_check_argument(directory, "directory", &error) || !checkpoint(container, directory, leave_running, &error))
    return api_fail(err, error);
  return 0;
}

kata_container *kata_container_open(kata_context *ctx, const char *id, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autofree char *sandbox_id = NULL;
  if (!api_check(ctx, "context", flags, 0, &error) || !api_check_argument(id, "id", &error) ||
      !id_check(id, "container", &error) || (sandbox_id = container_find_sandbox(ctx, id, &error)) == NULL)
    return api_fail_null(err, error);
  return container_handle_new(ctx, sandbox_id, id);
}

char **kata_container_list(kata_context *ctx, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  char **ids = NULL;
  if (!api_check(ctx, "context", flags, 0, &error) || (ids = container_find_all(ctx, &error)) == NULL)
    return api_fail_null(err, error);
  return ids;
}

/* ---- its process ---- */

int kata_container_start(kata_container *container, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", flags, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(container, "");
  return task_start(&target, &error) ? 0 : api_fail(err, error);
}

int kata_container_kill(kata_container *container, int signal, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", flags, KATA_KILL_ALL, &error)) return api_fail(err, error);
  TaskTarget target = container_target(container, "");
  return task_kill(&target, signal, (flags & KATA_KILL_ALL) != 0, &error) ? 0 : api_fail(err, error);
}

int kata_container_wait(kata_container *container, uint32_t timeout_ms, int *ret_status, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", 0, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(container, "");
  return task_wait(&target, timeout_ms, ret_status, &error) ? 0 : api_fail(err, error);
}

int kata_container_resize(kata_container *container, uint32_t columns, uint32_t rows, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", 0, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(container, "");
  return task_resize(&target, columns, rows, &error) ? 0 : api_fail(err, error);
}

int kata_container_close_stdin(kata_container *container, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", 0, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(container, "");
  return task_close_stdin(&target, &error) ? 0 : api_fail(err, error);
}

/* ---- delete ---- */

/* Its end is what was wanted: that it came before is no error. */
static gboolean kill_and_wait(const kata_container *container, GError **error) {
  TaskTarget target = container_target(container, "");
  g_autoptr(GError) problem = NULL;
  /* A guest that dies at this moment takes the process with it: the owner answers the wait. */
  if (!task_kill(&target, 9, TRUE, &problem) && !g_error_matches(problem, KATA_ERROR, KATA_ERR_NOT_FOUND) &&
      !g_error_matches(problem, KATA_ERROR, KATA_ERR_UNAVAILABLE)) {
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  if (task_wait(&target, KILLED_MS, NULL, error)) return TRUE;
  g_prefix_error(error, "container '%s' has been killed, but its end was not told: ", container->id);
  return FALSE;
}

static gboolean end_process(const kata_container *container, gboolean force, GError **error) {
  g_autoptr(OwnerReply) reply = NULL;
  const Kata__V1__ContainerInfo *info = NULL;
  if (!container_ask_info(container->ctx, container->sandbox_id, container->id, &reply, &info, error)) return FALSE;
  int status = container_status_from_word(info->status);
  if (status == KATA_CONTAINER_STOPPED) return TRUE;
  if (status == KATA_CONTAINER_CREATED || force) return kill_and_wait(container, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot delete container %s that is not stopped: %s",
              container->id, info->status);
  return FALSE;
}

static gboolean is_last(const kata_container *container, gboolean *ret_last, GError **error) {
  Kata__V1__ContainersRequest request = KATA__V1__CONTAINERS_REQUEST__INIT;
  g_autoptr(OwnerReply) reply = NULL;
  if (!owner_ask(container->ctx, container->sandbox_id, &kata__v1__owner__descriptor, "Containers", &request.base,
                 OWNER_QUICK_MS, &reply, error))
    return FALSE;
  *ret_last = ((Kata__V1__ContainersResponse *)reply)->n_containers == 0;
  return TRUE;
}

static gboolean still_runs(const kata_container *container) {
  Containerd__Runtime__Sandbox__V1__SandboxStatusRequest request =
      CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_STATUS_REQUEST__INIT;
  request.sandbox_id = container->sandbox_id;
  g_autoptr(OwnerReply) reply = NULL;
  return owner_ask(container->ctx, container->sandbox_id, &containerd__runtime__sandbox__v1__sandbox__descriptor,
                   "SandboxStatus", &request.base, OWNER_QUICK_MS, &reply, NULL) &&
         strcmp(((Containerd__Runtime__Sandbox__V1__SandboxStatusResponse *)reply)->state, "SANDBOX_READY") == 0;
}

/* Task.Shutdown does nothing while the sandbox has a container, or one is being made: other callers do so. */
static gboolean delete_empty_sandbox(const kata_container *container, GError **error) {
  gboolean last = FALSE;
  if (!is_last(container, &last, error)) return FALSE;
  if (!last) return TRUE;
  Containerd__Task__V2__ShutdownRequest request = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
  request.id = container->sandbox_id;
  g_autoptr(GError) problem = NULL;
  if (!call(container, "Shutdown", &request.base, &problem) &&
      !g_error_matches(problem, KATA_ERROR, KATA_ERR_UNAVAILABLE) &&
      !g_error_matches(problem, KATA_ERROR, KATA_ERR_NOT_FOUND)) {
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  return still_runs(container) || owner_wait_gone(container->ctx, container->sandbox_id, error);
}

static gboolean delete_container(const kata_container *container, uint32_t flags, int *ret_status, GError **error) {
  gboolean force = (flags & KATA_CONTAINER_DELETE_FORCE) != 0;
  TaskTarget target = container_target(container, "");
  g_autoptr(GError) problem = NULL;
  if (!end_process(container, force, &problem) || !task_delete(&target, ret_status, &problem)) {
    if (force && g_error_matches(problem, KATA_ERROR, KATA_ERR_NOT_FOUND)) return TRUE;
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  return (flags & KATA_CONTAINER_DELETE_SANDBOX) == 0 || delete_empty_sandbox(container, error);
}

int kata_container_delete(kata_container *container, uint32_t flags, int *ret_status, kata_error **err) {
  const uint32_t known = KATA_CONTAINER_DELETE_FORCE | KATA_CONTAINER_DELETE_SANDBOX;
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", flags, known, &error) ||
      !delete_container(container, flags, ret_status, &error))
    return api_fail(err, error);
  return 0;
}

/* ---- pause, resume, update ---- */

int kata_container_pause(kata_container *container, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  Containerd__Task__V2__PauseRequest request = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
  if (!api_check(container, "container", flags, 0, &error)) return api_fail(err, error);
  request.id = container->id;
  return call(container, "Pause", &request.base, &error) ? 0 : api_fail(err, error);
}

int kata_container_resume(kata_container *container, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  Containerd__Task__V2__ResumeRequest request = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
  if (!api_check(container, "container", flags, 0, &error)) return api_fail(err, error);
  request.id = container->id;
  return call(container, "Resume", &request.base, &error) ? 0 : api_fail(err, error);
}

int kata_container_update(kata_container *container, const char *resources_json, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", flags, 0, &error) ||
      !api_check_argument(resources_json, "resources_json", &error))
    return api_fail(err, error);
  Google__Protobuf__Any resources = GOOGLE__PROTOBUF__ANY__INIT;
  resources.type_url = (char *)RESOURCES_TYPE;
  resources.value.data = (guint8 *)resources_json;
  resources.value.len = strlen(resources_json);
  Containerd__Task__V2__UpdateTaskRequest request = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
  request.id = container->id;
  request.resources = &resources;
  return call(container, "Update", &request.base, &error) ? 0 : api_fail(err, error);
}
