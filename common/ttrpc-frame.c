// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/ttrpc-frame.h"

#include <string.h>

#include "common/ttrpc-resync.h"
#include "common/ttrpc.h"

void ttrpc_frame_clear(TtrpcFrame *frame) {
  g_free(frame->body);
  *frame = (TtrpcFrame){0};
}

static void put_be32(guint8 *bytes, guint32 number) {
  guint32 swapped = GUINT32_TO_BE(number);
  memcpy(bytes, &swapped, sizeof(swapped));
}

static guint32 get_be32(const guint8 *bytes) {
  guint32 swapped;
  memcpy(&swapped, bytes, sizeof(swapped));
  return GUINT32_FROM_BE(swapped);
}

void ttrpc_header_encode(const TtrpcFrame *frame, guint8 bytes[TTRPC_HEADER_SIZE]) {
  put_be32(bytes, frame->length);
  put_be32(bytes + 4, frame->stream_id);
  bytes[8] = frame->type;
  bytes[9] = frame->flags;
}

void ttrpc_header_decode(TtrpcFrame *frame, const guint8 bytes[TTRPC_HEADER_SIZE]) {
  *frame = (TtrpcFrame){
      .length = get_be32(bytes), .stream_id = get_be32(bytes + 4), .type = bytes[8], .flags = bytes[9], .body = NULL};
}

void ttrpc_parser_init(TtrpcParser *parser, gboolean hunts) { *parser = (TtrpcParser){.hunts = hunts}; }

void ttrpc_parser_reset(TtrpcParser *parser) {
  ttrpc_frame_clear(&parser->frame);
  parser->state = TTRPC_AT_HEADER;
  parser->done = 0;
}

void ttrpc_parser_clear(TtrpcParser *parser) { ttrpc_parser_reset(parser); }

/* Searches the bytes for the marker; where it ends, frames begin. Its first byte occurs once in it, so a mismatch can
 * only begin a new match with the very byte that failed. */
static gsize hunt(TtrpcParser *parser, const guint8 *bytes, gsize size) {
  for (gsize i = 0; i < size; i++) {
    if (bytes[i] != TTRPC_MARKER[parser->done]) parser->done = 0;
    if (bytes[i] == TTRPC_MARKER[parser->done]) parser->done++;
    if (parser->done == TTRPC_MARKER_SIZE) {
      ttrpc_parser_reset(parser);
      return i + 1;
    }
  }
  return size;
}

/* Whether a header may come from a client that is in step. */
static gboolean fits_port(const TtrpcFrame *frame) {
  switch (frame->type) {
    case TTRPC_FRAME_REQUEST:
    case TTRPC_FRAME_RESPONSE:
    case TTRPC_FRAME_DATA:
      return frame->length <= TTRPC_MAX_BODY;
    case TTRPC_FRAME_SYNC:
      return frame->length == TTRPC_NONCE_SIZE && frame->stream_id == 0 && frame->flags == 0;
    default:
      return FALSE;
  }
}

static void begin_body(TtrpcParser *parser) {
  ttrpc_header_decode(&parser->frame, parser->header);
  parser->done = 0;
  if (parser->hunts && !fits_port(&parser->frame)) {
    parser->state = TTRPC_IN_HUNT;
    /* These bytes may already be the beginning of the marker; it is longer than a header. */
    hunt(parser, parser->header, TTRPC_HEADER_SIZE);
  } else if (parser->frame.length > TTRPC_MAX_BODY) {
    parser->state = TTRPC_IN_OVERSIZE;
  } else {
    parser->state = TTRPC_IN_BODY;
    if (parser->frame.length > 0) parser->frame.body = g_malloc(parser->frame.length);
  }
}

static gsize take_header(TtrpcParser *parser, const guint8 *bytes, gsize size) {
  gsize used = MIN(size, TTRPC_HEADER_SIZE - parser->done);
  memcpy(parser->header + parser->done, bytes, used);
  parser->done += used;
  /* No frame is 16 MiB or longer: told from the first byte, so that a stranger's text is not waited for. */
  if (parser->header[0] != 0 && !parser->hunts)
    parser->state = TTRPC_AT_BREAK;
  else if (parser->done == TTRPC_HEADER_SIZE)
    begin_body(parser);
  return used;
}

static gsize take_body(TtrpcParser *parser, const guint8 *bytes, gsize size) {
  gsize used = MIN(size, parser->frame.length - parser->done);
  guint8 *place = parser->frame.body != NULL ? parser->frame.body + parser->done : NULL;
  if (place != NULL && place != bytes) memcpy(place, bytes, used);
  parser->done += used;
  return used;
}

TtrpcParseResult ttrpc_parser_feed(TtrpcParser *parser, const guint8 *bytes, gsize size, gsize *ret_used,
                                   TtrpcFrame *ret_frame) {
  gsize used = 0;
  TtrpcParseResult result = TTRPC_PARSE_MORE;
  while (result == TTRPC_PARSE_MORE) {
    gboolean in_body = parser->state == TTRPC_IN_BODY || parser->state == TTRPC_IN_OVERSIZE;
    if (parser->state == TTRPC_AT_BREAK) {
      result = TTRPC_PARSE_BROKEN;
    } else if (in_body && parser->done == parser->frame.length) {
      result = parser->state == TTRPC_IN_BODY ? TTRPC_PARSE_FRAME : TTRPC_PARSE_OVERSIZE;
      *ret_frame = parser->frame;
      parser->frame.body = NULL;
      ttrpc_parser_reset(parser);
    } else if (used == size) {
      break;
    } else if (in_body) {
      used += take_body(parser, bytes + used, size - used);
    } else if (parser->state == TTRPC_IN_HUNT) {
      used += hunt(parser, bytes + used, size - used);
    } else {
      used += take_header(parser, bytes + used, size - used);
    }
  }
  *ret_used = used;
  return result;
}

guint8 *ttrpc_parser_get_space(TtrpcParser *parser, gsize *ret_size) {
  if (parser->state != TTRPC_IN_BODY || parser->frame.body == NULL) return NULL;
  *ret_size = parser->frame.length - parser->done;
  return parser->frame.body + parser->done;
}
