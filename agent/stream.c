/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

/* ---- sources that run only while somebody waits ---- */

static void set_source(guint *source, int fd, GIOCondition condition, gboolean wanted, GUnixFDSourceFunc func,
                       gpointer user_data) {
  if (wanted == (*source != 0)) return;
  if (wanted) {
    *source = g_unix_fd_add(fd, condition, func, user_data);
  } else {
    g_source_remove(*source);
    *source = 0;
  }
}

/* ---- who waits ---- */

/* How each entry of a queue begins. */
typedef struct {
  gpointer user_data;
} Waiting;

static void take_back(GQueue *queue, gpointer user_data) {
  for (GList *link = queue->head; link; link = link->next) {
    Waiting *waiting = link->data;
    if (waiting->user_data != user_data) continue;
    g_queue_delete_link(queue, link);
    g_free(waiting);
    break;
  }
}

/* ---- reader ---- */

typedef struct {
  Waiting waiting;
  gsize max;
  StreamReadFunc func;
} Read;

struct StreamReader {
  int fd; /* -1 once the end is reached */
  GQueue reads;
  guint source;
  guint linger;
  gboolean ended;
  gboolean lingered;
  gboolean told_end;
};

static void reader_serve(StreamReader *reader);

StreamReader *stream_reader_new(int fd) {
  StreamReader *reader = g_new0(StreamReader, 1);
  reader->fd = fd;
  fd_set_nonblocking(fd, TRUE, NULL);
  g_queue_init(&reader->reads);
  return reader;
}

static gboolean reader_ready(int fd, GIOCondition condition, gpointer user_data) {
  StreamReader *reader = user_data;
  /* Removed and added again as needed: reader_serve() decides. */
  reader->source = 0;
  reader_serve(reader);
  return G_SOURCE_REMOVE;
}

static void reader_close(StreamReader *reader) {
  set_source(&reader->source, reader->fd, G_IO_IN, FALSE, NULL, NULL);
  fd_clear(&reader->fd);
}

/* How much to make room for: what is there, so that many small writes of the process become one answer. */
static gsize reader_measure(const StreamReader *reader, gsize max) {
  int available = 0;
  if (ioctl(reader->fd, FIONREAD, &available) < 0 || available < 1) available = 1;
  return MIN(MIN((gsize)available, max), STREAM_READ_MAX);
}

/* Returns the size, 0 at the end, -1 when there is nothing yet. */
static gssize reader_take(StreamReader *reader, gsize max, guint8 **ret_data) {
  if (reader->fd < 0) return 0;
  gsize size = reader_measure(reader, max);
  g_autofree guint8 *data = g_malloc(size);
  gssize got = 0;
  do got = read(reader->fd, data, size);
  while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN && !reader->lingered) return -1;
  if (got <= 0) {
    /* A terminal's master says EIO when the last process has left the terminal. */
    reader_close(reader);
    return 0;
  }
  *ret_data = g_steal_pointer(&data);
  return got;
}

static void reader_serve(StreamReader *reader) {
  while (!g_queue_is_empty(&reader->reads)) {
    g_autofree guint8 *data = NULL;
    Read *first = g_queue_peek_head(&reader->reads);
    gssize size = reader_take(reader, first->max, &data);
    if (size < 0) break;
    if (size == 0) reader->told_end = TRUE;
    g_autofree Read *read = g_queue_pop_head(&reader->reads);
    read->func(data, (gsize)size, NULL, read->waiting.user_data);
  }
  gboolean wanted = reader->fd >= 0 && !g_queue_is_empty(&reader->reads);
  set_source(&reader->source, reader->fd, G_IO_IN | G_IO_HUP, wanted, reader_ready, reader);
}

void stream_reader_close(StreamReader *reader) {
  reader_close(reader);
  reader->told_end = TRUE;
  reader_serve(reader);
}

void stream_reader_free(StreamReader *reader) {
  if (!reader) return;
  stream_reader_close(reader);
  if (reader->linger) g_source_remove(reader->linger);
  g_free(reader);
}

void stream_reader_read(StreamReader *reader, gsize max, StreamReadFunc func, gpointer user_data) {
  if (g_queue_get_length(&reader->reads) >= STREAM_WAITERS_MAX) {
    g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                                          "more than %d reads wait on one stream", STREAM_WAITERS_MAX);
    func(NULL, 0, error, user_data);
    return;
  }
  Read *read = g_new(Read, 1);
  *read = (Read){{user_data}, MAX(max, 1), func};
  g_queue_push_tail(&reader->reads, read);
  if (!reader->source) reader_serve(reader);
}

void stream_reader_cancel(StreamReader *reader, gpointer user_data) {
  take_back(&reader->reads, user_data);
  if (g_queue_is_empty(&reader->reads)) set_source(&reader->source, reader->fd, G_IO_IN, FALSE, NULL, NULL);
}

