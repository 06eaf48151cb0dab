// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-tc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

#include "common/error.h"

/* tc(8): the ingress discipline's handle is ffff:0, its filters' parent the same. */
#define INGRESS_HANDLE TC_H_MAKE(TC_H_INGRESS, 0)
/* After programs of ours (NetTcOrder). */
#define PRIORITY 0x6b70u

/* kind NULL: any. */
static struct nlmsghdr *qdisc_request(char *buffer, guint16 type, guint16 flags, guint index, const char *kind) {
  struct tcmsg *message;
  struct nlmsghdr *request = netlink_request(buffer, type, flags, sizeof *message, &message);
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = (int)index;
  message->tcm_handle = INGRESS_HANDLE;
  message->tcm_parent = TC_H_INGRESS;
  if (kind != NULL) mnl_attr_put_strz(request, TCA_KIND, kind);
  return request;
}

void net_tc_clear(Netlink *netlink, guint index) {
  char buffer[NETLINK_REQUEST_BYTES];
  netlink_ask(netlink, qdisc_request(buffer, RTM_DELQDISC, 0, index, NULL));
}

static int add_qdisc_once(Netlink *netlink, guint index, const char *kind) {
  char buffer[NETLINK_REQUEST_BYTES];
  return netlink_ask(netlink, qdisc_request(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index, kind));
}

/* One that is there already is what a crash has left. */
static int add_qdisc(Netlink *netlink, guint index, const char *kind) {
  int reason = add_qdisc_once(netlink, index, kind);
  if (reason != EEXIST) return reason;
  net_tc_clear(netlink, index);
  return add_qdisc_once(netlink, index, kind);
}

static void put_mirred(struct nlmsghdr *request, guint to) {
  struct tc_mirred mirred = {.action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = to};
  struct nlattr *actions = mnl_attr_nest_start(request, TCA_U32_ACT);
  struct nlattr *first = mnl_attr_nest_start(request, 1);
  mnl_attr_put_strz(request, TCA_ACT_KIND, "mirred");
  struct nlattr *options = mnl_attr_nest_start(request, TCA_ACT_OPTIONS);
  mnl_attr_put(request, TCA_MIRRED_PARMS, sizeof mirred, &mirred);
  mnl_attr_nest_end(request, options);
  mnl_attr_nest_end(request, first);
  mnl_attr_nest_end(request, actions);
}

static int add_filter(Netlink *netlink, guint from, guint to) {
  char buffer[NETLINK_REQUEST_BYTES];
  struct tcmsg *message;
  struct nlmsghdr *request =
      netlink_request(buffer, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, sizeof *message, &message);
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = (int)from;
  message->tcm_parent = INGRESS_HANDLE;
  message->tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL));
  mnl_attr_put_strz(request, TCA_KIND, "u32");
  struct nlattr *options = mnl_attr_nest_start(request, TCA_OPTIONS);
  /* One key whose mask is 0 matches every packet. */
  struct {
    struct tc_u32_sel selector;
    struct tc_u32_key key;
  } match = {.selector = {.flags = TC_U32_TERMINAL, .nkeys = 1}};
  G_STATIC_ASSERT(sizeof match == sizeof match.selector + sizeof match.key);
  mnl_attr_put(request, TCA_U32_SEL, sizeof match, &match);
  put_mirred(request, to);
  mnl_attr_nest_end(request, options);
  return netlink_ask(netlink, request);
}

gboolean net_tc_redirect(Netlink *netlink, guint from, guint to, GError **error) {
  int reason = add_qdisc(netlink, from, "ingress");
  if (reason == 0) {
    reason = add_filter(netlink, from, to);
    if (reason != 0) net_tc_clear(netlink, from);
  }
  if (reason == 0) return TRUE;
  error_set_errno(error, reason,
                  "cannot redirect interface %u to %u (the kernel needs sch_ingress, cls_u32, act_mirred)", from, to);
  return FALSE;
}

