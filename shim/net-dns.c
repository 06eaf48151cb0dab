// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/net-bpf.h"
#include "shim/net-namespace.h"

#define PORT 53
/* All the guest can have of us: questions by UDP that wait for their answers, where a new one takes the oldest's place,
 * and connections, where further ones wait to be accepted. */
#define QUERIES_MAX 64u
#define STREAMS_MAX 16u
/* Longer datagrams are dropped; resolvers ask for 4096 at most. */
#define DATAGRAM_MAX 8192u
#define STREAM_BYTES 4096u
/* Longer than resolvers wait (resolv.conf(5): 5 s). */
#define QUERY_US (10 * G_USEC_PER_SEC)
#define STREAM_IDLE_US (30 * G_USEC_PER_SEC)
#define TICK_MS 1000

typedef struct {
  int fd; /* -1: free */
  struct sockaddr_in client;
  gint64 until;
} Query;

/* What has come from one end and not gone to the other. */
typedef struct {
  guint8 bytes[STREAM_BYTES];
  gsize start, end;
  gboolean is_over;
} Flow;

typedef struct {
  int fds[2]; /* the guest's end and the server's; -1: free */
  Flow flows[2];
  gint64 until;
} Stream;

/* Where which descriptor is in the list of those waited for. */
enum { AT_STOP, AT_UDP, AT_TCP, AT_QUERIES, AT_STREAMS = AT_QUERIES + QUERIES_MAX };
#define N_POLLED (AT_STREAMS + 2 * STREAMS_MAX)

struct NetDns {
  int netns, stop, udp, tcp;
  GThread *thread;
  Query queries[QUERIES_MAX];
  Stream streams[STREAMS_MAX];
};

gboolean net_dns_is_named(const char *resolv_conf) {
  g_auto(GStrv) lines = g_strsplit(resolv_conf, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    g_auto(GStrv) words = g_strsplit_set(*line, " \t\r", 2);
    if (g_strcmp0(words[0], "nameserver") == 0 && words[1] != NULL && strcmp(g_strstrip(words[1]), NET_DNS_TEXT) == 0)
      return TRUE;
  }
  return FALSE;
}

static struct sockaddr_in server_address(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  address.sin_addr.s_addr = htonl(NET_BPF_DNS);
  return address;
}

/* The namespace's own processes have the server itself; without its NAT rules we would even ask ourselves. */
static gboolean is_guest(const struct sockaddr_in *from) {
  return from->sin_family == AF_INET && from->sin_addr.s_addr == htonl(NET_BPF_DNS_CLIENT);
}

/* In the thread's namespace; -1 with errno. */
static int ask_server(int type) {
  struct sockaddr_in address = server_address();
  autofd int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)) return -1;
  return fd_steal(&fd);
}

/* ---- UDP ---- */

static Query *take_query(NetDns *self) {
  Query *oldest = &self->queries[0];
  for (guint i = 0; i < QUERIES_MAX; i++) {
    Query *query = &self->queries[i];
    if (query->fd < 0) return query;
    if (query->until < oldest->until) oldest = query;
  }
  fd_clear(&oldest->fd);
  return oldest;
}

static void receive_query(NetDns *self) {
  guint8 bytes[DATAGRAM_MAX];
  struct sockaddr_in client;
  socklen_t size = sizeof client;
  ssize_t length = recvfrom(self->udp, bytes, sizeof bytes, MSG_TRUNC, (struct sockaddr *)&client, &size);
  if (length <= 0 || (gsize)length > sizeof bytes || !is_guest(&client)) return;
  autofd int fd = ask_server(SOCK_DGRAM);
  if (fd < 0 || send(fd, bytes, (gsize)length, MSG_NOSIGNAL) < 0) return;
  Query *query = take_query(self);
  *query = (Query){fd_steal(&fd), client, g_get_monotonic_time() + QUERY_US};
}

/* The answer, or the word that nobody is there: the guest asks again. */
static void answer_query(NetDns *self, Query *query) {
  guint8 bytes[DATAGRAM_MAX];
  ssize_t length = recv(query->fd, bytes, sizeof bytes, MSG_TRUNC);
  if (length < 0 && errno == EAGAIN) return;
  if (length > 0 && (gsize)length <= sizeof bytes)
    sendto(self->udp, bytes, (gsize)length, MSG_NOSIGNAL, (struct sockaddr *)&query->client, sizeof query->client);
  fd_clear(&query->fd);
}

