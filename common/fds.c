// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"

/* A peer may send more text or descriptors than anybody asked for; beyond these they are refused. */
#define TEXT_LIMIT 4096
#define DESCRIPTOR_LIMIT 16

void fd_clear(int *fd) {
  if (*fd < 0) return;
  int saved = errno;
  close(*fd); /* Linux has closed it even when close() says EINTR. */
  *fd = -1;
  errno = saved;
}

int fd_steal(int *fd) {
  int stolen = *fd;
  *fd = -1;
  return stolen;
}

/* After a call failed: whether it is worth calling again, having waited for the descriptor if it does not block. */
static gboolean may_retry(int fd, short events) {
  if (errno == EINTR) return TRUE;
  if (errno != EAGAIN && errno != EWOULDBLOCK) return FALSE;
  struct pollfd poll_fd = {.fd = fd, .events = events};
  return poll(&poll_fd, 1, -1) >= 0 || errno == EINTR;
}

ssize_t fd_read_all(int fd, void *buffer, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t count = read(fd, (char *)buffer + done, size - done);
    if (count == 0) break;
    if (count > 0)
      done += (size_t)count;
    else if (!may_retry(fd, POLLIN))
      return -1;
  }
  return (ssize_t)done;
}

gboolean fd_write_all(int fd, const void *buffer, size_t size) {
  size_t done = 0;
  gboolean is_socket =
      TRUE; /* until the kernel says otherwise; a socket must not raise SIGPIPE in a caller's program */
  while (done < size) {
    const char *rest = (const char *)buffer + done;
    ssize_t count = is_socket ? send(fd, rest, size - done, MSG_NOSIGNAL) : write(fd, rest, size - done);
    if (count >= 0)
      done += (size_t)count;
    else if (is_socket && errno == ENOTSOCK)
      is_socket = FALSE;
    else if (!may_retry(fd, POLLOUT))
      return FALSE;
  }
  return TRUE;
}

int fd_lock_file(const char *path, GError **error) {
  autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  int result = -1;
  do result = fd >= 0 ? flock(fd, LOCK_EX) : -1;
  while (result < 0 && fd >= 0 && errno == EINTR);
  if (result == 0) return fd_steal(&fd);
  error_set_errno(error, errno, "cannot lock '%s'", path);
  return -1;
}

gboolean fd_set_nonblocking(int fd, gboolean nonblocking, GError **error) {
  int flags = fcntl(fd, F_GETFL);
  int wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (flags >= 0 && (flags == wanted || fcntl(fd, F_SETFL, wanted) == 0)) return TRUE;
  error_set_errno(error, errno, "cannot make descriptor %d %s", fd, nonblocking ? "non-blocking" : "blocking");
  return FALSE;
}

gboolean fd_send(int socket, int fd, const char *text, GError **error) {
  size_t length = strlen(text);
  if (length == 0 || length > TEXT_LIMIT) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot send a descriptor beside a text of %zu bytes: 1 to %d are possible", length, TEXT_LIMIT);
    return FALSE;
  }
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec part = {.iov_base = (char *)text, .iov_len = length};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof(int));

  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && may_retry(socket, POLLOUT));
  /* The descriptor went with the first byte; the rest of the text may need more room than the socket had. */
  if (sent < 0 || !fd_write_all(socket, text + sent, length - (size_t)sent)) {
    error_set_errno(error, errno, "cannot send descriptor %d over socket %d", fd, socket);
    return FALSE;
  }
  return TRUE;
}

/* The first descriptor of a message or -1; all others are closed. */
static int take_descriptors(struct msghdr *message, guint *ret_count) {
  autofd int first = -1;
  guint count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
      autofd int fd = -1;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      if (count++ == 0) first = fd_steal(&fd);
    }
  }
  *ret_count = count;
  return fd_steal(&first);
}

int fd_receive(int socket, GError **error) {
  char text[TEXT_LIMIT];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTOR_LIMIT)];
  } control = {0};
  struct iovec part = {.iov_base = text, .iov_len = sizeof(text)};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
  ssize_t received;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && may_retry(socket, POLLIN));
  if (received < 0) {
    error_set_errno(error, errno, "cannot receive a descriptor from socket %d", socket);
    return -1;
  }
  guint count = 0;
  autofd int fd = take_descriptors(&message, &count);
  if (received == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE,
                "cannot receive a descriptor from socket %d: the peer has closed it", socket);
    return -1;
  }
  if (count != 1 || (message.msg_flags & MSG_CTRUNC)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot receive a descriptor from socket %d: expected exactly one, found %u%s", socket, count,
                message.msg_flags & MSG_CTRUNC ? " and more" : "");
    return -1;
  }
  return fd_steal(&fd);
}
