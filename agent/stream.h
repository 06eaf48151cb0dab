/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process's standard streams as seen from outside: reads and writes that wait
 * in the default main context. Nothing is buffered here: a reader that stops
 * reading stops the process's writes.
 */
#pragma once

#include <glib.h>

/* The most one read returns. */
#define STREAM_READ_MAX (1u << 20)
/* Reads or writes that may wait on one stream. */
#define STREAM_WAITERS_MAX 64
/* How long after a process's end its output is still waited for: others may hold the pipe open for ever. */
#define STREAM_LINGER_MS 500

/* ---- what a process writes ---- */

typedef struct StreamReader StreamReader;

/* size 0: the end. error: NULL, or why there is no data. */
typedef void (*StreamReadFunc)(const guint8 *data, gsize size, const GError *error, gpointer user_data);

/* Owns fd: a pipe's read end or a terminal's master. */
StreamReader *stream_reader_new(int fd);

/* Waiting reads see the end. */
void stream_reader_free(StreamReader *reader);

/* Calls func once, now or later, with at least one byte, at most max; the end is told to every read after it. */
void stream_reader_read(StreamReader *reader, gsize max, StreamReadFunc func, gpointer user_data);

/* Takes a waiting read back; func is not called. */
void stream_reader_cancel(StreamReader *reader, gpointer user_data);

/* Nobody reads any more: whoever writes gets SIGPIPE; waiting and later reads see the end. */
void stream_reader_close(StreamReader *reader);

/* The process has ended: what is buffered is still delivered, then, after STREAM_LINGER_MS at most, the end. */
void stream_reader_set_ended(StreamReader *reader);

/* The end has been told. */
gboolean stream_reader_is_drained(const StreamReader *reader);

/* ---- what a process reads ---- */

typedef struct StreamWriter StreamWriter;

/* error: NULL, or why not all was written. */
typedef void (*StreamWriteFunc)(const GError *error, gpointer user_data);

/* Owns fd: a pipe's write end or a terminal's master. */
StreamWriter *stream_writer_new(int fd);

/* Waiting writes fail. */
void stream_writer_free(StreamWriter *writer);

/* Writes all of data, which must stay until func is called, once, now or later. */
void stream_writer_write(StreamWriter *writer, const guint8 *data, gsize size, StreamWriteFunc func,
                         gpointer user_data);

/* Takes a waiting write back; func is not called. */
void stream_writer_cancel(StreamWriter *writer, gpointer user_data);

/* The process reads its end of file once waiting writes are done; later writes fail. */
void stream_writer_close(StreamWriter *writer);

/* The process has ended: waiting and later writes fail. */
void stream_writer_set_ended(StreamWriter *writer);
