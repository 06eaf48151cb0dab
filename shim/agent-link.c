// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/agent-link.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#include "common/error.h"

/* More than the kernel's generator takes for one key (32 bytes). */
#define SEED_BYTES 64

/* Calls our own service, which a foreign agent has not: KATA_ERR_UNSUPPORTED. */
static gboolean call_guest(TtrpcClient *agent, const char *method, const ProtobufCMessage *request,
                           ProtobufCMessage **ret_reply, GError **error) {
  g_autoptr(GError) why = NULL;
  union {
    max_align_t align;
    guint8 bytes[AGENT_CALLS_MESSAGE_MAX];
  } buffer;
  request = agent_calls_translate(request, &buffer);
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

static gboolean renew_random(TtrpcClient *agent, gint64 timeout_ms, GError **error) {
  guint8 seed[SEED_BYTES];
  if (getrandom(seed, sizeof seed, 0) != (gssize)sizeof seed) {
    error_set_errno(error, errno, "cannot get random numbers for the guest");
    return FALSE;
  }
  Grpc__ReseedRandomDevRequest request = GRPC__RESEED_RANDOM_DEV_REQUEST__INIT;
  request.data.data = seed;
  request.data.len = sizeof seed;
  gboolean done = agent_call_reseed_random_dev(agent, &request, timeout_ms, error);
  explicit_bzero(seed, sizeof seed);
  return done;
}

static gboolean renew_clock(TtrpcClient *agent, gint64 timeout_ms, GError **error) {
  gint64 now = g_get_real_time();
  Grpc__SetGuestDateTimeRequest request = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;
  request.sec = now / G_USEC_PER_SEC;
  request.usec = now % G_USEC_PER_SEC;
  return agent_call_set_guest_date_time(agent, &request, timeout_ms, error);
}

/* The clock second: nothing comes between it and the right time but the call itself. */
gboolean agent_renew_guest(TtrpcClient *agent, gint64 timeout_ms, GError **error) {
  return renew_random(agent, timeout_ms, error) && renew_clock(agent, timeout_ms, error);
}

static void free_message(gpointer message) { protobuf_c_message_free_unpacked(message, NULL); }

gboolean agent_read(TtrpcClient *agent, AgentOutput output, const char *container_id, const char *exec_id, guint32 size,
                    GBytes **ret_data, GError **error) {
  Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  request.len = size;
  Grpc__ReadStreamResponse *reply = NULL;
  if (!(output == AGENT_STDOUT ? agent_call_read_stdout(agent, &request, 0, &reply, error)
                               : agent_call_read_stderr(agent, &request, 0, &reply, error)))
    return FALSE;
  *ret_data = g_bytes_new_with_free_func(reply->data.data, reply->data.len, free_message, reply);
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
  return agent_call_write_stdin(agent, &request, 0, NULL, error);
}

gboolean agent_close_stdin(TtrpcClient *agent, const char *container_id, const char *exec_id, GError **error) {
  Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  return agent_call_close_stdin(agent, &request, AGENT_CALL_TIMEOUT_MS, error);
}

gboolean agent_wait(TtrpcClient *agent, const char *container_id, const char *exec_id, guint32 *ret_status,
                    GError **error) {
  Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  Grpc__WaitProcessResponse *reply = NULL;
  if (!agent_call_wait_process(agent, &request, 0, &reply, error)) return FALSE;
  *ret_status = (guint32)reply->status;
  grpc__wait_process_response__free_unpacked(reply, NULL);
  return TRUE;
}

gboolean agent_signal(TtrpcClient *agent, const char *container_id, const char *exec_id, guint32 signal,
                      GError **error) {
  Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  request.signal = signal;
  return agent_call_signal_process(agent, &request, AGENT_CALL_TIMEOUT_MS, error);
}

gboolean agent_signal_plainly(TtrpcClient *agent, const char *container_id, const char *exec_id, guint32 signal,
                              gboolean all, GError **error) {
  Kata__V1__SignalRequest request = KATA__V1__SIGNAL_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.exec_id = (char *)exec_id;
  request.signal = signal;
  request.all = all;
  return call_guest(agent, "Signal", &request.base, NULL, error);
}

gboolean agent_cover_mount(TtrpcClient *agent, const char *container_id, const char *source, const char *cover,
                           GError **error) {
  Kata__V1__CoverMountRequest request = KATA__V1__COVER_MOUNT_REQUEST__INIT;
  request.container_id = (char *)container_id;
  request.source = (char *)source;
  request.cover = (char *)cover;
  return call_guest(agent, "CoverMount", &request.base, NULL, error);
}

gboolean agent_look_at_mounts(TtrpcClient *agent, const char *container_id, GError **error) {
  Kata__V1__LookAtMountsRequest request = KATA__V1__LOOK_AT_MOUNTS_REQUEST__INIT;
  request.container_id = (char *)container_id;
  return call_guest(agent, "LookAtMounts", &request.base, NULL, error);
}
