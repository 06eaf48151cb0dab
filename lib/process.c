// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/process.h"

#include <stdio.h>
#include <sys/random.h>

#include "common/error.h"
#include "common/ids.h"
#include "lib/api.h"
#include "lib/container.h"
#include "proto/shim-task.pb-c.h"

struct kata_process {
  gatomicrefcount refs;
  kata_container *container;
  char *id;
};

static kata_process *process_new(kata_container *container, const char *id) {
  kata_process *process = g_new0(kata_process, 1);
  g_atomic_ref_count_init(&process->refs);
  process->container = kata_container_ref(container);
  process->id = g_strdup(id);
  return process;
}

kata_process *kata_process_ref(kata_process *process) {
  if (process != NULL) g_atomic_ref_count_inc(&process->refs);
  return process;
}

void kata_process_unref(kata_process *process) {
  if (process == NULL || !g_atomic_ref_count_dec(&process->refs)) return;
  kata_container_unref(process->container);
  g_free(process->id);
  g_free(process);
}

const char *kata_process_get_id(const kata_process *process) { return process != NULL ? process->id : NULL; }

/* From the kernel: GLib's random numbers are the same on both sides of a fork(). */
static char *make_up_id(GError **error) {
  guint64 number = 0;
  if (getrandom(&number, sizeof number, 0) == (gssize)sizeof number)
    return g_strdup_printf("exec-%016" G_GINT64_MODIFIER "x", number);
  g_set_error(error, KATA_ERROR, KATA_ERR_IO, "cannot make up an exec id: the kernel gives no random numbers");
  return NULL;
}

static gboolean register_exec(const kata_container *container, const char *id, const char *process_json,
                              const kata_process_io *io, GError **error) {
  g_auto(TaskStreams) streams = {0};
  if (!task_streams_init(&streams, io, error)) return FALSE;
  Kata__V1__ExecSpec own = KATA__V1__EXEC_SPEC__INIT;
  own.process_json = (char *)process_json;
  own.host_pid = streams.host_pid;
  Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
  spec.type_url = (char *)"kata.v1.ExecSpec";
  g_autofree guint8 *packed = g_malloc(kata__v1__exec_spec__get_packed_size(&own) + 1);
  spec.value.len = kata__v1__exec_spec__pack(&own, packed);
  spec.value.data = packed;
  Containerd__Task__V2__ExecProcessRequest request = CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
  request.id = container->id;
  request.exec_id = (char *)id;
  request.terminal = streams.terminal;
  request.stdin = streams.in;
  request.stdout = streams.out;
  request.stderr = streams.err;
  request.spec = &spec;
  return owner_call(container->ctx, container->sandbox_id, &containerd__task__v2__task__descriptor, "Exec",
                    &request.base, 0, NULL, error);
}

kata_process *kata_container_exec(kata_container *container, const char *exec_id, const char *process_json,
                                  const kata_process_io *io, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", flags, 0, &error) || !api_check_argument(process_json, "process_json", &error))
    return api_fail_null(err, error);
  g_autofree char *id = exec_id != NULL ? g_strdup(exec_id) : make_up_id(&error);
  if (id == NULL || !id_check(id, "exec", &error) || !register_exec(container, id, process_json, io, &error))
    return api_fail_null(err, error);
  return process_new(container, id);
}

kata_process *kata_process_open(kata_container *container, const char *exec_id, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(container, "container", flags, 0, &error) || !api_check_argument(exec_id, "exec_id", &error) ||
      !id_check(exec_id, "exec", &error))
    return api_fail_null(err, error);
  return process_new(container, exec_id);
}

int kata_process_start(kata_process *process, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(process, "process", flags, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(process->container, process->id);
  return task_start(&target, &error) ? 0 : api_fail(err, error);
}

int kata_process_kill(kata_process *process, int signal, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(process, "process", flags, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(process->container, process->id);
  return task_kill(&target, signal, FALSE, &error) ? 0 : api_fail(err, error);
}

int kata_process_wait(kata_process *process, uint32_t timeout_ms, int *ret_status, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(process, "process", 0, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(process->container, process->id);
  return task_wait(&target, timeout_ms, ret_status, &error) ? 0 : api_fail(err, error);
}

int kata_process_delete(kata_process *process, uint32_t flags, int *ret_status, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(process, "process", flags, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(process->container, process->id);
  return task_delete(&target, ret_status, &error) ? 0 : api_fail(err, error);
}

int kata_process_resize(kata_process *process, uint32_t columns, uint32_t rows, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(process, "process", 0, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(process->container, process->id);
  return task_resize(&target, columns, rows, &error) ? 0 : api_fail(err, error);
}

int kata_process_close_stdin(kata_process *process, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(process, "process", 0, 0, &error)) return api_fail(err, error);
  TaskTarget target = container_target(process->container, process->id);
  return task_close_stdin(&target, &error) ? 0 : api_fail(err, error);
}
