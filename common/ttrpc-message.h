/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Protobuf messages into frames and out of them. */
#pragma once

#include <glib.h>
#include <protobuf-c/protobuf-c.h>

#include "common/ttrpc-frame.h"
#include "proto/ttrpc.pb-c.h"

/* A frame ready to be written. */
typedef struct {
  guint8 *bytes;
  gsize size; /* header included */
  gsize done; /* written so far */
} TtrpcOutput;

void ttrpc_output_free(TtrpcOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TtrpcOutput, ttrpc_output_free)

/* timeout_us: time left, 0: none. seal: TTRPC_SEAL_SIZE bytes for a port, or NULL. The stream id is still to be set.
 * NULL if the body would be above TTRPC_MAX_BODY; *ret_length then says how long. */
TtrpcOutput *ttrpc_request_pack(const char *service, const char *method, const ProtobufCMessage *payload,
                                gint64 timeout_us, const guint8 *seal, gsize *ret_length);

/* A successful answer; one that is too long becomes RESOURCE_EXHAUSTED. */
TtrpcOutput *ttrpc_response_pack(guint32 stream_id, const ProtobufCMessage *payload);

/* The beginning of a successful answer whose only field, of that number and below 16, is size bytes: those come after
 * it. NULL: it would be too long; *ret_length then says how long. */
TtrpcOutput *ttrpc_response_begin(guint32 stream_id, guint field, gsize size, gsize *ret_length);

/* An answer that tells of a failure. The text is made valid UTF-8 and cut to a sane length. */
TtrpcOutput *ttrpc_status_pack(guint32 stream_id, int rpc_code, const char *text);

/* "message length 4194305 exceed maximum message size of 4194304", as containerd's implementation says. */
char *ttrpc_oversize_text(gsize length);

void ttrpc_output_set_stream_id(TtrpcOutput *output, guint32 stream_id);

/* What a server says when a call's time is over. */
#define TTRPC_TIMEOUT_TEXT "timeout"

/* Unpacks a message that a stranger wrote: memory that a short message can be blown up to is limited. NULL if it is
 * malformed or needs more. Free with protobuf_c_message_free_unpacked(message, NULL). */
ProtobufCMessage *ttrpc_unpack(const ProtobufCMessageDescriptor *type, const guint8 *bytes, gsize length);

/* The envelope of a frame's body. Its payload is left where it is in the body (the payload member stays empty), as
 * copies of it would cost more than all the rest of a call. NULL if malformed. */
Ttrpc__Request *ttrpc_request_unpack(const TtrpcFrame *frame, ProtobufCBinaryData *ret_payload);
Ttrpc__Response *ttrpc_response_unpack(const TtrpcFrame *frame, ProtobufCBinaryData *ret_payload);

/* Writes what fd takes without blocking: is_socket: see ttrpc_is_socket().
 * Returns bytes written, 0 when the descriptor would block, -1 on failure. */
gssize ttrpc_write(int fd, gboolean is_socket, const guint8 *bytes, gsize size);
gboolean ttrpc_is_socket(int fd);
