// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls to a sandbox's agent, which only the owner can reach. */
#include "common/error.h"
#include "common/ttrpc-message.h"
#include "lib/agent-methods.h"
#include "lib/api.h"
#include "lib/owner-client.h"
#include "lib/sandbox.h"
#include "proto/kata-v1.pb-c.h"

static guint8 *pack(const ProtobufCMessage *message, gsize *ret_size) {
  *ret_size = protobuf_c_message_get_packed_size(message);
  guint8 *packed = g_malloc(MAX(*ret_size, 1));
  protobuf_c_message_pack(message, packed);
  return packed;
}

static gboolean forward(const kata_sandbox *sandbox, const kata_agent_method *method, const ProtobufCMessage *message,
                        gint64 timeout_ms, char **ret_reply_json, GError **error) {
  Kata__V1__AgentCallRequest request = KATA__V1__AGENT_CALL_REQUEST__INIT;
  g_autofree guint8 *packed = pack(message, &request.request.len);
  g_autoptr(OwnerReply) reply = NULL;
  request.service = (char *)method->service->name;
  request.method = (char *)method->descriptor->name;
  request.request.data = packed;
  if (!owner_call(sandbox->ctx, sandbox->id, &kata__v1__owner__descriptor, "AgentCall", &request.base, timeout_ms,
                  &reply, error))
    return FALSE;
  const ProtobufCBinaryData *answer = &((Kata__V1__AgentCallResponse *)reply)->reply;
  ProtobufCMessage *unpacked = ttrpc_unpack(method->descriptor->output, answer->data, answer->len);
  if (unpacked == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_GUEST, "the answer of sandbox '%s' to '%s' is not a %s", sandbox->id,
                method->name, method->descriptor->output->name);
    return FALSE;
  }
  if (ret_reply_json != NULL) *ret_reply_json = agent_method_write_reply(unpacked);
  protobuf_c_message_free_unpacked(unpacked, NULL);
  return TRUE;
}

gboolean sandbox_call_agent(const kata_sandbox *sandbox, const char *name, const char *request_json, gint64 timeout_ms,
                            char **ret_reply_json, GError **error) {
  const kata_agent_method *method = agent_method_find(name, error);
  ProtobufCMessage *message = method != NULL ? agent_method_read_request(method, request_json, error) : NULL;
  if (message == NULL) return FALSE;
  gboolean ok = forward(sandbox, method, message, timeout_ms, ret_reply_json, error);
  protobuf_c_message_free_unpacked(message, NULL);
  return ok;
}

int kata_sandbox_call_agent(kata_sandbox *sandbox, const char *method, const char *request_json, uint32_t timeout_ms,
                            uint32_t flags, char **ret_reply_json, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) || !api_check_argument(method, "method", &error) ||
      !sandbox_call_agent(sandbox, method, request_json, timeout_ms, ret_reply_json, &error))
    return api_fail(err, error);
  return 0;
}