static gboolean reader_lingered(gpointer user_data) {
  StreamReader *reader = user_data;
  reader->linger = 0;
  reader->lingered = TRUE;
  reader_serve(reader);
  return G_SOURCE_REMOVE;
}

void stream_reader_set_ended(StreamReader *reader) {
  if (reader->ended) return;
  reader->ended = TRUE;
  if (reader->fd >= 0) reader->linger = g_timeout_add(STREAM_LINGER_MS, reader_lingered, reader);
}

gboolean stream_reader_is_drained(const StreamReader *reader) { return reader->told_end; }

/* ---- writer ---- */

typedef struct {
  Waiting waiting;
  const guint8 *data;
  gsize size;
  StreamWriteFunc func;
} Write;

struct StreamWriter {
  int fd; /* -1 once nothing can be written any more */
  GQueue writes;
  guint source;
  gboolean closing;
  gboolean ended;
};

static void writer_serve(StreamWriter *writer);

StreamWriter *stream_writer_new(int fd) {
  StreamWriter *writer = g_new0(StreamWriter, 1);
  writer->fd = fd;
  fd_set_nonblocking(fd, TRUE, NULL);
  g_queue_init(&writer->writes);
  return writer;
}

static gboolean writer_ready(int fd, GIOCondition condition, gpointer user_data) {
  StreamWriter *writer = user_data;
  writer->source = 0;
  writer_serve(writer);
  return G_SOURCE_REMOVE;
}

static void writer_close(StreamWriter *writer) {
  set_source(&writer->source, writer->fd, G_IO_OUT, FALSE, NULL, NULL);
  fd_clear(&writer->fd);
}

static GError *writer_error(const StreamWriter *writer, int errnum) {
  if (writer->ended) return g_error_new(KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot write: the process has ended");
  if (errnum == 0) return g_error_new(KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot write: standard input is closed");
  GError *error = NULL;
  error_set_errno(&error, errnum, "cannot write to the process's standard input");
  return error;
}

/* Writes what fits. Returns 0 when all is written, EAGAIN to wait, another errno when it failed. */
static int writer_put(StreamWriter *writer, Write *pending) {
  while (pending->size > 0) {
    if (writer->fd < 0) return EBADF;
    gssize put = write(writer->fd, pending->data, pending->size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? errno : EAGAIN;
    pending->data += put;
    pending->size -= (gsize)put;
  }
  return 0;
}

static void writer_serve(StreamWriter *writer) {
  while (!g_queue_is_empty(&writer->writes)) {
    int errnum = writer_put(writer, g_queue_peek_head(&writer->writes));
    if (errnum == EAGAIN) break;
    g_autoptr(GError) error = NULL;
    if (errnum != 0) {
      error = writer_error(writer, errnum == EBADF ? 0 : errnum);
      writer_close(writer);
    }
    g_autofree Write *done = g_queue_pop_head(&writer->writes);
    done->func(error, done->waiting.user_data);
  }
  gboolean is_idle = g_queue_is_empty(&writer->writes);
  if (is_idle && writer->closing) writer_close(writer);
  set_source(&writer->source, writer->fd, G_IO_OUT | G_IO_ERR, writer->fd >= 0 && !is_idle, writer_ready, writer);
}

void stream_writer_free(StreamWriter *writer) {
  if (!writer) return;
  stream_writer_set_ended(writer);
  g_free(writer);
}

void stream_writer_write(StreamWriter *writer, const guint8 *data, gsize size, StreamWriteFunc func,
                         gpointer user_data) {
  g_autoptr(GError) error = NULL;
  if (writer->fd < 0 || writer->closing) {
    error = writer_error(writer, 0);
  } else if (g_queue_get_length(&writer->writes) >= STREAM_WAITERS_MAX) {
    error = g_error_new(KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d writes wait on one stream",
                        STREAM_WAITERS_MAX);
  }
  if (error) {
    func(error, user_data);
    return;
  }
  Write *pending = g_new(Write, 1);
  *pending = (Write){{user_data}, data, size, func};
  g_queue_push_tail(&writer->writes, pending);
  if (!writer->source) writer_serve(writer);
}

void stream_writer_cancel(StreamWriter *writer, gpointer user_data) {
  take_back(&writer->writes, user_data);
  if (g_queue_is_empty(&writer->writes)) set_source(&writer->source, writer->fd, G_IO_OUT, FALSE, NULL, NULL);
  if (g_queue_is_empty(&writer->writes) && writer->closing) writer_close(writer);
}

void stream_writer_close(StreamWriter *writer) {
  writer->closing = TRUE;
  if (g_queue_is_empty(&writer->writes)) writer_close(writer);
}

void stream_writer_set_ended(StreamWriter *writer) {
  writer->ended = TRUE;
  writer_close(writer);
  writer_serve(writer);
}
