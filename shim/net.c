// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/net-localhost.h"
#include "shim/net-private.h"
#include "shim/net-tc.h"

/* drivers/net/tun.c: 64 KiB less one and less Ethernet's header. */
#define TAP_MTU_MAX 65521u
/* How often a namespace that changes meanwhile is looked at. */
#define SCAN_TRIES 100u
#define SCAN_AGAIN_US (20u * 1000u)

static void link_free(gpointer data) {
  NetLink *link = data;
  g_free(link->name);
  g_free(link->tap);
  g_free(link->mac);
  g_free(link);
}

static Net *make(int netns, const char *path) {
  Net *net = g_new0(Net, 1);
  net->netns = netns;
  net->path = g_strdup(path);
  net->links = g_ptr_array_new_with_free_func(link_free);
  return net;
}

void net_free(Net *net) {
  if (net == NULL) return;
  fd_clear(&net->netns);
  g_free(net->path);
  g_ptr_array_unref(net->links);
  net_scan_free(net->scan);
  g_free(net);
}

int net_get_namespace(const Net *net) { return net->netns; }

/* ---- looking ---- */

static NetScan *scan_once(GError **error) {
  g_autoptr(Netlink) netlink = netlink_open(error);
  return netlink != NULL ? net_scan(netlink, error) : NULL;
}

/* Whoever has made the namespace may still be at work there; and new addresses of IPv6 become usable later. */
static gboolean scan_here(gpointer data, GError **error) {
  NetScan **ret = data;
  for (guint tries = 1;; tries++) {
    g_autoptr(GError) why = NULL;
    *ret = scan_once(&why);
    if (*ret != NULL) return TRUE;
    if (error_get_code(why) != KATA_ERR_UNAVAILABLE || tries == SCAN_TRIES) {
      g_propagate_error(error, g_steal_pointer(&why));
      return FALSE;
    }
    g_usleep(SCAN_AGAIN_US);
  }
}

static gboolean make_links(Net *net, GError **error) {
  guint count = net->scan->interfaces->len;
  if (count > NET_LINKS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                "the network namespace has %u interfaces with addresses, a guest can have %u", count, NET_LINKS_MAX);
    return FALSE;
  }
  for (guint i = 0; i < count; i++) {
    const NetInterface *interface = net->scan->interfaces->pdata[i];
    NetLink *link = g_new0(NetLink, 1);
    link->index = interface->index;
    link->name = g_strdup(interface->name);
    link->tap = g_strdup_printf(NET_TAP_FORMAT, i);
    link->mac = g_strdup(interface->mac);
    link->mtu = MIN(interface->mtu, TAP_MTU_MAX);
    link->was_allmulti = (interface->flags & IFF_ALLMULTI) != 0;
    g_ptr_array_add(net->links, link);
  }
  net->planned = count > 0;
  return TRUE;
}

Net *net_new(int netns, const char *path, GError **error) {
  if (netns < 0) netns = net_namespace_new(error);
  if (netns < 0) return NULL;
  g_autoptr(Net) net = make(netns, path);
  if (!net_namespace_run(netns, scan_here, &net->scan, error) || !make_links(net, error)) return NULL;
  return g_steal_pointer(&net);
}

void net_add_nics(const Net *net, VmConfig *config) {
  for (guint i = 0; i < net->links->len; i++) {
    const NetLink *link = net->links->pdata[i];
    vm_config_add_nic(config, link->tap, link->mac, link->mtu);
  }
  /* Nobody forwards ports to a guest that has no network. */
  if (net->links->len > 0) vm_config_add_nic(config, NET_LOCALHOST_TAP, NET_LOCALHOST_MAC, NET_LOCALHOST_MTU);
}

/* ---- joining ---- */

/* Frames to groups only the guest has joined must pass the interface's filter too (macvlan, ipvlan). */
static void set_allmulti(Netlink *netlink, guint index, gboolean all) {
  char buffer[NETLINK_REQUEST_BYTES];
  struct ifinfomsg *message;
  struct nlmsghdr *request = netlink_request(buffer, RTM_NEWLINK, 0, sizeof *message, &message);
  message->ifi_index = (int)index;
  message->ifi_change = IFF_ALLMULTI;
  message->ifi_flags = all ? IFF_ALLMULTI : 0;
  netlink_ask(netlink, request);
}

/* The namespace's own IPv6 has nothing to say to the guest through the tap. */
static void silence_tap(const char *tap) {
  g_autofree char *path = g_strdup_printf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", tap);
  autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && !fd_write_all(fd, "1", 1)) g_message("cannot write '%s': %s", path, g_strerror(errno));
}

static void part(Netlink *netlink, const NetLink *link) {
  net_tc_clear(netlink, link->index);
  if (!link->was_allmulti) set_allmulti(netlink, link->index, FALSE);
  guint tap = if_nametoindex(link->tap);
  if (tap != 0) net_tc_clear(netlink, tap);
}

