// SPDX-License-Identifier: LGPL-2.1-or-later
/* kata.v1.Owner/AgentCall: calls of others to the agent. Each waits in the worker thread of its own. */
#include <string.h>

#include "common/error.h"
#include "common/ttrpc-message.h"
#include "proto/health.pb-c.h"
#include "proto/kata-v1.pb-c.h"
#include "shim/agent-link.h"
#include "shim/service.h"
#include "shim/volumes.h"

/* Calls that may wait for the agent at once; those without a time-out may do so for ever. */
#define FORWARDED_MAX 64

static gint n_forwarded; /* atomic */

static const ProtobufCServiceDescriptor *find_service(const char *name) {
  if (strcmp(name, grpc__agent_service__descriptor.name) == 0) return &grpc__agent_service__descriptor;
  return strcmp(name, grpc__health__descriptor.name) == 0 ? &grpc__health__descriptor : NULL;
}

/* Milliseconds until the caller stops waiting, 0: never. Not less than 1 for one who is late. */
static gint64 time_left(const TtrpcCall *call) {
  gint64 deadline = ttrpc_call_get_deadline(call);
  return deadline == 0 ? 0 : MAX((deadline - g_get_monotonic_time()) / 1000, 1);
}

static ProtobufCMessage *read_request(const Kata__V1__AgentCallRequest *asked,
                                      const ProtobufCServiceDescriptor **ret_service, GError **error) {
  const ProtobufCServiceDescriptor *service = find_service(asked->service);
  const ProtobufCMethodDescriptor *method =
      service != NULL ? protobuf_c_service_descriptor_get_method_by_name(service, asked->method) : NULL;
  if (method == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the agent protocol has no method '%s/%s'",
                asked->service, asked->method);
    return NULL;
  }
  ProtobufCMessage *request = ttrpc_unpack(method->input, asked->request.data, asked->request.len);
  if (request == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the request of '%s/%s' is not a %s", asked->service,
                asked->method, method->input->name);
  *ret_service = service;
  return request;
}

/* The guest learns how large a disk of the host has become only from the machine. */
static gboolean prepare(Sandbox *sandbox, const ProtobufCMessage *request, GError **error) {
  if (request->descriptor != &grpc__resize_volume_request__descriptor) return TRUE;
  return volumes_update_size(sandbox, ((const Grpc__ResizeVolumeRequest *)(const void *)request)->volume_guest_path,
                             error);
}

static gboolean forward(ServiceJob *job, ProtobufCMessage **ret_reply, GError **error) {
  const Kata__V1__AgentCallRequest *asked = (const void *)job->request;
  const ProtobufCServiceDescriptor *service = NULL;
  ProtobufCMessage *request = read_request(asked, &service, error);
  if (request == NULL) return FALSE;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(job->owner->sandbox, error);
  gboolean done = agent != NULL && prepare(job->owner->sandbox, request, error) &&
                  ttrpc_client_invoke(agent, service, asked->method, request, time_left(job->call), ret_reply, error);
  protobuf_c_message_free_unpacked(request, NULL);
  return done;
}

static void reply_packed(TtrpcCall *call, const ProtobufCMessage *message) {
  Kata__V1__AgentCallResponse reply = KATA__V1__AGENT_CALL_RESPONSE__INIT;
  reply.reply.len = protobuf_c_message_get_packed_size(message);
  g_autofree guint8 *packed = g_malloc(MAX(reply.reply.len, 1));
  reply.reply.data = packed;
  protobuf_c_message_pack(message, packed);
  ttrpc_call_reply(call, &reply.base);
}

void owner_agent_call(ServiceJob *job) {
  if (g_atomic_int_add(&n_forwarded, 1) >= FORWARDED_MAX) {
    ttrpc_call_fail(job->call, TTRPC_RESOURCE_EXHAUSTED,
                    "%d calls wait for the agent of sandbox '%s' already: give them a time-out", FORWARDED_MAX,
                    job->owner->sandbox->id);
  } else {
    g_autoptr(GError) error = NULL;
    ProtobufCMessage *reply = NULL;
    if (forward(job, &reply, &error))
      reply_packed(job->call, reply);
    else
      ttrpc_call_fail_error(job->call, error);
    if (reply != NULL) protobuf_c_message_free_unpacked(reply, NULL);
  }
  g_atomic_int_add(&n_forwarded, -1);
}