static guint32 program_parent(NetTcSide side) {
  return TC_H_MAKE(TC_H_CLSACT, side == NET_TC_IN ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

static struct nlmsghdr *program_request(char *buffer, guint16 type, guint16 flags, guint index, NetTcSide side,
                                        NetTcOrder order) {
  struct tcmsg *message;
  struct nlmsghdr *request = netlink_request(buffer, type, flags, sizeof *message, &message);
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = (int)index;
  message->tcm_parent = program_parent(side);
  message->tcm_info = TC_H_MAKE((guint32)order << 16, htons(ETH_P_ALL));
  mnl_attr_put_strz(request, TCA_KIND, "bpf");
  return request;
}

static int add_program(Netlink *netlink, guint index, NetTcSide side, NetTcOrder order, int program) {
  char buffer[NETLINK_REQUEST_BYTES];
  struct nlmsghdr *request = program_request(buffer, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, index, side, order);
  struct nlattr *options = mnl_attr_nest_start(request, TCA_OPTIONS);
  mnl_attr_put_u32(request, TCA_BPF_FD, (guint32)program);
  mnl_attr_put_strz(request, TCA_BPF_NAME, "kata");
  mnl_attr_put_u32(request, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
  mnl_attr_nest_end(request, options);
  return netlink_ask(netlink, request);
}

void net_tc_detach(Netlink *netlink, guint index, NetTcSide side, NetTcOrder order) {
  char buffer[NETLINK_REQUEST_BYTES];
  netlink_ask(netlink, program_request(buffer, RTM_DELTFILTER, 0, index, side, order));
}

gboolean net_tc_attach(Netlink *netlink, guint index, NetTcSide side, NetTcOrder order, int program, GError **error) {
  int reason = add_qdisc_once(netlink, index, "clsact");
  if (reason == EEXIST) {
    net_tc_detach(netlink, index, side, order); /* what a crash has left */
    reason = 0;
  }
  if (reason == 0) reason = add_program(netlink, index, side, order, program);
  if (reason == 0) return TRUE;
  error_set_errno(error, reason, "cannot attach a program to interface %u (the kernel needs sch_ingress, cls_bpf)",
                  index);
  return FALSE;
}

typedef struct {
  guint index;
  gboolean is_there;
} ClsactSearch;

static int look_at_kind(const struct nlattr *attribute, void *data) {
  gboolean *is_clsact = data;
  if (mnl_attr_get_type(attribute) == TCA_KIND) *is_clsact = strcmp(mnl_attr_get_str(attribute), "clsact") == 0;
  return MNL_CB_OK;
}

static int look_at_qdisc(const struct nlmsghdr *message, void *data) {
  ClsactSearch *search = data;
  const struct tcmsg *info = mnl_nlmsg_get_payload(message);
  gboolean is_clsact = FALSE;
  mnl_attr_parse(message, sizeof *info, look_at_kind, &is_clsact);
  if ((guint)info->tcm_ifindex == search->index && is_clsact) search->is_there = TRUE;
  return MNL_CB_OK;
}

gboolean net_tc_has_clsact(Netlink *netlink, guint index) {
  char buffer[NETLINK_REQUEST_BYTES];
  struct tcmsg *message;
  ClsactSearch search = {.index = index};
  struct nlmsghdr *request = netlink_request(buffer, RTM_GETQDISC, 0, sizeof *message, &message);
  message->tcm_ifindex = (int)index;
  return netlink_dump(netlink, request, look_at_qdisc, &search, "queueing disciplines", NULL) && search.is_there;
}

/* ---- limits ---- */

/* Bytes that may go at once: what the rate allows in 20 ms, and one frame of the largest kind at least. */
#define BURST_PER_S 50u
#define BURST_MIN (128u << 10)
/* How much may wait: 100 ms. */
#define QUEUE_PER_S 10u
/* tc(8): the first number of a root discipline of ours. */
#define LIMIT_HANDLE TC_H_MAKE(0x6b610000u, 0)

static void put_limit(struct nlmsghdr *request, guint64 bytes_per_s) {
  guint32 burst = (guint32)CLAMP(bytes_per_s / BURST_PER_S, BURST_MIN, G_MAXINT32);
  struct tc_tbf_qopt limit = {.limit = (guint32)CLAMP(bytes_per_s / QUEUE_PER_S, BURST_MIN, G_MAXINT32)};
  limit.rate.rate = (guint32)MIN(bytes_per_s, G_MAXUINT32);
  limit.rate.linklayer = TC_LINKLAYER_ETHERNET; /* the kernel needs no table then */
  struct nlattr *options = mnl_attr_nest_start(request, TCA_OPTIONS);
  mnl_attr_put(request, TCA_TBF_PARMS, sizeof limit, &limit);
  mnl_attr_put_u32(request, TCA_TBF_BURST, burst);
  if (bytes_per_s > G_MAXUINT32) mnl_attr_put_u64(request, TCA_TBF_RATE64, bytes_per_s);
  mnl_attr_nest_end(request, options);
}

static struct nlmsghdr *root_request(char *buffer, guint16 type, guint16 flags, guint index) {
  struct tcmsg *message;
  struct nlmsghdr *request = netlink_request(buffer, type, flags, sizeof *message, &message);
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = (int)index;
  message->tcm_handle = LIMIT_HANDLE;
  message->tcm_parent = TC_H_ROOT;
  mnl_attr_put_strz(request, TCA_KIND, "tbf");
  return request;
}

gboolean net_tc_limit(Netlink *netlink, guint index, guint64 bits_per_s, GError **error) {
  char buffer[NETLINK_REQUEST_BYTES];
  struct nlmsghdr *request = root_request(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, index);
  put_limit(request, MAX(bits_per_s / 8, 1));
  int reason = netlink_ask(netlink, request);
  if (reason == 0) return TRUE;
  error_set_errno(error, reason, "cannot limit the traffic of interface %u (the kernel needs sch_tbf)", index);
  return FALSE;
}

void net_tc_unlimit(Netlink *netlink, guint index) {
  char buffer[NETLINK_REQUEST_BYTES];
  netlink_ask(netlink, root_request(buffer, RTM_DELQDISC, 0, index));
}
