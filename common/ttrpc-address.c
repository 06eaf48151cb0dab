// SPDX-License-Identifier: LGPL-2.1-or-later
/* Addresses of ttRPC peers: unix sockets, vsock, and vsock behind a hypervisor's unix socket ("hybrid"). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
/* after sys/socket.h, whose types it needs */
#include <linux/vm_sockets.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ttrpc.h"

#define SOCKET_MODE 0600
#define LISTEN_BACKLOG 128
/* For the peer to accept, and for a hypervisor to answer CONNECT, once the socket itself is there. */
#define HANDSHAKE_TIMEOUT_US (10 * G_TIME_SPAN_SECOND)
/* "OK 4294967295\n" and some room. */
#define HANDSHAKE_LINE_LIMIT 64
#define RETRY_FIRST_US (5 * G_TIME_SPAN_MILLISECOND)
#define RETRY_LONGEST_US (100 * G_TIME_SPAN_MILLISECOND)

typedef enum { ADDRESS_UNIX, ADDRESS_VSOCK, ADDRESS_HYBRID } AddressKind;

typedef struct {
  AddressKind kind;
  const char *text;
  guint32 port;
  socklen_t size;
  union {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_vm vm;
  } socket;
} Address;

static gboolean refuse_address(const char *text, const char *why, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "invalid ttRPC address '%s': %s; wanted is unix:///PATH, vsock://CID:PORT or hvsock:///PATH:PORT", text,
              why);
  return FALSE;
}

static gboolean parse_number(const char *text, guint32 *ret_number) {
  guint64 number = 0;
  if (strcmp(text, "-1") == 0)
    *ret_number = G_MAXUINT32;
  else if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &number, NULL))
    *ret_number = (guint32)number;
  else
    return FALSE;
  return TRUE;
}

static gboolean parse_path(Address *address, const char *path, gsize length, GError **error) {
  if (length == 0 || path[0] != '/') return refuse_address(address->text, "the path must be absolute", error);
  if (length >= sizeof(address->socket.un.sun_path))
    return refuse_address(address->text, "a socket's path is at most 107 bytes long", error);
  address->socket.un.sun_family = AF_UNIX;
  memcpy(address->socket.un.sun_path, path, length);
  address->size = sizeof(address->socket.un);
  return TRUE;
}

static gboolean parse_address(const char *text, Address *address, GError **error) {
  *address = (Address){.text = text};
  const char *colon = strrchr(text, ':');
  const char *rest = NULL;
  if (g_str_has_prefix(text, "unix://")) {
    address->kind = ADDRESS_UNIX;
    rest = text + strlen("unix://");
    return parse_path(address, rest, strlen(rest), error);
  }
  if (text[0] == '/') {
    address->kind = ADDRESS_UNIX;
    return parse_path(address, text, strlen(text), error);
  }
  if (g_str_has_prefix(text, "hvsock://")) {
    address->kind = ADDRESS_HYBRID;
    rest = text + strlen("hvsock://");
    if (colon < rest || !parse_number(colon + 1, &address->port))
      return refuse_address(text, "the port must be a number", error);
    return parse_path(address, rest, (gsize)(colon - rest), error);
  }
  if (g_str_has_prefix(text, "vsock://")) {
    address->kind = ADDRESS_VSOCK;
    rest = text + strlen("vsock://");
    g_autofree char *cid = colon > rest ? g_strndup(rest, (gsize)(colon - rest)) : g_strdup("");
    struct sockaddr_vm *vm = &address->socket.vm;
    vm->svm_family = AF_VSOCK;
    address->size = sizeof(*vm);
    if (!parse_number(cid, &vm->svm_cid) || colon < rest || !parse_number(colon + 1, &vm->svm_port))
      return refuse_address(text, "context id and port must be numbers", error);
    return TRUE;
  }
  return refuse_address(text, "unknown kind", error);
}

/* TRUE if fd is ready for events before the deadline; errno is ETIMEDOUT if it is not. */
static gboolean wait_ready(int fd, short events, gint64 deadline) {
  for (;;) {
    struct pollfd poll_fd = {.fd = fd, .events = events};
    gint64 left_ms = (deadline - g_get_monotonic_time() + 999) / 1000;
    int ready = poll(&poll_fd, 1, (int)CLAMP(left_ms, 0, G_MAXINT));
    if (ready > 0) return TRUE;
    if (ready < 0 && errno != EINTR) return FALSE;
    if (ready == 0) {
      errno = ETIMEDOUT;
      return FALSE;
    }
  }
}

/* Asks the hypervisor for the guest's port and waits for its line. Returns 0 or an errno; a hypervisor closes the
 * connection when nobody listens there in the guest: ECONNREFUSED. */
