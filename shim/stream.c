// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

struct Stream {
  int fd;
  int holder; /* of stream_hold_open(), or -1 */
  gboolean is_socket;
  char *identity;
};

/* A descriptor of another process. */
static int take_over(pid_t pid, int number, const char *uri, GError **error) {
  autofd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) {
    error_set_errno(error, errno, "cannot open the stream '%s': process %d", uri, (int)pid);
    return -1;
  }
  int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
  if (fd < 0) error_set_errno(error, errno, "cannot take over the stream '%s'", uri);
  return fd;
}

static int open_pidfd_uri(const char *rest, const char *uri, GError **error) {
  char *end = NULL;
  guint64 pid = g_ascii_strtoull(rest, &end, 10);
  if (end == rest || *end != '/' || pid == 0 || pid > G_MAXINT) goto bad;
  const char *number = end + 1;
  guint64 fd = g_ascii_strtoull(number, &end, 10);
  if (end == number || *end != '\0' || fd > G_MAXINT) goto bad;
  return take_over((pid_t)pid, (int)fd, uri, error);
bad:
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "stream '%s' is not of the form pidfd://PID/FD", uri);
  return -1;
}

static int open_path(const char *path, int flags, const char *uri, GError **error) {
  int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0644);
  if (fd < 0) error_set_errno(error, errno, "cannot open the stream '%s'", uri);
  return fd;
}

/* Reading end without a writer yet is fine; a writing end is opened for both so that it neither waits for a
 * reader nor breaks while containerd restarts (containerd shim v2, "FIFO rules"). */
static int open_fifo(const char *path, gboolean input, const char *uri, GError **error) {
  return open_path(path, (input ? O_RDONLY : O_RDWR) | O_NONBLOCK, uri, error);
}

static int open_file(const char *path, const char *uri, GError **error) {
  g_autofree char *directory = g_path_get_dirname(path);
  if (g_mkdir_with_parents(directory, 0755) < 0) {
    error_set_errno(error, errno, "cannot make the directory of the stream '%s'", uri);
    return -1;
  }
  return open_path(path, O_WRONLY | O_CREAT | O_APPEND, uri, error);
}

static int open_uri(const char *uri, gboolean input, GError **error) {
  if (g_str_has_prefix(uri, "pidfd://")) return open_pidfd_uri(uri + strlen("pidfd://"), uri, error);
  if (g_str_has_prefix(uri, "fifo://")) return open_fifo(uri + strlen("fifo://"), input, uri, error);
  if (g_str_has_prefix(uri, "file:///") && !input) return open_file(uri + strlen("file://"), uri, error);
  if (uri[0] == '/') return open_fifo(uri, input, uri, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "cannot open the stream '%s': only pidfd://, fifo://, file://, binary:// and binary-v2:// (for output) "
              "and paths of named pipes are known",
              uri);
  return -1;
}

/* The same pipe or terminal through an open file description of our own, where O_NONBLOCK disturbs nobody. */
static void make_private(int *fd, mode_t mode, gboolean input) {
  if (!S_ISFIFO(mode) && !(S_ISCHR(mode) && isatty(*fd))) return;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", *fd);
  int own = open(path, (input ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (own < 0) return; /* a pipe whose other end is gone: the caller's descriptor shows that just as well */
  fd_clear(fd);
  *fd = own;
}

static Stream *make_stream(int fd, const struct stat *st) {
  Stream *stream = g_new0(Stream, 1);
  stream->fd = fd;
  stream->holder = -1;
  stream->is_socket = S_ISSOCK(st->st_mode);
  stream->identity =
      g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64)st->st_dev, (guint64)st->st_ino);
  return stream;
}

gboolean stream_open(const char *uri, gboolean input, Stream **ret, GError **error) {
  if (uri == NULL || *uri == '\0') {
    *ret = NULL;
    return TRUE;
  }
  autofd int fd = open_uri(uri, input, error);
  if (fd < 0) return FALSE;
  struct stat st;
  if (fstat(fd, &st) < 0) {
    error_set_errno(error, errno, "cannot look at the stream '%s'", uri);
    return FALSE;
  }
  if (g_str_has_prefix(uri, "pidfd://")) make_private(&fd, st.st_mode, input);
  *ret = make_stream(fd_steal(&fd), &st);
  return TRUE;
}

Stream *stream_new(int fd) {
  struct stat st = {0};
  fstat(fd, &st);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return make_stream(fd, &st);
}

void stream_free(Stream *stream) {
  if (stream == NULL) return;
  fd_clear(&stream->fd);
  fd_clear(&stream->holder);
  g_free(stream->identity);
  g_free(stream);
}

const char *stream_get_identity(const Stream *stream) { return stream->identity; }

/* FALSE: cancelled. */
static gboolean wait_ready(Stream *stream, int cancel_fd, short events) {
  struct pollfd fds[2] = {{.fd = stream->fd, .events = events}, {.fd = cancel_fd, .events = POLLIN}};
  while (poll(fds, 2, -1) < 0)
    if (errno != EINTR) return FALSE;
  return fds[1].revents == 0;
}

static gssize read_once(Stream *stream, void *buffer, gsize size) {
  if (stream->is_socket) return recv(stream->fd, buffer, size, MSG_DONTWAIT);
  return read(stream->fd, buffer, size);
}

gssize stream_read(Stream *stream, int cancel_fd, void *buffer, gsize size) {
  for (;;) {
    if (!wait_ready(stream, cancel_fd, POLLIN)) return 0;
    gssize got = read_once(stream, buffer, size);
    if (got >= 0) return got;
    if (errno == EIO) return 0; /* a terminal whose other side is closed */
    if (errno != EAGAIN && errno != EINTR) return -1;
  }
}

gboolean stream_hold_open(Stream *stream) {
  struct stat st;
  if (stream->holder >= 0 || fstat(stream->fd, &st) < 0 || !S_ISFIFO(st.st_mode)) return FALSE;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", stream->fd);
  stream->holder = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  return stream->holder >= 0;
}

gssize stream_read_ready(Stream *stream, void *buffer, gsize size) {
  struct pollfd ready = {.fd = stream->fd, .events = POLLIN};
  if (poll(&ready, 1, 0) != 1) return 0;
  gssize got = read_once(stream, buffer, size);
  return got < 0 ? 0 : got;
}

static gssize write_once(Stream *stream, const void *data, gsize size) {
  if (stream->is_socket) return send(stream->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return write(stream->fd, data, size);
}

gboolean stream_is_broken(const Stream *stream) {
  struct pollfd fd = {.fd = stream->fd};
  return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLERR | POLLHUP)) != 0;
}

gboolean stream_write(Stream *stream, int cancel_fd, const void *data, gsize size) {
  const char *at = data;
  while (size > 0) {
    gssize put = write_once(stream, at, size);
    if (put >= 0) {
      at += put;
      size -= (gsize)put;
    } else if (errno == EAGAIN) {
      if (!wait_ready(stream, cancel_fd, POLLOUT)) {
        errno = ECANCELED;
        return FALSE;
      }
    } else if (errno != EINTR) {
      return FALSE;
    }
  }
  return TRUE;
}
