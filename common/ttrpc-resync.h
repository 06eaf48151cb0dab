/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Getting in step again on a byte stream that outlives its peers.
 *
 * A virtio-serial port stays open in the guest while processes on the host come
 * and go; any of them may be killed in the middle of a frame, in either
 * direction, and the guest may not notice that another one took its place. So
 * the first thing a client does on a port is:
 *
 *   1. It sends SYNC: a frame with stream id 0, type 0x53, flags 0, and 16
 *      random bytes, the nonce, as its body. A server that finds SYNC at the
 *      start of a frame forgets the calls and the queued output of the peer
 *      before and sends the very same frame back.
 *   2. The client throws away what it reads up to and with these 26 bytes. What
 *      containers write cannot forge them, as the nonce is new each time.
 *   3. If the port was used before and no answer came within 300 ms, the server
 *      may be inside a frame that the dead peer never finished. The client
 *      sends TTRPC_MAX_BODY + 10 zero bytes, the marker, and a SYNC with a new
 *      nonce, and waits for the answer to that one. A server inside of a frame
 *      takes zeros as its missing part. A server at the start of a frame sees a
 *      header that no client in step sends (unknown type, too long) and hunts:
 *      it skips everything until right after the marker.
 *
 * So that a frame which was made whole by somebody else's bytes is never
 * executed, every request on a port ends with the seal: the protobuf field
 * number 15 (fixed64, unknown to ttRPC and so skipped by it) that holds the
 * first 8 bytes of the nonce the server has answered last. Requests without it,
 * and all requests before the first SYNC, are thrown away in silence.
 *
 * When the guest sees that the host's side is closed (read() gives 0), the
 * server also forgets the peer and a half-read frame at once.
 */
#pragma once

#include <glib.h>

#define TTRPC_NONCE_SIZE 16
#define TTRPC_SYNC_SIZE 26 /* header and nonce */
#define TTRPC_SEAL_SIZE 9  /* tag and half a nonce */

/* Its first byte is not zero and occurs nowhere else in it. */
#define TTRPC_MARKER_SIZE 16
extern const guint8 TTRPC_MARKER[TTRPC_MARKER_SIZE];

void ttrpc_sync_encode(const guint8 nonce[TTRPC_NONCE_SIZE], guint8 bytes[TTRPC_SYNC_SIZE]);
void ttrpc_seal_encode(const guint8 nonce[TTRPC_NONCE_SIZE], guint8 bytes[TTRPC_SEAL_SIZE]);

/* Whether the body ends with the seal of this nonce. */
gboolean ttrpc_seal_check(const guint8 nonce[TTRPC_NONCE_SIZE], const guint8 *body, gsize length);

/* The client's part, on a non-blocking fd that nobody else reads or writes meanwhile. Ends early with
 * KATA_ERR_CANCELLED when stop_fd becomes readable. timeout_ms: -1 for ever. */
gboolean ttrpc_resync(int fd, int stop_fd, gboolean was_used, int timeout_ms, guint8 ret_nonce[TTRPC_NONCE_SIZE],
                      GError **error);
