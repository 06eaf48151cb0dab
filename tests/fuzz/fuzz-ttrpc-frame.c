// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The ttRPC parser and the messages in its frames. The first byte of the input
 * says how it arrives: bit 0 a port that hunts, the others the size of the
 * pieces. The input must give the same frames in any pieces.
 */
#include <stdint.h>
#include <string.h>

#include "common/ttrpc-frame.h"
#include "common/ttrpc-message.h"
#include "common/ttrpc-resync.h"
#include "common/ttrpc.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/ttrpc.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The beginning of what came out: the frames' headers and bodies, one after the other. */
typedef struct {
  GChecksum *sum;
  guint frames;
  gboolean is_broken;
} Result;

/* Our walk over the envelope finds what protobuf-c finds. */
static void compare_envelopes(const TtrpcFrame *frame) {
  ProtobufCBinaryData payload = {0};
  Ttrpc__Request *ours = ttrpc_request_unpack(frame, &payload);
  Ttrpc__Request *theirs = ttrpc__request__unpack(NULL, frame->length, frame->body);
  /* They take more: tags of field number 0 or above the limit, for instance. */
  if (ours != NULL && theirs != NULL) {
    g_assert(payload.len == theirs->payload.len);
    g_assert(payload.len == 0 || memcmp(payload.data, theirs->payload.data, payload.len) == 0);
    g_assert(strcmp(ours->service, theirs->service) == 0 && strcmp(ours->method, theirs->method) == 0);
    g_assert(ours->timeout_nano == theirs->timeout_nano && ours->n_metadata == theirs->n_metadata);
  }
  if (ours != NULL) ttrpc__request__free_unpacked(ours, NULL);
  if (theirs != NULL) ttrpc__request__free_unpacked(theirs, NULL);
  Ttrpc__Response *response = ttrpc_response_unpack(frame, &payload);
  if (response != NULL) ttrpc__response__free_unpacked(response, NULL);
}

static void unpack_all(const TtrpcFrame *frame) {
  const ProtobufCMessageDescriptor *types[] = {&ttrpc__request__descriptor, &ttrpc__response__descriptor,
                                               &grpc__create_container_request__descriptor,
                                               &grpc__stats_container_response__descriptor};
  for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
    ProtobufCMessage *message = ttrpc_unpack(types[i], frame->body, frame->length);
    if (message != NULL) protobuf_c_message_free_unpacked(message, NULL);
  }
  compare_envelopes(frame);
  const guint8 nonce[TTRPC_NONCE_SIZE] = {1};
  ttrpc_seal_check(nonce, frame->body, frame->length);
}

static void take_frame(Result *result, TtrpcParseResult kind, const TtrpcFrame *frame) {
  guint8 header[TTRPC_HEADER_SIZE];
  ttrpc_header_encode(frame, header);
  g_checksum_update(result->sum, header, sizeof(header));
  result->frames++;
  g_assert((kind == TTRPC_PARSE_OVERSIZE) == (frame->length > TTRPC_MAX_BODY));
  g_assert((frame->body != NULL) == (frame->length > 0 && kind == TTRPC_PARSE_FRAME));
  if (frame->body == NULL) return;
  g_checksum_update(result->sum, frame->body, frame->length);
  unpack_all(frame);
}

/* use_space: bytes of bodies go to their place without a copy, as from read(). */
static void parse(Result *result, gboolean hunts, const guint8 *data, gsize size, gsize piece, gboolean use_space) {
  TtrpcParser parser;
  ttrpc_parser_init(&parser, hunts);
  result->sum = g_checksum_new(G_CHECKSUM_SHA256);
  for (gsize start = 0; start < size && !result->is_broken;) {
    gsize left = MIN(piece, size - start);
    const guint8 *bytes = data + start;
    gsize space_size = 0;
    guint8 *space = use_space ? ttrpc_parser_get_space(&parser, &space_size) : NULL;
    if (space != NULL) {
      left = MIN(left, space_size);
      bytes = memcpy(space, bytes, left);
    }
    start += left;
    TtrpcParseResult kind = TTRPC_PARSE_FRAME;
    while (kind != TTRPC_PARSE_MORE && kind != TTRPC_PARSE_BROKEN) {
      g_auto(TtrpcFrame) frame = {0};
      gsize used = 0;
      kind = ttrpc_parser_feed(&parser, bytes, left, &used, &frame);
      g_assert(used <= left);
      bytes += used;
      left -= used;
      if (kind == TTRPC_PARSE_FRAME || kind == TTRPC_PARSE_OVERSIZE) take_frame(result, kind, &frame);
    }
    result->is_broken = kind == TTRPC_PARSE_BROKEN;
    g_assert(kind == TTRPC_PARSE_BROKEN || left == 0);
    g_assert(!hunts || !result->is_broken);
  }
  ttrpc_parser_clear(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  gboolean hunts = data[0] & 1;
  gsize piece = (data[0] >> 1) + 1;
  Result whole = {0}, pieces = {0};
  parse(&whole, hunts, data + 1, size - 1, size, FALSE);
  parse(&pieces, hunts, data + 1, size - 1, piece, TRUE);
  g_assert(whole.frames == pieces.frames && whole.is_broken == pieces.is_broken);
  g_assert(strcmp(g_checksum_get_string(whole.sum), g_checksum_get_string(pieces.sum)) == 0);
  g_checksum_free(whole.sum);
  g_checksum_free(pieces.sum);
  return 0;
}
