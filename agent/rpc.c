/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/rpc.h"

#include "common/ids.h"
#include "proto/google-protobuf.pb-c.h"

/* How much of an id that does not exist is repeated to who asked for it. */
#define ID_SHOWN_MAX 160

void rpc_reply_empty(TtrpcCall *call) {
  Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
  ttrpc_call_reply(call, &empty.base);
}

void rpc_answer(const GError *error, gpointer call) {
  if (error)
    ttrpc_call_fail_error(call, error);
  else
    rpc_reply_empty(call);
}

Container *rpc_find_container(TtrpcCall *call, Sandbox *sandbox, const char *id, int code) {
  Container *container = sandbox_find_container(sandbox, id);
  if (!container) ttrpc_call_fail(call, code, "Invalid container id '%.*s'", ID_SHOWN_MAX, id);
  return container;
}

Process *rpc_find_process(TtrpcCall *call, Sandbox *sandbox, const char *id, const char *exec_id) {
  Container *container = rpc_find_container(call, sandbox, id, TTRPC_INVALID_ARGUMENT);
  if (!container) return NULL;
  Process *process = container_find_process(container, exec_id);
  if (!process)
    ttrpc_call_fail(call, TTRPC_NOT_FOUND, "no process '%.*s' in container '%s'", ID_SHOWN_MAX, exec_id, id);
  return process;
}
