/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's end of a process's stream. A caller names it by URI:
 *   pidfd://PID/FD   descriptor FD of process PID, taken over with pidfd_getfd(2)
 *   /path, fifo://   a named pipe (containerd)
 *   file:///path     a file that is appended to, made with its directories if need be
 * (and binary:///program, see stream-binary.h.)
 * What is done with an end never changes how others see it: pipes and terminals are opened a second
 * time to be made non-blocking, so the caller's own descriptor stays as it was.
 */
#pragma once

#include <glib.h>

typedef struct Stream Stream;

/* Takes over a pipe's writing end nobody else writes to. */
Stream *stream_new(int fd);

/* An empty URI: *ret is NULL and that is no error. */
gboolean stream_open(const char *uri, gboolean input, Stream **ret, GError **error);
void stream_free(Stream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stream, stream_free)

/* "DEV:INO" of what it leads to, to recognise it again; owned by stream. */
const char *stream_get_identity(const Stream *stream);

/* Bytes read, 0 at the end or once cancel_fd is readable, -1 with errno. */
gssize stream_read(Stream *stream, int cancel_fd, void *buffer, gsize size);

/* A named pipe whose writers have all gone: keeps it open for those to come, so that its end is not met again. FALSE:
 * it is something else. */
gboolean stream_hold_open(Stream *stream);

/* What can be read without waiting; 0 when there is nothing. */
gssize stream_read_ready(Stream *stream, void *buffer, gsize size);

/* Nobody reads any more. */
gboolean stream_is_broken(const Stream *stream);

/* Writes all of it; FALSE with errno when that failed (EPIPE: nobody reads any more) or cancel_fd became readable
 * (ECANCELED). */
gboolean stream_write(Stream *stream, int cancel_fd, const void *data, gsize size);