/* ---- TCP ---- */

static void close_stream(Stream *stream) {
  fd_clear(&stream->fds[0]);
  fd_clear(&stream->fds[1]);
}

static Stream *find_free_stream(NetDns *self) {
  for (guint i = 0; i < STREAMS_MAX; i++)
    if (self->streams[i].fds[0] < 0) return &self->streams[i];
  return NULL;
}

static void accept_stream(NetDns *self) {
  struct sockaddr_in client;
  socklen_t size = sizeof client;
  Stream *stream = find_free_stream(self);
  autofd int guest = accept4(self->tcp, (struct sockaddr *)&client, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (stream == NULL || guest < 0 || !is_guest(&client)) return;
  autofd int server = ask_server(SOCK_STREAM);
  if (server < 0) return;
  for (guint i = 0; i < 2; i++) stream->flows[i].start = stream->flows[i].end = stream->flows[i].is_over = 0;
  stream->fds[0] = fd_steal(&guest);
  stream->fds[1] = fd_steal(&server);
  stream->until = g_get_monotonic_time() + STREAM_IDLE_US;
}

static gboolean has_bytes(const Flow *flow) { return flow->start < flow->end; }

static short wanted_events(const Stream *stream, guint end) {
  const Flow *in = &stream->flows[end], *out = &stream->flows[!end];
  return (short)((!has_bytes(in) && !in->is_over ? POLLIN : 0) | (has_bytes(out) ? POLLOUT : 0));
}

/* Both: FALSE if the connection has failed. */
static gboolean receive_flow(Stream *stream, guint end) {
  Flow *flow = &stream->flows[end];
  ssize_t length = recv(stream->fds[end], flow->bytes, sizeof flow->bytes, 0);
  if (length < 0) return errno == EAGAIN;
  flow->start = 0;
  flow->end = (gsize)length;
  flow->is_over = length == 0;
  if (flow->is_over) shutdown(stream->fds[!end], SHUT_WR);
  return TRUE;
}

static gboolean send_flow(Stream *stream, guint end) {
  Flow *flow = &stream->flows[!end];
  ssize_t length = send(stream->fds[end], flow->bytes + flow->start, flow->end - flow->start, MSG_NOSIGNAL);
  if (length < 0) return errno == EAGAIN;
  flow->start += (gsize)length;
  return TRUE;
}

static void serve_stream(Stream *stream, guint end) {
  short wanted = wanted_events(stream, end);
  gboolean is_alive =
      ((wanted & POLLOUT) == 0 || send_flow(stream, end)) && ((wanted & POLLIN) == 0 || receive_flow(stream, end));
  stream->until = g_get_monotonic_time() + STREAM_IDLE_US;
  if (!is_alive || stream->flows[1].is_over) close_stream(stream);
}

/* ---- the thread ---- */

static void drop_late(NetDns *self) {
  gint64 now = g_get_monotonic_time();
  for (guint i = 0; i < QUERIES_MAX; i++)
    if (self->queries[i].fd >= 0 && self->queries[i].until < now) fd_clear(&self->queries[i].fd);
  for (guint i = 0; i < STREAMS_MAX; i++)
    if (self->streams[i].fds[0] >= 0 && self->streams[i].until < now) close_stream(&self->streams[i]);
}

/* TRUE: something will be late some time. */
static gboolean fill_list(NetDns *self, struct pollfd *list) {
  gboolean is_busy = FALSE;
  list[AT_STOP] = (struct pollfd){self->stop, POLLIN, 0};
  list[AT_UDP] = (struct pollfd){self->udp, POLLIN, 0};
  list[AT_TCP] = (struct pollfd){find_free_stream(self) != NULL ? self->tcp : -1, POLLIN, 0};
  for (guint i = 0; i < QUERIES_MAX; i++) {
    list[AT_QUERIES + i] = (struct pollfd){self->queries[i].fd, POLLIN, 0};
    is_busy |= self->queries[i].fd >= 0;
  }
  for (guint i = 0; i < 2 * STREAMS_MAX; i++) {
    const Stream *stream = &self->streams[i / 2];
    short events = stream->fds[0] >= 0 ? wanted_events(stream, i % 2) : 0;
    /* poll(2) tells of errors also where nothing is wanted. */
    list[AT_STREAMS + i] = (struct pollfd){events != 0 ? stream->fds[i % 2] : -1, events, 0};
    is_busy |= stream->fds[0] >= 0;
  }
  return is_busy;
}

static void serve(NetDns *self, const struct pollfd *list) {
  for (guint i = 0; i < QUERIES_MAX; i++)
    if (list[AT_QUERIES + i].revents != 0) answer_query(self, &self->queries[i]);
  for (guint i = 0; i < 2 * STREAMS_MAX; i++)
    if (list[AT_STREAMS + i].revents != 0 && self->streams[i / 2].fds[0] >= 0)
      serve_stream(&self->streams[i / 2], i % 2);
  if (list[AT_UDP].revents != 0) receive_query(self);
  if (list[AT_TCP].revents != 0) accept_stream(self);
}

static gpointer relay_thread(gpointer user_data) {
  NetDns *self = user_data;
  if (setns(self->netns, CLONE_NEWNET) < 0) {
    g_warning("cannot enter a network namespace to ask " NET_DNS_TEXT " there: %s", g_strerror(errno));
    return NULL;
  }
  for (;;) {
    struct pollfd list[N_POLLED];
    gboolean is_busy = fill_list(self, list);
    int count = poll(list, N_POLLED, is_busy ? TICK_MS : -1);
    if (count < 0 && errno != EINTR) return NULL;
    if (count > 0 && list[AT_STOP].revents != 0) return NULL;
    if (count > 0) serve(self, list);
    drop_late(self);
  }
}

/* ---- its life ---- */

static int listen_at(int type, GError **error) {
  struct sockaddr_in address = server_address();
  const int one = 1;
  autofd int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* Connections an earlier owner had may still be on their way out. */
  if (fd >= 0 && (type != SOCK_STREAM || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0) &&
      bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
      (type != SOCK_STREAM || listen(fd, (int)STREAMS_MAX) == 0))
    return fd_steal(&fd);
  error_set_errno(error, errno, "cannot listen at " NET_DNS_TEXT ", %s port %d", type == SOCK_STREAM ? "TCP" : "UDP",
                  PORT);
  return -1;
}

static gboolean listen_here(gpointer data, GError **error) {
  NetDns *self = data;
  return (self->udp = listen_at(SOCK_DGRAM, error)) >= 0 && (self->tcp = listen_at(SOCK_STREAM, error)) >= 0;
}

NetDns *net_dns_new(int netns, GError **error) {
  NetDns *self = g_new0(NetDns, 1);
  self->netns = netns;
  self->udp = self->tcp = -1;
  self->stop = eventfd(0, EFD_CLOEXEC);
  for (guint i = 0; i < QUERIES_MAX; i++) self->queries[i].fd = -1;
  for (guint i = 0; i < STREAMS_MAX; i++) self->streams[i].fds[0] = self->streams[i].fds[1] = -1;
  if (self->stop < 0) error_set_errno(error, errno, "cannot make an event descriptor");
  if (self->stop >= 0 && net_namespace_run(netns, listen_here, self, error))
    self->thread = g_thread_try_new("dns", relay_thread, self, error);
  if (self->thread != NULL) return self;
  net_dns_free(self);
  return NULL;
}

void net_dns_free(NetDns *self) {
  if (self == NULL) return;
  const guint64 one = 1;
  if (self->thread != NULL && fd_write_all(self->stop, &one, sizeof one)) g_thread_join(self->thread);
  fd_clear(&self->stop);
  fd_clear(&self->udp);
  fd_clear(&self->tcp);
  for (guint i = 0; i < QUERIES_MAX; i++) fd_clear(&self->queries[i].fd);
  for (guint i = 0; i < STREAMS_MAX; i++) close_stream(&self->streams[i]);
  g_free(self);
}
