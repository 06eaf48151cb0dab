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
#include "shim/net-bpf.h"
#include "shim/net-localhost.h"
#include "shim/net-private.h"
#include "shim/net-tc.h"

/* How often a namespace that changes meanwhile is looked at. */
#define SCAN_TRIES 100u
#define SCAN_AGAIN_US (20u * 1000u)

static void link_free(gpointer data) {
  NetLink *link = data;
  g_free(link->name);
  g_free(link->tap);
  g_free(link->mac);
  g_free(link->guest_name);
  g_free(link->told);
  g_free(link);
}

static Net *make(int netns, const char *path) {
  Net *net = g_new0(Net, 1);
  net->netns = netns;
  net->path = g_strdup(path);
  net->links = g_ptr_array_new_with_free_func(link_free);
  net->excluded = g_array_new(FALSE, FALSE, sizeof(guint));
  g_mutex_init(&net->lock);
  return net;
}

void net_free(Net *net) {
  if (net == NULL) return;
  net_dns_free(net->dns);
  fd_clear(&net->netns);
  g_free(net->path);
  g_ptr_array_unref(net->links);
  g_array_unref(net->excluded);
  g_free(net->told_routes);
  g_free(net->told_neighbours);
  g_mutex_clear(&net->lock);
  net_scan_free(net->scan);
  g_free(net);
}

int net_get_namespace(const Net *net) { return net->netns; }

/* ---- looking ---- */

typedef struct {
  NetScan *(*scan)(Netlink *netlink, GError **error);
  NetLocalhostBefore *before; /* NULL: is not asked for */
  NetScan *found;
} Look;

static NetScan *look_once(const Look *look, GError **error) {
  g_autoptr(Netlink) netlink = netlink_open(error);
  if (netlink != NULL && look->before != NULL) net_localhost_look(netlink, look->before);
  return netlink != NULL ? look->scan(netlink, error) : NULL;
}

/* Whoever has made the namespace may still be at work there; and new addresses of IPv6 become usable later. */
static gboolean look_here(gpointer data, GError **error) {
  Look *look = data;
  for (guint tries = 1;; tries++) {
    g_autoptr(GError) why = NULL;
    look->found = look_once(look, &why);
    if (look->found != NULL) return TRUE;
    if (error_get_code(why) != KATA_ERR_UNAVAILABLE || tries == SCAN_TRIES) {
      g_propagate_error(error, g_steal_pointer(&why));
      return FALSE;
    }
    g_usleep(SCAN_AGAIN_US);
  }
}

NetScan *net_look_again(const Net *net, GError **error) {
  Look look = {.scan = net_scan_again};
  return net_namespace_run(net->netns, look_here, &look, error) ? look.found : NULL;
}

NetLink *net_link_new(const NetInterface *interface, guint number) {
  NetLink *link = g_new0(NetLink, 1);
  link->index = interface->index;
  link->name = g_strdup(interface->name);
  link->guest_name = g_strdup(interface->name);
  link->tap = g_strdup_printf(NET_TAP_FORMAT, number);
  link->mac = g_strdup(interface->mac);
  link->mtu = MIN(interface->mtu, NET_TAP_MTU_MAX);
  link->was_allmulti = (interface->flags & IFF_ALLMULTI) != 0;
  link->number = number;
  return link;
}

NetLink *net_find_link(const Net *net, guint index) {
  for (guint i = 0; i < net->links->len; i++) {
    NetLink *link = net->links->pdata[i];
    if (link->index == index && !link->is_stuck) return link;
  }
  return NULL;
}

static gboolean make_links(Net *net, GError **error) {
  guint count = net->scan->interfaces->len;
  if (count > NET_LINKS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                "the network namespace has %u interfaces with addresses, a guest can have %u", count, NET_LINKS_MAX);
    return FALSE;
  }
  for (guint i = 0; i < count; i++) g_ptr_array_add(net->links, net_link_new(net->scan->interfaces->pdata[i], i));
  /* Nobody forwards ports to a guest that has no network. */
  net->has_localhost = count > 0;
  net->planned = TRUE;
  return TRUE;
}

