// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The agent's client. The first byte of the input chooses a message of the protocol. The rest is taken as its JSON,
 * which must mean the same after it was written and read again; and as an answer on the wire, whose JSON must not
 * change any more when it is read and written.
 */
#include <stdint.h>
#include <string.h>

#include "common/json-text.h"
#include "common/protobuf-json.h"
#include "common/ttrpc-message.h"
#include "kata/kata.h"
#include "lib/agent-methods.h"

#define TEXT_MAX (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *choose(uint8_t number) {
  const kata_agent_method *method = kata_agent_method_next(NULL);
  for (unsigned left = number >> 1; left > 0 && kata_agent_method_next(method); left--)
    method = kata_agent_method_next(method);
  return number & 1 ? method->descriptor->input : method->descriptor->output;
}

static ProtobufCMessage *read_json(const char *text, gsize length, const ProtobufCMessageDescriptor *type,
                                   GError **error) {
  struct json_object *json = json_text_parse(text, length, TEXT_MAX, "fuzz", error);
  ProtobufCMessage *message =
      json != NULL ? protobuf_from_json(json, type, PROTOBUF_JSON_CANONICAL, "fuzz", error) : NULL;
  json_object_put(json);
  return message;
}

static GBytes *pack(const ProtobufCMessage *message) {
  gsize size = protobuf_c_message_get_packed_size(message);
  guint8 *data = g_malloc(size + 1);
  protobuf_c_message_pack(message, data);
  return g_bytes_new_take(data, size);
}

static void try_json(const char *text, gsize length, const ProtobufCMessageDescriptor *type) {
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *message = read_json(text, length, type, &error);
  g_assert((message == NULL) == (error != NULL));
  if (error != NULL) g_assert(strchr(error->message, '\n') == NULL && g_utf8_validate(error->message, -1, NULL));
  if (message == NULL) return;
  g_autofree char *written = agent_method_write_reply(message);
  ProtobufCMessage *again = read_json(written, strlen(written), type, NULL);
  g_assert(again != NULL);
  g_autoptr(GBytes) one = pack(message);
  g_autoptr(GBytes) other = pack(again);
  g_assert(g_bytes_equal(one, other));
  protobuf_c_message_free_unpacked(again, NULL);
  protobuf_c_message_free_unpacked(message, NULL);
}

static void try_answer(const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *type) {
  ProtobufCMessage *message = ttrpc_unpack(type, data, size);
  if (message == NULL) return;
  g_autofree char *written = agent_method_write_reply(message);
  protobuf_c_message_free_unpacked(message, NULL);
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *again = read_json(written, strlen(written), type, &error);
  /* Longer lists are written and not read. */
  if (again == NULL && size > PROTOBUF_JSON_LIST_LIMIT) return;
  if (again == NULL) g_error("%s: %s", error->message, written);
  g_autofree char *written_again = agent_method_write_reply(again);
  g_assert_cmpstr(written, ==, written_again);
  protobuf_c_message_free_unpacked(again, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  const ProtobufCMessageDescriptor *type = choose(data[0]);
  try_json((const char *)data + 1, size - 1, type);
  try_answer(data + 1, size - 1, type);
  return 0;
}
