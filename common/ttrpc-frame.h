/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames of ttRPC: the 10-byte header, and cutting a byte stream into frames. Pure: no input or output. */
#pragma once

#include <glib.h>

#define TTRPC_HEADER_SIZE 10

typedef enum {
  TTRPC_FRAME_REQUEST = 0x01,
  TTRPC_FRAME_RESPONSE = 0x02,
  TTRPC_FRAME_DATA = 0x03,
  TTRPC_FRAME_SYNC = 0x53, /* ports only, see ttrpc-resync.h */
} TtrpcFrameType;

typedef struct {
  guint32 length; /* of the body */
  guint32 stream_id;
  guint8 type;
  guint8 flags;
  guint8 *body; /* NULL if length is 0 or above TTRPC_MAX_BODY */
} TtrpcFrame;

void ttrpc_frame_clear(TtrpcFrame *frame);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TtrpcFrame, ttrpc_frame_clear)

void ttrpc_header_encode(const TtrpcFrame *frame, guint8 bytes[TTRPC_HEADER_SIZE]);
void ttrpc_header_decode(TtrpcFrame *frame, const guint8 bytes[TTRPC_HEADER_SIZE]);

typedef enum {
  TTRPC_PARSE_MORE,     /* all bytes are used up */
  TTRPC_PARSE_FRAME,    /* a frame is whole */
  TTRPC_PARSE_OVERSIZE, /* a frame above TTRPC_MAX_BODY has passed by, its body was thrown away */
  TTRPC_PARSE_BROKEN,   /* this is not ttRPC; nothing after it can be understood */
} TtrpcParseResult;

typedef struct {
  gboolean hunts; /* what cannot be a frame starts a search for TTRPC_MARKER instead of breaking the stream */
  enum { TTRPC_AT_HEADER, TTRPC_IN_BODY, TTRPC_IN_OVERSIZE, TTRPC_IN_HUNT, TTRPC_AT_BREAK } state;
  guint8 header[TTRPC_HEADER_SIZE];
  gsize done; /* bytes of the header, the body or the marker seen so far */
  TtrpcFrame frame;
} TtrpcParser;

void ttrpc_parser_init(TtrpcParser *parser, gboolean hunts);
void ttrpc_parser_clear(TtrpcParser *parser);

/* Forgets a half-read frame: the next byte begins one. */
void ttrpc_parser_reset(TtrpcParser *parser);

/* Uses up bytes to the end of the next frame at most; *ret_used tells how many. With FRAME and OVERSIZE, *ret_frame is
 * set and its body is the caller's. */
TtrpcParseResult ttrpc_parser_feed(TtrpcParser *parser, const guint8 *bytes, gsize size, gsize *ret_used,
                                   TtrpcFrame *ret_frame);

/* The missing part of a body: bytes read right into it and then fed from there need no copy. NULL outside of a body. */
guint8 *ttrpc_parser_get_space(TtrpcParser *parser, gsize *ret_size);
