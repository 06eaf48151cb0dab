// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/ttrpc-message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ttrpc-resync.h"
#include "common/ttrpc.h"

/* The highest number of a field in protobuf. */
#define FIELD_NUMBER_MAX ((1u << 29) - 1)
/* A list of empty messages takes two bytes an entry on the wire and a hundred in memory. */
#define UNPACK_LIMIT (64u << 20)
/* Of an error's text. */
#define TEXT_LIMIT (64u << 10)
/* Field numbers 3 and 2 with wire type "length-delimited". */
#define REQUEST_PAYLOAD_TAG 0x1a
#define RESPONSE_PAYLOAD_TAG 0x12
#define VARINT_MAX 10

void ttrpc_output_free(TtrpcOutput *output) {
  if (output == NULL) return;
  g_free(output->bytes);
  g_free(output);
}

static gsize put_varint(guint8 *bytes, gsize number) {
  gsize length = 0;
  for (; number >= 0x80; number >>= 7) bytes[length++] = (guint8)(number | 0x80);
  bytes[length++] = (guint8)number;
  return length;
}

/* One frame of the envelope's fields, then the payload's field packed in place (a copy less), then the seal. */
static TtrpcOutput *pack_frame(const TtrpcFrame *kind, const ProtobufCMessage *envelope, guint8 payload_tag,
                               const ProtobufCMessage *payload, const guint8 *seal, gsize *ret_length) {
  gsize payload_size = payload != NULL ? protobuf_c_message_get_packed_size(payload) : 0;
  guint8 payload_start[1 + VARINT_MAX] = {payload_tag};
  gsize start_size = 0;
  if (payload_size > 0) start_size = 1 + put_varint(payload_start + 1, payload_size);
  gsize envelope_size = protobuf_c_message_get_packed_size(envelope);
  gsize length = envelope_size + start_size + payload_size + (seal != NULL ? TTRPC_SEAL_SIZE : 0);
  if (length > TTRPC_MAX_BODY) {
    *ret_length = length;
    return NULL;
  }
  TtrpcFrame frame = *kind;
  frame.length = (guint32)length;
  TtrpcOutput *output = g_new0(TtrpcOutput, 1);
  output->size = TTRPC_HEADER_SIZE + length;
  output->bytes = g_malloc(output->size);
  ttrpc_header_encode(&frame, output->bytes);
  guint8 *end = output->bytes + TTRPC_HEADER_SIZE;
  end += protobuf_c_message_pack(envelope, end);
  if (payload_size > 0) {
    memcpy(end, payload_start, start_size);
    end += start_size;
    end += protobuf_c_message_pack(payload, end);
  }
  if (seal != NULL) memcpy(end, seal, TTRPC_SEAL_SIZE);
  return output;
}

TtrpcOutput *ttrpc_request_pack(const char *service, const char *method, const ProtobufCMessage *payload,
                                gint64 timeout_us, const guint8 *seal, gsize *ret_length) {
  Ttrpc__Request envelope = TTRPC__REQUEST__INIT;
  envelope.service = (char *)service;
  envelope.method = (char *)method;
  envelope.timeout_nano = timeout_us > G_MAXINT64 / 1000 ? G_MAXINT64 : timeout_us * 1000;
  const TtrpcFrame kind = {.type = TTRPC_FRAME_REQUEST};
  return pack_frame(&kind, &envelope.base, REQUEST_PAYLOAD_TAG, payload, seal, ret_length);
}

TtrpcOutput *ttrpc_response_pack(guint32 stream_id, const ProtobufCMessage *payload) {
  const Ttrpc__Response envelope = TTRPC__RESPONSE__INIT;
  const TtrpcFrame kind = {.type = TTRPC_FRAME_RESPONSE, .stream_id = stream_id};
  gsize length = 0;
  TtrpcOutput *output = pack_frame(&kind, &envelope.base, RESPONSE_PAYLOAD_TAG, payload, NULL, &length);
  if (output != NULL) return output;
  g_autofree char *text = ttrpc_oversize_text(length);
  return ttrpc_status_pack(stream_id, TTRPC_RESOURCE_EXHAUSTED, text);
}