static gboolean join(Netlink *netlink, const NetLink *link, GError **error) {
  guint tap = if_nametoindex(link->tap);
  if (tap == 0) {
    error_set_errno(error, errno, "cannot find the machine's tap device '%s'", link->tap);
    return FALSE;
  }
  silence_tap(link->tap);
  set_allmulti(netlink, link->index, TRUE);
  if (net_tc_redirect(netlink, tap, link->index, error) && net_tc_redirect(netlink, link->index, tap, error))
    return TRUE;
  g_prefix_error(error, "cannot join interface '%s' and the guest: ", link->name);
  return FALSE;
}

/* The guest can do without. */
static void join_localhost(Netlink *netlink) {
  g_autoptr(GError) error = NULL;
  silence_tap(NET_LOCALHOST_TAP);
  if (!net_localhost_join(netlink, &error))
    g_warning("ports of the network namespace's 127.0.0.1 do not lead to the guest: %s", error->message);
}

static void part_all(Netlink *netlink, Net *net) {
  for (guint i = 0; i < net->links->len; i++) part(netlink, net->links->pdata[i]);
  if (net->links->len > 0) net_localhost_part(netlink);
  net->connected = FALSE;
}

static gboolean connect_here(gpointer data, GError **error) {
  Net *net = data;
  g_autoptr(Netlink) netlink = netlink_open(error);
  if (netlink == NULL) return FALSE;
  net->connected = TRUE;
  gboolean done = TRUE;
  for (guint i = 0; i < net->links->len && done; i++) done = join(netlink, net->links->pdata[i], error);
  if (done && net->links->len > 0) join_localhost(netlink);
  if (!done) part_all(netlink, net);
  return done;
}

gboolean net_connect(Net *net, GError **error) { return net_namespace_run(net->netns, connect_here, net, error); }

static gboolean disconnect_here(gpointer data, GError **error) {
  Net *net = data;
  g_autoptr(Netlink) netlink = netlink_open(error);
  if (netlink == NULL) return FALSE;
  part_all(netlink, net);
  return TRUE;
}

void net_disconnect(Net *net) {
  g_autoptr(GError) error = NULL;
  if (net->connected && !net_namespace_run(net->netns, disconnect_here, net, &error)) g_warning("%s", error->message);
  net->connected = net->planned = FALSE;
}

/* ---- the state file ---- */

static Kata__V1__NetworkLink *link_to_state(const NetLink *link) {
  Kata__V1__NetworkLink *state = calloc(1, sizeof *state);
  kata__v1__network_link__init(state);
  state->index = link->index;
  state->name = strdup(link->name);
  state->tap = strdup(link->tap);
  state->mac = strdup(link->mac);
  state->mtu = link->mtu;
  state->was_allmulti = link->was_allmulti;
  return state;
}

Kata__V1__NetworkState *net_to_state(const Net *net) {
  struct stat st;
  if (!net->planned || fstat(net->netns, &st) < 0) return NULL;
  Kata__V1__NetworkState *state = calloc(1, sizeof *state);
  kata__v1__network_state__init(state);
  state->path = strdup(net->path);
  state->device = st.st_dev;
  state->inode = st.st_ino;
  state->links = calloc(net->links->len + 1, sizeof *state->links);
  for (guint i = 0; i < net->links->len; i++) state->links[state->n_links++] = link_to_state(net->links->pdata[i]);
  return state;
}

static Net *from_state(const Kata__V1__NetworkState *state, int netns) {
  Net *net = make(netns, state->path);
  for (size_t i = 0; i < state->n_links; i++) {
    const Kata__V1__NetworkLink *from = state->links[i];
    NetLink *link = g_new0(NetLink, 1);
    link->index = from->index;
    link->name = g_strdup(from->name);
    link->tap = g_strdup(from->tap);
    link->mac = g_strdup(from->mac);
    link->mtu = from->mtu;
    link->was_allmulti = from->was_allmulti;
    g_ptr_array_add(net->links, link);
  }
  net->planned = net->connected = TRUE;
  return net;
}

static gboolean is_the_one(const Kata__V1__NetworkState *state, int netns) {
  struct stat st;
  return fstat(netns, &st) == 0 && st.st_dev == state->device && st.st_ino == state->inode;
}

Net *net_find_stray(const Kata__V1__NetworkState *state, pid_t pid) {
  autofd int netns = pid > 0 ? net_namespace_open_of(pid, NULL) : -1;
  if (netns >= 0 && !is_the_one(state, netns)) fd_clear(&netns);
  /* Without either there is nobody left in it but by a mount, which the path names. */
  if (netns < 0 && *state->path != '\0') netns = net_namespace_open(0, state->path, NULL);
  return netns >= 0 && is_the_one(state, netns) ? from_state(state, fd_steal(&netns)) : NULL;
}

Net *net_adopt(const Kata__V1__NetworkState *state, pid_t pid, GError **error) {
  Net *net = net_find_stray(state, pid);
  if (net == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
                "cannot find the network namespace the guest was connected to: neither process %d nor '%s' is in it",
                (int)pid, state->path);
  return net;
}
