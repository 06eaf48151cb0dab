/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <string.h>
#include <sys/time.h>

#include "common/error.h"

/* What the kernel sends at once: NLMSG_GOODSIZE grows up to this with the reader's buffer. */
#define RECEIVE_MAX 32768
/* A list that changes while it is read is read anew so often. */
#define LIST_TRIES 10
/* The kernel's answer is there when the request has been sent; this only keeps PID 1 from waiting for ever. */
#define ANSWER_TIMEOUT_S 10
#define REASON_MAX 128

struct Netlink {
  struct mnl_socket *socket;
  guint32 sequence;
  char reason[REASON_MAX]; /* the kernel's words about the last failure */
};

void netlink_close(Netlink *netlink) {
  if (!netlink) return;
  if (netlink->socket) mnl_socket_close(netlink->socket);
  g_free(netlink);
}

Netlink *netlink_open(guint groups, GError **error) {
  g_autoptr(Netlink) netlink = g_new0(Netlink, 1);
  netlink->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0));
  if (!netlink->socket || mnl_socket_bind(netlink->socket, groups, MNL_SOCKET_AUTOPID) < 0) {
    error_set_errno(error, errno, "cannot open a socket to the kernel's network");
    return NULL;
  }
  int on = 1;
  mnl_socket_setsockopt(netlink->socket, NETLINK_EXT_ACK, &on, sizeof on);
  mnl_socket_setsockopt(netlink->socket, NETLINK_CAP_ACK, &on, sizeof on);
  struct timeval patience = {.tv_sec = ANSWER_TIMEOUT_S};
  setsockopt(mnl_socket_get_fd(netlink->socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return g_steal_pointer(&netlink);
}

int netlink_get_fd(const Netlink *netlink) { return mnl_socket_get_fd(netlink->socket); }

void netlink_drain(Netlink *netlink) {
  char buffer[RECEIVE_MAX];
  /* ENOBUFS: some were lost, others may be there. */
  while (mnl_socket_recvfrom(netlink->socket, buffer, sizeof buffer) >= 0 || errno == ENOBUFS || errno == EINTR)
    continue;
}

/* ---- one request ---- */

void *netlink_begin(NetlinkRequest *request, guint16 type, guint16 flags, gsize header_size) {
  memset(request, 0, sizeof *request);
  struct nlmsghdr *header = mnl_nlmsg_put_header(request->bytes);
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | flags;
  return mnl_nlmsg_put_extra_header(header, header_size);
}

/* The error message's own attributes: words about what was wrong. */
static int read_reason(const struct nlattr *attribute, void *user_data) {
  Netlink *netlink = user_data;
  if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
    g_strlcpy(netlink->reason, mnl_attr_get_str(attribute), sizeof netlink->reason);
  return MNL_CB_OK;
}

/* NLMSG_ERROR tells success too. */
static int take_answer(Netlink *netlink, const struct nlmsghdr *message) {
  const struct nlmsgerr *answer = mnl_nlmsg_get_payload(message);
  if (mnl_nlmsg_get_payload_len(message) < sizeof *answer) return EBADMSG;
  if (message->nlmsg_flags & NLM_F_ACK_TLVS) {
    /* Before them comes the contents of our request, unless it was left out. */
    gsize skipped = sizeof *answer;
    if (!(message->nlmsg_flags & NLM_F_CAPPED)) skipped += MNL_ALIGN(answer->msg.nlmsg_len) - MNL_NLMSG_HDRLEN;
    if (skipped < mnl_nlmsg_get_payload_len(message)) mnl_attr_parse(message, (unsigned)skipped, read_reason, netlink);
  }
  return -answer->error;
}

/* Reads until the request is answered: 0 or an errno; EINTR: the list changed while it was read. */
static int receive(Netlink *netlink, NetlinkFunc func, gpointer user_data) {
  char buffer[RECEIVE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
  gboolean is_torn = FALSE;
  for (;;) {
    ssize_t length = mnl_socket_recvfrom(netlink->socket, buffer, sizeof buffer);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    int left = (int)length;
    for (const struct nlmsghdr *message = (const struct nlmsghdr *)buffer; mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != netlink->sequence) continue;
      is_torn |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (message->nlmsg_type == NLMSG_DONE) return is_torn ? EINTR : 0;
      if (message->nlmsg_type == NLMSG_ERROR) return take_answer(netlink, message);
      if (message->nlmsg_type >= NLMSG_MIN_TYPE && func) func(message, user_data);
    }
  }
}

static int exchange(Netlink *netlink, NetlinkRequest *request, NetlinkFunc func, gpointer user_data) {
  netlink->reason[0] = '\0';
  request->header.nlmsg_seq = ++netlink->sequence;
  if (mnl_socket_sendto(netlink->socket, request, request->header.nlmsg_len) < 0) return errno;
  return receive(netlink, func, user_data);
}

int netlink_try(Netlink *netlink, NetlinkRequest *request) {
  request->header.nlmsg_flags |= NLM_F_ACK;
  return exchange(netlink, request, NULL, NULL);
}

/* What the network's errors mean beyond error_code_from_errno(). */
static kata_error_code get_code(int errnum) {
  switch (errnum) {
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EBUSY:
      return KATA_ERR_INVALID_STATE;
    case EADDRNOTAVAIL:
    case ERANGE:
      return KATA_ERR_INVALID_ARGUMENT;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
      return KATA_ERR_UNSUPPORTED;
    default:
      return error_code_from_errno(errnum);
  }
}

void netlink_set_error(const Netlink *netlink, int errnum, const char *doing, GError **error) {
  g_autofree char *reason = error_clean_text(netlink->reason);
  g_set_error(error, KATA_ERROR, get_code(errnum), "cannot %s: %s%s%s%s", doing, g_strerror(errnum),
              *reason ? " (" : "", reason, *reason ? ")" : "");
}

gboolean netlink_do(Netlink *netlink, NetlinkRequest *request, const char *doing, GError **error) {
  int errnum = netlink_try(netlink, request);
  if (errnum) netlink_set_error(netlink, errnum, doing, error);
  return errnum == 0;
}

/* ---- lists ---- */

gboolean netlink_list(Netlink *netlink, guint16 type, guint8 family, gsize header_size, void (*reset)(gpointer),
                      NetlinkFunc func, gpointer user_data, GError **error) {
  NetlinkRequest request;
  int errnum = EINTR;
  for (int tries = 0; errnum == EINTR && tries < LIST_TRIES; tries++) {
    guint8 *header = netlink_begin(&request, type, NLM_F_DUMP, header_size);
    /* Each family header begins with it. */
    header[0] = family;
    reset(user_data);
    errnum = exchange(netlink, &request, func, user_data);
  }
  if (errnum) netlink_set_error(netlink, errnum, "list what the kernel's network has", error);
  return errnum == 0;
}
