// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/agent-link.h"

#include <string.h>

#include "common/error.h"

gboolean agent_call(TtrpcClient *agent, const char *method, const ProtobufCMessage *request, gint64 timeout_ms,
                    ProtobufCMessage **ret_reply, GError **error) {
  if (agent == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "the guest has ended");
    return FALSE;
  }
  return ttrpc_client_invoke(agent, &grpc__agent_service__descriptor, method, request, timeout_ms, ret_reply, error);
}

/* Calls our own service, which a foreign agent has not: KATA_ERR_UNSUPPORTED. */
static gboolean call_guest(TtrpcClient *agent, const char *method, const ProtobufCMessage *request,
                           ProtobufCMessage **ret_reply, GError **error) {
  g_autoptr(GError) why = NULL;
  if (ttrpc_client_invoke(agent, &kata__v1__guest__descriptor, method, request, AGENT_CALL_TIMEOUT_MS, ret_reply, &why))
    return TRUE;
  /* Upstream's ttRPC calls an unknown service an invalid argument. */
  if (strstr(why->message, "service") != NULL && error_get_code(why) == KATA_ERR_INVALID_ARGUMENT)
    why->code = KATA_ERR_UNSUPPORTED;
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

Kata__V1__ListProcessesResponse *agent_list_processes(TtrpcClient *agent, const char *container_id, GError **error) {
  Kata__V1__ListProcessesRequest request = KATA__V1__LIST_PROCESSES_REQUEST__INIT;
  request.container_id = (char *)container_id;
  ProtobufCMessage *reply = NULL;
  g_autoptr(GError) why = NULL;
  if (call_guest(agent, "ListProcesses", &request.base, &reply, &why)) return (Kata__V1__ListProcessesResponse *)reply;
  if (error_get_code(why) == KATA_ERR_UNSUPPORTED)
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "the processes of container '%s' cannot be listed: the agent in its guest is not libkata's",
                container_id);
  else
    g_propagate_error(error, g_steal_pointer(&why));
  return NULL;
}

gboolean agent_close_output(TtrpcClient *agent, AgentOutput output, const char *container_id, const char *exec_id,
                            GError **error) {
  Kata__V1__CloseOutputRequest request = KATA__V1__CLOSE_OUTPUT_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  request.is_stderr = output == AGENT_STDERR;
  return call_guest(agent, "CloseOutput", &request.base, NULL, error);
}

static void free_message(gpointer message) { protobuf_c_message_free_unpacked(message, NULL); }

gboolean agent_read(TtrpcClient *agent, AgentOutput output, const char *container_id, const char *exec_id, guint32 size,
                    GBytes **ret_data, GError **error) {
  Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  request.len = size;
  ProtobufCMessage *message = NULL;
  const char *method = output == AGENT_STDOUT ? "ReadStdout" : "ReadStderr";
  if (!agent_call(agent, method, &request.base, 0, &message, error)) return FALSE;
  Grpc__ReadStreamResponse *reply = (Grpc__ReadStreamResponse *)message;
  *ret_data = g_bytes_new_with_free_func(reply->data.data, reply->data.len, free_message, message);
  return TRUE;
}

gboolean agent_write_stdin(TtrpcClient *agent, const char *container_id, const char *exec_id, const void *data,
                           gsize size, GError **error) {
  Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  request.data.data = (uint8_t *)data;
  request.data.len = size;
  /* No time-out: a container may read its input as late as it likes. */
  return agent_call(agent, "WriteStdin", &request.base, 0, NULL, error);
}

gboolean agent_close_stdin(TtrpcClient *agent, const char *container_id, const char *exec_id, GError **error) {
  Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  return agent_call(agent, "CloseStdin", &request.base, AGENT_CALL_TIMEOUT_MS, NULL, error);
}

gboolean agent_wait(TtrpcClient *agent, const char *container_id, const char *exec_id, guint32 *ret_status,
                    GError **error) {
  Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  ProtobufCMessage *message = NULL;
  if (!agent_call(agent, "WaitProcess", &request.base, 0, &message, error)) return FALSE;
  *ret_status = (guint32)((Grpc__WaitProcessResponse *)message)->status;
  protobuf_c_message_free_unpacked(message, NULL);
  return TRUE;
}

gboolean agent_signal(TtrpcClient *agent, const char *container_id, const char *exec_id, guint32 signal,
                      GError **error) {
  Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  request.signal = signal;
  return agent_call(agent, "SignalProcess", &request.base, AGENT_CALL_TIMEOUT_MS, NULL, error);
}
