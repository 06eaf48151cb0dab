// SPDX-License-Identifier: LGPL-2.1-or-later
/* The server: its services, its listeners, and the list of its connections. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/ttrpc-connection.h"

/* Beyond these a new connection is closed at once. */
#define CONNECTIONS_LIMIT 1024
#define ACCEPTS_PER_TURN 16
/* After accept() failed for want of descriptors or memory; poll() would return at once again and again. */
#define ACCEPT_RETRY_US (100 * G_TIME_SPAN_MILLISECOND)

typedef struct {
  GSource source;
  TtrpcServer *server;
  int fd;
  gpointer fd_tag;
  gboolean same_uid;
} Listener;

TtrpcServer *ttrpc_server_new(GMainContext *context) {
  TtrpcServer *server = g_new0(TtrpcServer, 1);
  server->refs = 1;
  server->context = g_main_context_ref(context != NULL ? context : g_main_context_default());
  server->services = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
  server->listeners = g_ptr_array_new();
  server->connections = g_ptr_array_new();
  return server;
}

void ttrpc_server_unref(TtrpcServer *server) {
  if (!g_atomic_int_dec_and_test(&server->refs)) return;
  g_hash_table_unref(server->services);
  g_ptr_array_unref(server->listeners);
  g_ptr_array_unref(server->connections);
  g_main_context_unref(server->context);
  g_free(server);
}

void ttrpc_server_free(TtrpcServer *server) {
  if (server == NULL) return;
  server->is_closed = TRUE;
  for (guint i = 0; i < server->listeners->len; i++) {
    GSource *source = server->listeners->pdata[i];
    g_source_destroy(source);
    fd_clear(&((Listener *)source)->fd);
    g_source_unref(source);
  }
  g_ptr_array_set_size(server->listeners, 0);
  while (server->connections->len > 0) ttrpc_connection_close(server->connections->pdata[0]);
  ttrpc_server_unref(server);
}

void ttrpc_server_add_service(TtrpcServer *server, const ProtobufCServiceDescriptor *descriptor,
                              const TtrpcMethod *methods, gpointer user_data) {
  TtrpcService *service = g_new0(TtrpcService, 1);
  service->descriptor = descriptor;
  service->methods = methods;
  service->user_data = user_data;
  g_hash_table_insert(server->services, (gpointer)descriptor->name, service);
}

/* FALSE if the peer may not connect. */
static gboolean check_peer(int fd, gboolean same_uid, pid_t *ret_pid) {
  struct ucred peer;
  socklen_t size = sizeof(peer);
  int domain = 0;
  socklen_t domain_size = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) != 0 || domain != AF_UNIX) return TRUE;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return !same_uid;
  *ret_pid = peer.pid;
  return !same_uid || peer.uid == geteuid();
}

static gboolean accept_peers(GSource *source, GSourceFunc callback, gpointer user_data) {
  Listener *listener = (Listener *)source;
  TtrpcServer *server = listener->server;
  g_source_set_ready_time(source, -1);
  g_source_modify_unix_fd(source, listener->fd_tag, G_IO_IN);
  for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
    autofd int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (fd < 0) {
      g_source_modify_unix_fd(source, listener->fd_tag, G_IO_ERR);
      g_source_set_ready_time(source, g_get_monotonic_time() + ACCEPT_RETRY_US);
      break;
    }
    pid_t peer_pid = 0;
    if (server->connections->len < CONNECTIONS_LIMIT && check_peer(fd, listener->same_uid, &peer_pid))
      ttrpc_connection_open(server, fd_steal(&fd), TTRPC_STREAM_SOCKET, peer_pid);
  }
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs listener_funcs = {.dispatch = accept_peers};

void ttrpc_server_listen(TtrpcServer *server, int listen_fd, gboolean same_uid) {
  fd_set_nonblocking(listen_fd, TRUE, NULL);
  GSource *source = g_source_new(&listener_funcs, sizeof(Listener));
  Listener *listener = (Listener *)source;
  listener->server = server;
  listener->fd = listen_fd;
  listener->same_uid = same_uid;
  listener->fd_tag = g_source_add_unix_fd(source, listen_fd, G_IO_IN);
  g_ptr_array_add(server->listeners, source);
  g_source_attach(source, server->context);
}

void ttrpc_server_add_stream(TtrpcServer *server, int fd, TtrpcStreamKind kind) {
  pid_t peer_pid = 0;
  check_peer(fd, FALSE, &peer_pid);
  ttrpc_connection_open(server, fd, kind, peer_pid);
}

guint ttrpc_server_count_connections(const TtrpcServer *server) { return server->connections->len; }

guint ttrpc_server_count_calls(const TtrpcServer *server) { return (guint)g_atomic_int_get(&server->n_calls); }

void ttrpc_server_set_closed_func(TtrpcServer *server, void (*func)(gpointer), gpointer user_data) {
  server->closed_func = func;
  server->closed_data = user_data;
}

void ttrpc_server_forget_connection(TtrpcServer *server, TtrpcConnection *connection) {
  if (!g_ptr_array_remove_fast(server->connections, connection)) return;
  ttrpc_connection_unref(connection);
  if (!server->is_closed && server->closed_func != NULL) server->closed_func(server->closed_data);
}