TtrpcOutput *ttrpc_response_begin(guint32 stream_id, guint field, gsize size, gsize *ret_length) {
  guint8 member[1 + VARINT_MAX] = {(guint8)(field << 3 | 2)}, payload[1 + VARINT_MAX] = {RESPONSE_PAYLOAD_TAG};
  gsize member_size = 1 + put_varint(member + 1, size);
  gsize payload_size = 1 + put_varint(payload + 1, member_size + size);
  gsize length = payload_size + member_size + size;
  if (length > TTRPC_MAX_BODY) {
    *ret_length = length;
    return NULL;
  }
  const TtrpcFrame frame = {.type = TTRPC_FRAME_RESPONSE, .stream_id = stream_id, .length = (guint32)length};
  TtrpcOutput *output = g_new0(TtrpcOutput, 1);
  output->size = TTRPC_HEADER_SIZE + length - size;
  output->bytes = g_malloc(output->size);
  ttrpc_header_encode(&frame, output->bytes);
  memcpy(output->bytes + TTRPC_HEADER_SIZE, payload, payload_size);
  memcpy(output->bytes + TTRPC_HEADER_SIZE + payload_size, member, member_size);
  return output;
}

TtrpcOutput *ttrpc_status_pack(guint32 stream_id, int rpc_code, const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text, (gssize)strnlen(text, TEXT_LIMIT));
  Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
  status.code = rpc_code;
  status.message = valid;
  Ttrpc__Response envelope = TTRPC__RESPONSE__INIT;
  envelope.status = &status;
  const TtrpcFrame kind = {.type = TTRPC_FRAME_RESPONSE, .stream_id = stream_id};
  gsize length = 0;
  return pack_frame(&kind, &envelope.base, RESPONSE_PAYLOAD_TAG, NULL, NULL, &length);
}

char *ttrpc_oversize_text(gsize length) {
  return g_strdup_printf("message length %zu exceed maximum message size of %u", length, TTRPC_MAX_BODY);
}

void ttrpc_output_set_stream_id(TtrpcOutput *output, guint32 stream_id) {
  TtrpcFrame frame;
  ttrpc_header_decode(&frame, output->bytes);
  frame.stream_id = stream_id;
  ttrpc_header_encode(&frame, output->bytes);
}

static void *limited_alloc(void *data, size_t size) {
  gsize *left = data;
  if (size > *left) return NULL;
  *left -= size;
  return malloc(size);
}

static void limited_free(void *data, void *memory) { free(memory); }

static gboolean has_good_tags(const ProtobufCMessage *message);

static gboolean members_have_good_tags(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  const void *place = (const char *)message + field->offset;
  gboolean is_absent = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
                       G_STRUCT_MEMBER(guint32, message, field->quantifier_offset) != field->id;
  if (field->type != PROTOBUF_C_TYPE_MESSAGE || is_absent) return TRUE;
  if (field->label != PROTOBUF_C_LABEL_REPEATED) {
    const ProtobufCMessage *member = *(const ProtobufCMessage *const *)place;
    return member == NULL || has_good_tags(member);
  }
  const ProtobufCMessage *const *members = *(const ProtobufCMessage *const *const *)place;
  for (gsize i = 0; i < G_STRUCT_MEMBER(size_t, message, field->quantifier_offset); i++)
    if (!has_good_tags(members[i])) return FALSE;
  return TRUE;
}

/* protobuf-c keeps unknown fields of any number, and packs them, but does not unpack 0 and those above the limit again:
 * a copy of such a message could not be made. */
static gboolean has_good_tags(const ProtobufCMessage *message) {
  for (unsigned i = 0; i < message->n_unknown_fields; i++)
    if (message->unknown_fields[i].tag == 0 || message->unknown_fields[i].tag > FIELD_NUMBER_MAX) return FALSE;
  for (unsigned i = 0; i < message->descriptor->n_fields; i++)
    if (!members_have_good_tags(message, &message->descriptor->fields[i])) return FALSE;
  return TRUE;
}