static int ask_hypervisor(int fd, guint32 port, gint64 deadline) {
  g_autofree char *line = g_strdup_printf("CONNECT %u\n", port);
  if (!fd_write_all(fd, line, strlen(line))) return errno == EPIPE ? ECONNREFUSED : errno;
  char answer[HANDSHAKE_LINE_LIMIT + 1] = {0};
  /* Byte by byte: what follows the line belongs to ttRPC. */
  for (gsize length = 0; length < HANDSHAKE_LINE_LIMIT;) {
    if (!wait_ready(fd, POLLIN, deadline)) return errno;
    ssize_t count = read(fd, answer + length, 1);
    if (count == 0 || (count < 0 && errno == ECONNRESET)) return ECONNREFUSED;
    if (count < 0 && errno != EINTR && errno != EAGAIN) return errno;
    if (count > 0 && answer[length++] == '\n') return g_str_has_prefix(answer, "OK ") ? 0 : EPROTO;
  }
  return EPROTO;
}

static int finish_connect(int fd, gint64 deadline) {
  int result = 0;
  socklen_t size = sizeof(result);
  if (!wait_ready(fd, POLLOUT, deadline) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) != 0) return errno;
  return result;
}

/* One attempt: 0 or an errno. */
static int connect_once(const Address *address, gint64 deadline, int *ret_fd) {
  autofd int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int result = connect(fd, &address->socket.any, address->size) == 0 ? 0 : errno;
  if (result == EINPROGRESS) result = finish_connect(fd, deadline);
  if (result == 0 && address->kind == ADDRESS_HYBRID) result = ask_hypervisor(fd, address->port, deadline);
  if (result == 0) *ret_fd = fd_steal(&fd);
  return result;
}

/* Whether the peer may still come up. */
static gboolean is_worth_retrying(int errnum) {
  switch (errnum) {
    case ENOENT:
    case ECONNREFUSED:
    case ECONNRESET:
    case EAGAIN:
    case EINTR:
    case ENODEV:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
      return TRUE;
    default:
      return FALSE;
  }
}

int ttrpc_dial(const char *text, int timeout_ms, GError **error) {
  Address address;
  if (!parse_address(text, &address, error)) return -1;
  gint64 deadline = g_get_monotonic_time() + MAX(timeout_ms, 0) * G_TIME_SPAN_MILLISECOND;
  gint64 pause = RETRY_FIRST_US;
  for (;;) {
    gint64 now = g_get_monotonic_time();
    gint64 attempt_deadline = now + HANDSHAKE_TIMEOUT_US;
    if (timeout_ms > 0) attempt_deadline = CLAMP(deadline, now, attempt_deadline);
    int fd = -1;
    int result = connect_once(&address, attempt_deadline, &fd);
    if (result == 0) return fd;
    now = g_get_monotonic_time();
    if (!is_worth_retrying(result) || now >= deadline) {
      kata_error_code code = result == EPROTO ? KATA_ERR_IO : error_code_from_errno(result);
      if (is_worth_retrying(result)) code = timeout_ms > 0 ? KATA_ERR_TIMEOUT : KATA_ERR_UNAVAILABLE;
      g_set_error(error, KATA_ERROR, code, "cannot connect to '%s'%s: %s", text,
                  result == EPROTO ? " (the answer to CONNECT is not 'OK PORT')" : "", g_strerror(result));
      return -1;
    }
    g_usleep((gulong)MIN(pause, deadline - now));
    pause = MIN(pause * 2, RETRY_LONGEST_US);
  }
}

/* Removes what is in a listener's way if it is a socket that nobody answers on. */
static gboolean remove_stale_socket(const Address *address, GError **error) {
  const char *path = address->socket.un.sun_path;
  struct stat status;
  if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "cannot listen on '%s': the file is there and no socket",
                path);
    return FALSE;
  }
  int fd = -1;
  int result = connect_once(address, g_get_monotonic_time() + HANDSHAKE_TIMEOUT_US, &fd);
  fd_clear(&fd);
  if (result == ECONNREFUSED && unlink(path) != 0) result = errno;
  if (result == ECONNREFUSED || result == ENOENT) return TRUE;
  if (result == 0 || result == EAGAIN)
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "cannot listen on '%s': another process does", path);
  else
    error_set_errno(error, result, "cannot listen on '%s': the socket that is there cannot be replaced", path);
  return FALSE;
}

int ttrpc_listen(const char *text, GError **error) {
  Address address;
  if (!parse_address(text, &address, error)) return -1;
  if (address.kind == ADDRESS_HYBRID) {
    refuse_address(text, "only a hypervisor listens there", error);
    return -1;
  }
  autofd int fd = socket(address.socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* The mode that the socket's file is made with: it never exists with another. */
  gboolean ok = fd >= 0 && (address.kind != ADDRESS_UNIX || fchmod(fd, SOCKET_MODE) == 0);
  if (ok && bind(fd, &address.socket.any, address.size) != 0) {
    ok = FALSE;
    if (errno == EADDRINUSE && address.kind == ADDRESS_UNIX) {
      if (!remove_stale_socket(&address, error)) return -1;
      ok = bind(fd, &address.socket.any, address.size) == 0;
    }
  }
  if (!ok || listen(fd, LISTEN_BACKLOG) != 0) {
    error_set_errno(error, errno, "cannot listen on '%s'", text);
    return -1;
  }
  return fd_steal(&fd);
}
