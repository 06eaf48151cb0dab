// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/task.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "common/error.h"
#include "lib/owner-client.h"
#include "proto/shim-task.pb-c.h"

/* The window of a terminal is told in 16 bits (struct winsize). */
#define WINDOW_MAX 65535u

static gboolean call(const TaskTarget *target, const char *method, const ProtobufCMessage *request, gint64 timeout_ms,
                     OwnerReply **ret_reply, GError **error) {
  return owner_call(target->ctx, target->sandbox_id, &containerd__task__v2__task__descriptor, method, request,
                    timeout_ms, ret_reply, error);
}

gboolean task_start(const TaskTarget *target, GError **error) {
  Containerd__Task__V2__StartRequest request = CONTAINERD__TASK__V2__START_REQUEST__INIT;
  request.id = (char *)target->container_id;
  request.exec_id = (char *)target->exec_id;
  return call(target, "Start", &request.base, 0, NULL, error);
}

gboolean task_kill(const TaskTarget *target, int signal, gboolean all, GError **error) {
  if (signal < 0 || signal > SIGRTMAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "there is no signal %d: 0 to %d are known", signal,
                SIGRTMAX);
    return FALSE;
  }
  Containerd__Task__V2__KillRequest request = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
  request.id = (char *)target->container_id;
  request.exec_id = (char *)target->exec_id;
  request.signal = (guint32)signal;
  request.all = all;
  return call(target, "Kill", &request.base, 0, NULL, error);
}

gboolean task_wait(const TaskTarget *target, guint timeout_ms, int *ret_status, GError **error) {
  Containerd__Task__V2__WaitRequest request = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
  request.id = (char *)target->container_id;
  request.exec_id = (char *)target->exec_id;
  g_autoptr(OwnerReply) reply = NULL;
  if (!owner_ask(target->ctx, target->sandbox_id, &containerd__task__v2__task__descriptor, "Wait", &request.base,
                 timeout_ms, &reply, error))
    return FALSE;
  if (ret_status != NULL) *ret_status = (int)((Containerd__Task__V2__WaitResponse *)reply)->exit_status;
  return TRUE;
}

gboolean task_delete(const TaskTarget *target, int *ret_status, GError **error) {
  Containerd__Task__V2__DeleteRequest request = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
  request.id = (char *)target->container_id;
  request.exec_id = (char *)target->exec_id;
  g_autoptr(OwnerReply) reply = NULL;
  if (!call(target, "Delete", &request.base, 0, &reply, error)) return FALSE;
  if (ret_status != NULL) *ret_status = (int)((Containerd__Task__V2__DeleteResponse *)reply)->exit_status;
  return TRUE;
}

gboolean task_resize(const TaskTarget *target, guint columns, guint rows, GError **error) {
  if (columns > WINDOW_MAX || rows > WINDOW_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "a terminal of %u columns and %u rows is too large (%u)",
                columns, rows, WINDOW_MAX);
    return FALSE;
  }
  Containerd__Task__V2__ResizePtyRequest request = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
  request.id = (char *)target->container_id;
  request.exec_id = (char *)target->exec_id;
  request.width = columns;
  request.height = rows;
  return call(target, "ResizePty", &request.base, 0, NULL, error);
}

gboolean task_close_stdin(const TaskTarget *target, GError **error) {
  Containerd__Task__V2__CloseIORequest request = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;
  request.id = (char *)target->container_id;
  request.exec_id = (char *)target->exec_id;
  request.stdin = TRUE;
  return call(target, "CloseIO", &request.base, 0, NULL, error);
}

void task_streams_clear(TaskStreams *streams) {
  g_free(streams->in);
  g_free(streams->out);
  g_free(streams->err);
  *streams = (TaskStreams){0};
}

static char *describe_fd(int fd, const char *name, GError **error) {
  if (fd == -1) return g_strdup("");
  if (fd < 0 || fcntl(fd, F_GETFD) < 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: descriptor %d is not open", name, fd);
    return NULL;
  }
  return g_strdup_printf("pidfd://%d/%d", (int)getpid(), fd);
}

/* A newer caller's struct may be longer, if he uses nothing of what we do not know. */
static gboolean check_size(const kata_process_io *io, GError **error) {
  enum { SIZE_LIMIT = 4096 };
  gboolean fits = io->size >= sizeof *io && io->size <= SIZE_LIMIT && io->reserved == 0;
  for (gsize i = sizeof *io; fits && i < io->size; i++) fits = ((const char *)io)[i] == 0;
  if (!fits)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "kata_process_io has size %zu, but this libkata knows %zu bytes (use KATA_PROCESS_IO_INIT)", io->size,
                sizeof *io);
  return fits;
}

gboolean task_streams_init(TaskStreams *streams, const kata_process_io *io, GError **error) {
  static const kata_process_io none = KATA_PROCESS_IO_INIT;
  if (io == NULL) io = &none;
  g_auto(TaskStreams) made = {0};
  if (!check_size(io, error) || (made.in = describe_fd(io->stdin_fd, "stdin_fd", error)) == NULL ||
      (made.out = describe_fd(io->stdout_fd, "stdout_fd", error)) == NULL ||
      (made.err = describe_fd(io->terminal ? -1 : io->stderr_fd, "stderr_fd", error)) == NULL)
    return FALSE;
  if (io->host_pid < 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "host_pid %d is no process", (int)io->host_pid);
    return FALSE;
  }
  made.terminal = io->terminal != 0;
  made.host_pid = (guint32)io->host_pid;
  *streams = made;
  made = (TaskStreams){0};
  return TRUE;
}
