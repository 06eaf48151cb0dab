/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-localhost.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

/* tc(8): ffff:0 of its ingress discipline, and where the address is in a packet (RFC 8200). */
#define INGRESS_HANDLE TC_H_MAKE(TC_H_INGRESS, 0)
#define PRIORITY 1u
#define DESTINATION_AT 24
#define ADDRESS_WORDS 4u

static gboolean open_ipv4(const char *name, GError **error) {
  g_autofree char *path = g_strdup_printf("/proc/sys/net/ipv4/conf/%s/route_localnet", name);
  autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && fd_write_all(fd, "1", 1)) return TRUE;
  error_set_errno(error, errno, "cannot write '%s'", path);
  return FALSE;
}

/* ---- ::1 ----
 *
 * The kernel has no setting that lets it in, and drops it wherever it arrives but at the loopback device: there it is
 * made to arrive. */

static int add_discipline(Netlink *netlink, int index) {
  NetlinkRequest request;
  struct tcmsg *message = netlink_begin(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, sizeof *message);
  message->tcm_ifindex = index;
  message->tcm_handle = INGRESS_HANDLE;
  message->tcm_parent = TC_H_INGRESS;
  mnl_attr_put_strz(&request.header, TCA_KIND, "ingress");
  return netlink_try(netlink, &request);
}

static void put_match(struct nlmsghdr *request) {
  struct {
    struct tc_u32_sel selector;
    struct tc_u32_key keys[ADDRESS_WORDS];
  } match = {.selector = {.flags = TC_U32_TERMINAL, .nkeys = ADDRESS_WORDS}};
  G_STATIC_ASSERT(sizeof match == sizeof match.selector + sizeof match.keys);
  for (guint i = 0; i < ADDRESS_WORDS; i++)
    match.keys[i] = (struct tc_u32_key){.mask = G_MAXUINT32, .off = (int)(DESTINATION_AT + i * sizeof(guint32))};
  match.keys[ADDRESS_WORDS - 1].val = htonl(1); /* ::1 */
  mnl_attr_put(request, TCA_U32_SEL, sizeof match, &match);
}

static void put_redirect(struct nlmsghdr *request, guint to) {
  struct tc_mirred mirred = {.action = TC_ACT_STOLEN, .eaction = TCA_INGRESS_REDIR, .ifindex = to};
  struct nlattr *actions = mnl_attr_nest_start(request, TCA_U32_ACT);
  struct nlattr *first = mnl_attr_nest_start(request, 1);
  mnl_attr_put_strz(request, TCA_ACT_KIND, "mirred");
  struct nlattr *options = mnl_attr_nest_start(request, TCA_ACT_OPTIONS);
  mnl_attr_put(request, TCA_MIRRED_PARMS, sizeof mirred, &mirred);
  mnl_attr_nest_end(request, options);
  mnl_attr_nest_end(request, first);
  mnl_attr_nest_end(request, actions);
}

static int add_filter(Netlink *netlink, int from, guint to) {
  NetlinkRequest request;
  struct tcmsg *message = netlink_begin(&request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, sizeof *message);
  message->tcm_ifindex = from;
  message->tcm_parent = INGRESS_HANDLE;
  message->tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_IPV6));
  mnl_attr_put_strz(&request.header, TCA_KIND, "u32");
  struct nlattr *options = mnl_attr_nest_start(&request.header, TCA_OPTIONS);
  put_match(&request.header);
  put_redirect(&request.header, to);
  mnl_attr_nest_end(&request.header, options);
  return netlink_try(netlink, &request);
}

static void remove_discipline(Netlink *netlink, int index) {
  NetlinkRequest request;
  struct tcmsg *message = netlink_begin(&request, RTM_DELQDISC, 0, sizeof *message);
  message->tcm_ifindex = index;
  message->tcm_handle = INGRESS_HANDLE;
  message->tcm_parent = TC_H_INGRESS;
  netlink_try(netlink, &request);
}

static void open_ipv6(Netlink *netlink, int index) {
  int reason = add_discipline(netlink, index);
  if (reason == EEXIST) return; /* opened before */
  if (reason == 0) {
    reason = add_filter(netlink, index, if_nametoindex("lo"));
    if (reason != 0) remove_discipline(netlink, index);
  }
  if (reason != 0)
    g_message("ports of ::1 cannot be reached from the host (the kernel needs sch_ingress, cls_u32, act_mirred): %s",
              g_strerror(reason));
}

gboolean net_localhost_open(Netlink *netlink, const char *name, int index, GError **error) {
  if (!open_ipv4(name, error)) return FALSE;
  open_ipv6(netlink, index);
  return TRUE;
}