Net *net_new(int netns, const char *path, GError **error) {
  if (netns < 0) netns = net_namespace_new(error);
  if (netns < 0) return NULL;
  g_autoptr(Net) net = make(netns, path);
  Look look = {.scan = net_scan, .before = &net->before};
  if (!net_namespace_run(netns, look_here, &look, error)) return NULL;
  net->scan = look.found;
  net->cookie = net_namespace_get_cookie(netns);
  return make_links(net, error) ? g_steal_pointer(&net) : NULL;
}

void net_add_nics(const Net *net, VmConfig *config) {
  for (guint i = 0; i < net->links->len; i++) {
    const NetLink *link = net->links->pdata[i];
    vm_config_add_nic(config, link->number, link->tap, link->mac, link->mtu);
  }
  if (net->has_localhost)
    vm_config_add_nic(config, NET_LOCALHOST_NUMBER, NET_LOCALHOST_TAP, NET_LOCALHOST_MAC, NET_LOCALHOST_MTU);
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

void net_part_link(Netlink *netlink, const NetLink *link) {
  if (!link->is_stuck) net_tc_clear(netlink, link->index);
  if (!link->is_stuck) net_tc_unlimit(netlink, link->index);
  if (!link->is_stuck && !link->was_allmulti) set_allmulti(netlink, link->index, FALSE);
  guint tap = if_nametoindex(link->tap);
  if (tap != 0) net_tc_clear(netlink, tap);
}

void net_forget_localhost(Net *net) { net->has_localhost = FALSE; }

void net_set_limits(Net *net, guint64 rx_limit, guint64 tx_limit) {
  net->rx_limit = rx_limit;
  net->tx_limit = tx_limit;
}

/* What the guest receives leaves at the tap, what it sends at the interface. */
static gboolean limit(Netlink *netlink, const Net *net, guint tap, guint index, GError **error) {
  return (net->rx_limit == 0 || net_tc_limit(netlink, tap, net->rx_limit, error)) &&
         (net->tx_limit == 0 || net_tc_limit(netlink, index, net->tx_limit, error));
}

/* What Docker's name server asks outside, it asks out of the namespace. */
static gboolean join_outside(Netlink *netlink, const NetLink *link, GError **error) {
  guint tap = if_nametoindex(link->tap);
  autofd int program = net_bpf_load_outside(tap, error);
  return program >= 0 && net_tc_attach(netlink, link->index, NET_TC_IN, NET_TC_FIRST, program, error);
}

gboolean net_join_link(Netlink *netlink, const Net *net, const NetLink *link, GError **error) {
  guint tap = if_nametoindex(link->tap);
  if (tap == 0) {
    error_set_errno(error, errno, "cannot find the machine's tap device '%s'", link->tap);
    return FALSE;
  }
  silence_tap(link->tap);
  set_allmulti(netlink, link->index, TRUE);
  if (limit(netlink, net, tap, link->index, error) && net_tc_redirect(netlink, tap, link->index, error) &&
      net_tc_redirect(netlink, link->index, tap, error) && (!net->has_dns || join_outside(netlink, link, error)))
    return TRUE;
  g_prefix_error(error, "cannot join interface '%s' and the guest: ", link->name);
  return FALSE;
}

/* The guest can do without. */
void net_join_localhost(Netlink *netlink, const Net *net) {
  g_autoptr(GError) error = NULL;
  silence_tap(NET_LOCALHOST_TAP);
  if (!net_localhost_join(netlink, &net->before, &error))
    g_warning("ports of the network namespace's 127.0.0.1 and ::1 do not lead to the guest: %s", error->message);
}

static void part_all(Netlink *netlink, Net *net) {
  for (guint i = 0; i < net->links->len; i++) net_part_link(netlink, net->links->pdata[i]);
  if (net->has_localhost) net_localhost_part(netlink, &net->before);
  net->connected = FALSE;
}

static gboolean connect_here(gpointer data, GError **error) {
  Net *net = data;
  g_autoptr(Netlink) netlink = netlink_open(error);
  if (netlink == NULL) return FALSE;
  net->connected = TRUE;
  gboolean done = TRUE;
  for (guint i = 0; i < net->links->len && done; i++) done = net_join_link(netlink, net, net->links->pdata[i], error);
  if (done && net->has_localhost) net_join_localhost(netlink, net);
  if (!done) part_all(netlink, net);
  return done;
}

gboolean net_connect(Net *net, GError **error) { return net_namespace_run(net->netns, connect_here, net, error); }

static gboolean join_dns_here(gpointer data, GError **error) {
  const Net *net = data;
  g_autoptr(Netlink) netlink = netlink_open(error);
  gboolean done = netlink != NULL && net_localhost_join_dns(netlink, error);
  for (guint i = 0; i < net->links->len && done; i++) {
    const NetLink *link = net->links->pdata[i];
    done = link->is_stuck || join_outside(netlink, link, error);
  }
  return done;
}

gboolean net_serve_dns(Net *net, const char *resolv_conf) {
  g_autoptr(GError) error = NULL;
  gboolean is_wanted = net->has_dns || (resolv_conf != NULL && net_dns_is_named(resolv_conf));
  if (!is_wanted || !net->has_localhost || !net->connected || net->dns != NULL) return FALSE;
  net->dns = net_dns_new(net->netns, &error);
  gboolean done = net->dns != NULL && net_namespace_run(net->netns, join_dns_here, net, &error);
  if (!done) g_warning("the name server at " NET_DNS_TEXT " does not answer the guest: %s", error->message);
  if (!done) g_clear_pointer(&net->dns, net_dns_free);
  g_mutex_lock(&net->lock);
  net->has_dns = done;
  g_mutex_unlock(&net->lock);
  return done;
}

static gboolean disconnect_here(gpointer data, GError **error) {
  Net *net = data;
  g_autoptr(Netlink) netlink = netlink_open(error);
  if (netlink == NULL) return FALSE;
  part_all(netlink, net);
  return TRUE;
}

void net_disconnect(Net *net) {
  g_autoptr(GError) error = NULL;
  g_clear_pointer(&net->dns, net_dns_free);
  if (net->connected && !net_namespace_run(net->netns, disconnect_here, net, &error)) g_warning("%s", error->message);
  g_mutex_lock(&net->lock);
  net->connected = net->planned = net->has_dns = FALSE;
  g_mutex_unlock(&net->lock);
}

/* ---- the state file ---- */

static char *copy_text(const char *text) { return strdup(text != NULL ? text : ""); }

static Kata__V1__NetworkLink *link_to_state(const NetLink *link) {
  Kata__V1__NetworkLink *state = calloc(1, sizeof *state);
  kata__v1__network_link__init(state);
  state->index = link->is_stuck ? 0 : link->index;
  state->name = copy_text(link->name);
  state->tap = copy_text(link->tap);
  state->mac = copy_text(link->mac);
  state->mtu = link->mtu;
  state->was_allmulti = link->was_allmulti;
  state->number = link->number;
  state->told = copy_text(link->told);
  state->guest_name = copy_text(link->guest_name);
  state->is_given = link->is_given;
  return state;
}

static void lists_to_state(const Net *net, Kata__V1__NetworkState *state) {
  state->links = calloc(net->links->len + 1, sizeof *state->links);
  for (guint i = 0; i < net->links->len; i++) state->links[state->n_links++] = link_to_state(net->links->pdata[i]);
  state->excluded = calloc(net->excluded->len + 1, sizeof *state->excluded);
  state->n_excluded = net->excluded->len;
  for (guint i = 0; i < net->excluded->len; i++) state->excluded[i] = g_array_index(net->excluded, guint, i);
}

static Kata__V1__NetworkState *to_state(const Net *net) {
  struct stat st;
  if (!net->planned || fstat(net->netns, &st) < 0) return NULL;
  Kata__V1__NetworkState *state = calloc(1, sizeof *state);
  kata__v1__network_state__init(state);
  state->path = strdup(net->path);
  state->device = st.st_dev;
  state->inode = st.st_ino;
  state->cookie = net->cookie;
  state->has_localhost = net->has_localhost;
  state->has_dns = net->has_dns;
  state->route_localnet = net->before.route_localnet;
  state->accept_local = net->before.accept_local;
  state->has_clsact = net->before.has_clsact;
  state->told_routes = copy_text(net->told_routes);
  state->told_neighbours = copy_text(net->told_neighbours);
  lists_to_state(net, state);
  return state;
}

Kata__V1__NetworkState *net_to_state(Net *net) {
  g_mutex_lock(&net->lock);
  Kata__V1__NetworkState *state = to_state(net);
  g_mutex_unlock(&net->lock);
  return state;
}

static NetLink *link_from_state(const Kata__V1__NetworkLink *state) {
  NetLink *link = g_new0(NetLink, 1);
  link->index = state->index;
  link->is_stuck = state->index == 0;
  link->name = g_strdup(state->name);
  link->tap = g_strdup(state->tap);
  link->mac = g_strdup(state->mac);
  link->mtu = state->mtu;
  link->was_allmulti = state->was_allmulti;
  link->number = state->number;
  link->told = g_strdup(state->told);
  link->guest_name = g_strdup(state->guest_name);
  link->is_given = state->is_given;
  return link;
}

static Net *from_state(const Kata__V1__NetworkState *state, int netns) {
  Net *net = make(netns, state->path);
  for (size_t i = 0; i < state->n_links; i++) g_ptr_array_add(net->links, link_from_state(state->links[i]));
  g_array_append_vals(net->excluded, state->excluded, (guint)state->n_excluded);
  net->cookie = state->cookie;
  net->has_localhost = state->has_localhost;
  net->has_dns = state->has_dns;
  net->before = (NetLocalhostBefore){state->route_localnet, state->accept_local, state->has_clsact};
  net->told_routes = g_strdup(state->told_routes);
  net->told_neighbours = g_strdup(state->told_neighbours);
  net->planned = net->connected = TRUE;
  return net;
}

/* The inode alone says too little: its number is given to another namespace once this one is gone. */
static gboolean is_the_one(const Kata__V1__NetworkState *state, int netns) {
  struct stat st;
  return fstat(netns, &st) == 0 && st.st_dev == state->device && st.st_ino == state->inode &&
         (state->cookie == 0 || net_namespace_get_cookie(netns) == state->cookie);
}

Net *net_find_stray(const Kata__V1__NetworkState *state, pid_t pid, const char *mount) {
  autofd int netns = pid > 0 ? net_namespace_open_machine(pid, mount, NULL) : -1;
  if (netns >= 0 && !is_the_one(state, netns)) fd_clear(&netns);
  /* Without either there is nobody left in it but by a mount, which the path names. */
  if (netns < 0 && *state->path != '\0') netns = net_namespace_open(0, state->path, NULL);
  return netns >= 0 && is_the_one(state, netns) ? from_state(state, fd_steal(&netns)) : NULL;
}

Net *net_adopt(const Kata__V1__NetworkState *state, pid_t pid, const char *mount, GError **error) {
  Net *net = net_find_stray(state, pid, mount);
  if (net == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
                "cannot find the network namespace the guest was connected to: neither process %d nor '%s' is in it",
                (int)pid, state->path);
  return net;
}
