// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

#include "common/error.h"

/* The kernel fills what a dump's reader offers, up to 32 KiB. */
#define REPLY_BYTES (32u << 10)

static Netlink *open_socket(guint groups, int flags, GError **error) {
  struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
  if (socket == NULL) {
    error_set_errno(error, errno, "cannot open a netlink socket");
    return NULL;
  }
  if (mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) == 0) return socket;
  error_set_errno(error, errno, "cannot bind a netlink socket");
  mnl_socket_close(socket);
  return NULL;
}

Netlink *netlink_open(GError **error) { return open_socket(0, 0, error); }

Netlink *netlink_open_notices(guint groups, GError **error) { return open_socket(groups, SOCK_NONBLOCK, error); }

int netlink_get_fd(const Netlink *netlink) { return mnl_socket_get_fd(netlink); }

void netlink_drain(Netlink *netlink) {
  char buffer[4096];
  /* ENOBUFS: there were more than the kernel keeps. All that is wanted is that there were some. */
  while (mnl_socket_recvfrom(netlink, buffer, sizeof buffer) >= 0 || errno == ENOBUFS || errno == ENOSPC) continue;
}

void netlink_close(Netlink *netlink) { mnl_socket_close(netlink); }

struct nlmsghdr *netlink_request(char *buffer, guint16 type, guint16 flags, gsize size, gpointer ret_payload) {
  static gint sequence;
  memset(buffer, 0, NETLINK_REQUEST_BYTES); /* libmnl leaves what pads an attribute as it is */
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = type;
  request->nlmsg_flags = NLM_F_REQUEST | flags;
  request->nlmsg_seq = (guint32)g_atomic_int_add(&sequence, 1) + 1;
  *(void **)ret_payload = mnl_nlmsg_put_extra_header(request, size);
  return request;
}

/* 0 or an errno. */
static int exchange(Netlink *netlink, struct nlmsghdr *request, mnl_cb_t each, gpointer data) {
  g_autofree char *reply = g_malloc(REPLY_BYTES);
  unsigned port = mnl_socket_get_portid(netlink);
  guint32 sequence = request->nlmsg_seq;
  if (mnl_socket_sendto(netlink, request, request->nlmsg_len) < 0) return errno;
  for (;;) {
    ssize_t length = mnl_socket_recvfrom(netlink, reply, REPLY_BYTES);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return errno;
    int result = mnl_cb_run(reply, (size_t)length, sequence, port, each, data);
    if (result < 0) return errno;
    if (result == MNL_CB_STOP) return 0;
  }
}

int netlink_ask(Netlink *netlink, struct nlmsghdr *request) {
  request->nlmsg_flags |= NLM_F_ACK;
  return exchange(netlink, request, NULL, NULL);
}

gboolean netlink_dump(Netlink *netlink, struct nlmsghdr *request, mnl_cb_t each, gpointer data, const char *what,
                      GError **error) {
  request->nlmsg_flags |= NLM_F_DUMP;
  int reason = exchange(netlink, request, each, data);
  if (reason == 0) return TRUE;
  if (reason == EINTR) /* what libmnl makes of NLM_F_DUMP_INTR */
    g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE,
                "cannot list the %s of a network namespace: they change all the time", what);
  else
    error_set_errno(error, reason, "cannot list the %s of a network namespace", what);
  return FALSE;
}
