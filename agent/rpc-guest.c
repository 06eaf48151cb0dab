/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kata.v1.Guest: what our owner asks beyond upstream's protocol. */
#include "agent/process-list.h"
#include "agent/rpc.h"

static void name_known_process(const Container *container, Kata__V1__GuestProcess *process) {
  process->is_init = container->init && container->init->pid == (pid_t)process->pid;
  for (GList *link = container->execs.head; link; link = link->next) {
    const Process *exec = link->data;
    if (exec->pid != (pid_t)process->pid) continue;
    process->exec_id = g_strdup(exec->id);
    return;
  }
}

void rpc_list_processes(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Kata__V1__ListProcessesRequest *asked = (const Kata__V1__ListProcessesRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INVALID_ARGUMENT);
  if (!container) return;
  if (!container->cgroup_path) {
    ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container '%s' has no cgroup yet", container->id);
    return;
  }
  g_autoptr(GError) error = NULL;
  Kata__V1__ListProcessesResponse *list = process_list_of_cgroup(container->cgroup_path, &error);
  if (!list) {
    ttrpc_call_fail_error(call, error);
    return;
  }
  for (gsize i = 0; i < list->n_processes; i++) name_known_process(container, list->processes[i]);
  ttrpc_call_reply(call, &list->base);
  protobuf_c_message_free_unpacked(&list->base, NULL);
}

void rpc_close_output(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Kata__V1__CloseOutputRequest *asked = (const Kata__V1__CloseOutputRequest *)request;
  Process *process = rpc_find_process(call, user_data, asked->container_id, asked->exec_id);
  if (!process) return;
  if (!process->out) {
    ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "process '%s' has not started yet", process->id);
    return;
  }
  process_close_output(process, asked->is_stderr);
  Kata__V1__CloseOutputResponse reply = KATA__V1__CLOSE_OUTPUT_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
}