ProtobufCMessage *ttrpc_unpack(const ProtobufCMessageDescriptor *type, const guint8 *bytes, gsize length) {
  gsize left = UNPACK_LIMIT;
  /* protobuf-c's own allocator is malloc() too, so what this one made may be freed without it. */
  ProtobufCAllocator allocator = {.alloc = limited_alloc, .free = limited_free, .allocator_data = &left};
  ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, length, bytes);
  if (message == NULL || has_good_tags(message)) return message;
  protobuf_c_message_free_unpacked(message, NULL);
  return NULL;
}

static gboolean read_varint(const guint8 **at, const guint8 *end, guint64 *ret_number) {
  guint64 number = 0;
  for (guint shift = 0; shift < 64 && *at < end; shift += 7) {
    guint8 byte = *(*at)++;
    number |= (guint64)(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *ret_number = number;
      return TRUE;
    }
  }
  return FALSE;
}

/* Steps over one field. *ret_start: the content of a length-delimited one. */
static gboolean skip_field(const guint8 **at, const guint8 *end, guint64 *ret_tag, const guint8 **ret_start) {
  guint64 size = 0;
  if (!read_varint(at, end, ret_tag)) return FALSE;
  switch (*ret_tag & 7) {
    case 0:
      *ret_start = *at;
      return read_varint(at, end, &size);
    case 1:
      size = 8;
      break;
    case 2:
      if (!read_varint(at, end, &size)) return FALSE;
      break;
    case 5:
      size = 4;
      break;
    default:
      return FALSE;
  }
  *ret_start = *at;
  if (size > (gsize)(end - *at)) return FALSE;
  *at += size;
  return TRUE;
}

/* Unpacks all fields but the payload; the last payload counts, as always in protobuf. */
static ProtobufCMessage *unpack_envelope(const ProtobufCMessageDescriptor *type, guint8 payload_tag,
                                         const TtrpcFrame *frame, ProtobufCBinaryData *ret_payload) {
  g_autoptr(GByteArray) rest = g_byte_array_new();
  ProtobufCBinaryData payload = {0};
  const guint8 *at = frame->body;
  const guint8 *end = frame->length > 0 ? at + frame->length : at;
  while (at < end) {
    const guint8 *field = at;
    const guint8 *start = NULL;
    guint64 tag = 0;
    if (!skip_field(&at, end, &tag, &start)) return NULL;
    if (tag == payload_tag)
      payload = (ProtobufCBinaryData){.len = (size_t)(at - start), .data = (uint8_t *)start};
    else
      g_byte_array_append(rest, field, (guint)(at - field));
  }
  ProtobufCMessage *envelope = ttrpc_unpack(type, rest->data, rest->len);
  if (envelope != NULL) *ret_payload = payload;
  return envelope;
}

Ttrpc__Request *ttrpc_request_unpack(const TtrpcFrame *frame, ProtobufCBinaryData *ret_payload) {
  return (Ttrpc__Request *)unpack_envelope(&ttrpc__request__descriptor, REQUEST_PAYLOAD_TAG, frame, ret_payload);
}

Ttrpc__Response *ttrpc_response_unpack(const TtrpcFrame *frame, ProtobufCBinaryData *ret_payload) {
  return (Ttrpc__Response *)unpack_envelope(&ttrpc__response__descriptor, RESPONSE_PAYLOAD_TAG, frame, ret_payload);
}

gssize ttrpc_write(int fd, gboolean is_socket, const guint8 *bytes, gsize size) {
  ssize_t written;
  do {
    written = is_socket ? send(fd, bytes, size, MSG_NOSIGNAL) : write(fd, bytes, size);
  } while (written < 0 && errno == EINTR);
  if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
  return written;
}

gboolean ttrpc_is_socket(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}
