// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/task-events.h"

#include "proto/shim-events.pb-c.h"
#include "shim/publisher.h"
#include "shim/times.h"

guint32 task_pid(Sandbox *sandbox, const Process *process) {
  guint32 host_pid = process_get_host_pid(process);
  return host_pid != 0 ? host_pid : sandbox_get_hypervisor_pid(sandbox);
}

void task_event_create(Sandbox *sandbox, const Container *container,
                       const Containerd__Task__V2__CreateTaskRequest *request) {
  Containerd__Events__TaskCreate event = CONTAINERD__EVENTS__TASK_CREATE__INIT;
  Containerd__Events__TaskIO io = CONTAINERD__EVENTS__TASK_IO__INIT;
  io.stdin = request->stdin;
  io.stdout = request->stdout;
  io.stderr = request->stderr;
  io.terminal = request->terminal;
  event.container_id = request->id;
  event.bundle = request->bundle;
  event.rootfs = request->rootfs;
  event.n_rootfs = request->n_rootfs;
  event.io = &io;
  event.checkpoint = request->checkpoint;
  event.pid = task_pid(sandbox, container->init);
  publisher_send(sandbox->publisher, "/tasks/create", &event.base);
}

void task_event_start(Sandbox *sandbox, const Process *process) {
  Containerd__Events__TaskStart start = CONTAINERD__EVENTS__TASK_START__INIT;
  Containerd__Events__TaskExecStarted exec = CONTAINERD__EVENTS__TASK_EXEC_STARTED__INIT;
  start.container_id = exec.container_id = (char *)process_get_container_id(process);
  exec.exec_id = (char *)process_get_exec_id(process);
  start.pid = exec.pid = task_pid(sandbox, process);
  if (*exec.exec_id == '\0')
    publisher_send(sandbox->publisher, "/tasks/start", &start.base);
  else
    publisher_send(sandbox->publisher, "/tasks/exec-started", &exec.base);
}

void task_event_exec_added(Sandbox *sandbox, const Process *process) {
  Containerd__Events__TaskExecAdded event = CONTAINERD__EVENTS__TASK_EXEC_ADDED__INIT;
  event.container_id = (char *)process_get_container_id(process);
  event.exec_id = (char *)process_get_exec_id(process);
  publisher_send(sandbox->publisher, "/tasks/exec-added", &event.base);
}

void task_event_exit(Sandbox *sandbox, Process *process, guint32 pid) {
  Containerd__Events__TaskExit event = CONTAINERD__EVENTS__TASK_EXIT__INIT;
  Google__Protobuf__Timestamp when = time_to_message(process_get_exited_at(process));
  event.container_id = (char *)process_get_container_id(process);
  event.id = (char *)process_get_agent_id(process); /* the container's for init, which is how it is told apart */
  event.pid = pid;
  event.exit_status = process_get_exit_status(process);
  event.exited_at = &when;
  publisher_send(sandbox->publisher, "/tasks/exit", &event.base);
}

void task_event_delete(Sandbox *sandbox, Process *init, guint32 pid) {
  Containerd__Events__TaskDelete event = CONTAINERD__EVENTS__TASK_DELETE__INIT;
  Google__Protobuf__Timestamp when = time_to_message(process_get_exited_at(init));
  event.container_id = (char *)process_get_container_id(init);
  event.pid = pid;
  event.exit_status = process_get_exit_status(init);
  event.exited_at = &when;
  publisher_send(sandbox->publisher, "/tasks/delete", &event.base);
}

void task_event_paused(Sandbox *sandbox, const char *container_id, gboolean paused) {
  Containerd__Events__TaskPaused pause = CONTAINERD__EVENTS__TASK_PAUSED__INIT;
  Containerd__Events__TaskResumed resume = CONTAINERD__EVENTS__TASK_RESUMED__INIT;
  pause.container_id = resume.container_id = (char *)container_id;
  publisher_send(sandbox->publisher, paused ? "/tasks/paused" : "/tasks/resumed", paused ? &pause.base : &resume.base);
}

void task_event_oom(Sandbox *sandbox, const char *container_id) {
  Containerd__Events__TaskOOM event = CONTAINERD__EVENTS__TASK_OOM__INIT;
  event.container_id = (char *)container_id;
  publisher_send(sandbox->publisher, "/tasks/oom", &event.base);
}
