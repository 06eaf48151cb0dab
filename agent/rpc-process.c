/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about processes. */
#include <signal.h>

#include "agent/rpc.h"
#include "common/error.h"

void rpc_exec_process(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__ExecProcessRequest *asked = (const Grpc__ExecProcessRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INTERNAL);
  if (container) container_exec(container, asked, rpc_answer, call);
}

void rpc_signal_process(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__SignalProcessRequest *asked = (const Grpc__SignalProcessRequest *)request;
  Container *container = rpc_find_container(call, user_data, asked->container_id, TTRPC_INVALID_ARGUMENT);
  if (!container) return;
  g_autoptr(GError) error = NULL;
  if (asked->signal > RPC_SIGNAL_MAX) {
    ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "signal %u does not exist", asked->signal);
    return;
  }
  if (!*asked->exec_id && asked->signal == SIGKILL) {
    container_kill_all(container, &error);
  } else {
    Process *process = rpc_find_process(call, user_data, asked->container_id, asked->exec_id);
    if (!process) return;
    SignalManner manner = process == container->init ? SIGNAL_ENDS_INIT : SIGNAL_AS_IT_IS;
    process_signal(process, (int)asked->signal, manner, &error);
  }
  rpc_answer(error, call);
}

/* ---- wait ---- */

typedef struct {
  TtrpcCall *call;
  Process *process; /* answers all who wait before it goes */
} Wait;

static void wait_done(int exit_code, const GError *error, gpointer user_data) {
  g_autofree Wait *wait = user_data;
  Grpc__WaitProcessResponse reply = GRPC__WAIT_PROCESS_RESPONSE__INIT;
  reply.status = exit_code;
  if (error)
    ttrpc_call_fail_error(wait->call, error);
  else
    ttrpc_call_reply(wait->call, &reply.base);
}

static void wait_gone(TtrpcCall *call, gpointer user_data) {
  g_autofree Wait *wait = user_data;
  process_cancel_wait(wait->process, wait);
  ttrpc_call_fail(call, TTRPC_CANCELLED, "the caller is gone");
}

void rpc_wait_process(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__WaitProcessRequest *asked = (const Grpc__WaitProcessRequest *)request;
  Process *process = rpc_find_process(call, user_data, asked->container_id, asked->exec_id);
  if (!process) return;
  Wait *wait = g_new(Wait, 1);
  *wait = (Wait){call, process};
  ttrpc_call_set_gone_func(call, wait_gone, wait);
  process_wait(process, wait_done, wait);
}

void rpc_tty_win_resize(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__TtyWinResizeRequest *asked = (const Grpc__TtyWinResizeRequest *)request;
  Process *process = rpc_find_process(call, user_data, asked->container_id, asked->exec_id);
  if (!process) return;
  g_autoptr(GError) error = NULL;
  process_resize(process, asked->row, asked->column, &error);
  rpc_answer(error, call);
}
