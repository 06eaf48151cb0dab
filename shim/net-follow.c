// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-follow.h"

#include <glib-unix.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "common/error.h"
#include "shim/net-plug.h"
#include "shim/sandbox-network.h"
#include "shim/store.h"

/* Who changes a namespace does so in many small steps. */
#define SETTLE_MS 100u
#define GROUPS \
  (RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)

struct NetFollow {
  Netlink *notices;
  GMutex changing; /* held by whoever changes the guest's network */

  GMutex lock; /* guards what follows */
  guint watch, timer;
  gboolean is_busy, is_again, is_ending;
};

/* ---- following ---- */

static const NetInterface *find_interface(const GPtrArray *interfaces, guint index) {
  for (guint i = 0; i < interfaces->len; i++) {
    const NetInterface *interface = interfaces->pdata[i];
    if (interface->index == index) return interface;
  }
  return NULL;
}

/* A card keeps its address, and its MTU is the greatest that it takes. */
static gboolean needs_other_card(const NetLink *link, const NetInterface *interface) {
  return g_strcmp0(link->mac, interface->mac) != 0 ||
         (!link->is_given && interface->mtu > link->mtu && link->mtu < NET_TAP_MTU_MAX);
}

/* TRUE: something was taken out. */
static gboolean drop_gone(Sandbox *sandbox, const NetScan *scan) {
  Net *net = sandbox->net;
  gboolean changed = FALSE;
  for (guint i = net->links->len; i-- > 0;) {
    NetLink *link = net->links->pdata[i];
    const NetInterface *interface = find_interface(scan->interfaces, link->index);
    if (interface == NULL && link->is_given) interface = find_interface(scan->others, link->index);
    if (link->is_stuck || (interface != NULL && !needs_other_card(link, interface))) continue;
    net_unplug(sandbox, link);
    changed = TRUE;
  }
  return changed;
}

static void forget_excluded(Net *net, const NetScan *scan) {
  g_mutex_lock(&net->lock);
  for (guint i = net->excluded->len; i-- > 0;) {
    guint index = g_array_index(net->excluded, guint, i);
    if (find_interface(scan->interfaces, index) == NULL && find_interface(scan->others, index) == NULL)
      g_array_remove_index_fast(net->excluded, i);
  }
  g_mutex_unlock(&net->lock);
}

static gboolean is_excluded(const Net *net, guint index) {
  for (guint i = 0; i < net->excluded->len; i++)
    if (g_array_index(net->excluded, guint, i) == index) return TRUE;
  return FALSE;
}

static void set_excluded(Net *net, guint index, gboolean excluded) {
  g_mutex_lock(&net->lock);
  for (guint i = net->excluded->len; i-- > 0;)
    if (g_array_index(net->excluded, guint, i) == index) g_array_remove_index_fast(net->excluded, i);
  if (excluded) g_array_append_val(net->excluded, index);
  g_mutex_unlock(&net->lock);
}

/* A guest that neither takes a card nor lets it go would do so again at each change, until it can have no more. */
static void exclude_refused(Net *net, guint index) {
  for (guint i = 0; i < net->links->len; i++) {
    const NetLink *link = net->links->pdata[i];
    if (!link->is_stuck || link->index != index) continue;
    set_excluded(net, index, TRUE);
    return;
  }
}

static void set_told(Net *net, NetLink *link, const NetInterface *interface) {
  g_mutex_lock(&net->lock);
  g_free(link->told);
  link->told = net_fingerprint_interface(interface);
  if (strcmp(link->name, interface->name) != 0) {
    g_free(link->name);
    link->name = g_strdup(interface->name);
    g_free(link->guest_name);
    link->guest_name = g_strdup(interface->name);
  }
  g_mutex_unlock(&net->lock);
}

/* TRUE: it has changed. */
static gboolean follow_interface(Sandbox *sandbox, TtrpcClient *agent, const NetInterface *interface) {
  Net *net = sandbox->net;
  g_autoptr(GError) error = NULL;
  NetLink *link = net_find_link(net, interface->index);
  if (link == NULL) {
    if (is_excluded(net, interface->index)) return FALSE;
    if (net_plug(sandbox, interface, NULL, &error)) return TRUE;
    g_warning("%s", error->message);
    exclude_refused(net, interface->index);
    return FALSE;
  }
  g_autofree char *now = net_fingerprint_interface(interface);
  if (link->is_given || g_strcmp0(now, link->told) == 0) return FALSE;
  if (!net_tell_interface(agent, link, interface, NULL, &error)) g_warning("%s", error->message);
  set_told(net, link, interface); /* what the guest refuses once it would refuse again */
  return TRUE;
}

/* What is new there, and after changes of interfaces in any case: the guest's kernel drops routes with them. */
static void follow_lists(Sandbox *sandbox, TtrpcClient *agent, const NetScan *scan, gboolean changed) {
  Net *net = sandbox->net;
  g_autoptr(GError) error = NULL;
  char *routes = net_fingerprint_routes(scan->routes), *neighbours = net_fingerprint_neighbours(scan->neighbours);
  gboolean routes_changed = changed || g_strcmp0(routes, net->told_routes) != 0;
  gboolean neighbours_changed = changed || g_strcmp0(neighbours, net->told_neighbours) != 0;
  if (routes_changed && !net_tell_routes(agent, net, scan->routes, &error)) g_warning("%s", error->message);
  g_clear_error(&error);
  if (neighbours_changed && !net_tell_neighbours(agent, net, scan->neighbours, &error)) g_warning("%s", error->message);
  g_clear_error(&error);
  g_mutex_lock(&net->lock);
  g_free(net->told_routes);
  g_free(net->told_neighbours);
  net->told_routes = routes;
  net->told_neighbours = neighbours;
  g_mutex_unlock(&net->lock);
  if ((routes_changed || neighbours_changed) && !store_save(sandbox, &error)) g_warning("%s", error->message);
}

/* With changing held. */
static void follow(Sandbox *sandbox) {
  g_autoptr(GError) error = NULL;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  if (agent == NULL) return;
  g_autoptr(NetScan) scan = net_look_again(sandbox->net, &error);
  if (scan == NULL) {
    g_warning("cannot follow the network namespace: %s", error->message);
    return;
  }
  gboolean changed = drop_gone(sandbox, scan);
  forget_excluded(sandbox->net, scan);
  for (guint i = 0; i < scan->interfaces->len; i++)
    changed |= follow_interface(sandbox, agent, scan->interfaces->pdata[i]);
  changed |= sandbox_network_serve_dns(sandbox);
  follow_lists(sandbox, agent, scan, changed);
}

/* ---- when ---- */

/* TRUE: once more. */
static gboolean end_round(NetFollow *self) {
  g_mutex_lock(&self->lock);
  gboolean is_again = self->is_again && !self->is_ending;
  self->is_again = FALSE;
  self->is_busy = is_again;
  g_mutex_unlock(&self->lock);
  return is_again;
}

static gboolean is_ending(NetFollow *self) {
  g_mutex_lock(&self->lock);
  gboolean ending = self->is_ending;
  g_mutex_unlock(&self->lock);
  return ending;
}

static gpointer follow_thread(gpointer user_data) {
  Sandbox *sandbox = user_data;
  NetFollow *self = sandbox->follow;
  do {
    g_mutex_lock(&self->changing);
    if (!is_ending(self)) follow(sandbox);
    g_mutex_unlock(&self->changing);
  } while (end_round(self));
  return NULL;
}

static gboolean on_settled(gpointer user_data) {
  Sandbox *sandbox = user_data;
  NetFollow *self = sandbox->follow;
  g_mutex_lock(&self->lock);
  self->timer = 0;
  gboolean is_first = !self->is_busy && !self->is_ending;
  self->is_again = self->is_busy;
  if (is_first) self->is_busy = TRUE;
  g_mutex_unlock(&self->lock);
  if (is_first) g_thread_unref(g_thread_new("net", follow_thread, sandbox));
  return G_SOURCE_REMOVE;
}

void net_follow_look(Sandbox *sandbox) {
  NetFollow *self = sandbox->follow;
  g_mutex_lock(&self->lock);
  if (self->watch != 0 && self->timer == 0 && !self->is_ending)
    self->timer = g_timeout_add(SETTLE_MS, on_settled, sandbox);
  g_mutex_unlock(&self->lock);
}

void net_follow_now(Sandbox *sandbox) {
  NetFollow *self = sandbox->follow;
  g_mutex_lock(&self->changing);
  if (sandbox->net != NULL && !is_ending(self)) follow(sandbox);
  g_mutex_unlock(&self->changing);
}

static gboolean on_notice(gint fd, GIOCondition condition, gpointer user_data) {
  Sandbox *sandbox = user_data;
  NetFollow *self = sandbox->follow;
  g_mutex_lock(&self->lock);
  netlink_drain(self->notices);
  if (self->timer == 0 && !self->is_ending) self->timer = g_timeout_add(SETTLE_MS, on_settled, sandbox);
  g_mutex_unlock(&self->lock);
  return G_SOURCE_CONTINUE;
}

static gboolean open_here(gpointer data, GError **error) {
  NetFollow *self = data;
  self->notices = netlink_open_notices(GROUPS, error);
  return self->notices != NULL;
}

NetFollow *net_follow_new(void) {
  NetFollow *self = g_new0(NetFollow, 1);
  g_mutex_init(&self->changing);
  g_mutex_init(&self->lock);
  return self;
}

void net_follow_free(NetFollow *self) {
  if (self->notices != NULL) netlink_close(self->notices);
  g_mutex_clear(&self->changing);
  g_mutex_clear(&self->lock);
  g_free(self);
}

void net_follow_start(Sandbox *sandbox) {
  NetFollow *self = sandbox->follow;
  g_autoptr(GError) error = NULL;
  if (sandbox->net == NULL) return;
  if (!net_namespace_run(net_get_namespace(sandbox->net), open_here, self, &error)) {
    g_warning("changes of the network namespace do not reach the guest: %s", error->message);
    return;
  }
  g_mutex_lock(&self->lock);
  if (!self->is_ending) {
    self->watch = g_unix_fd_add(netlink_get_fd(self->notices), G_IO_IN, on_notice, sandbox);
    self->timer = g_timeout_add(0, on_settled, sandbox);
  }
  g_mutex_unlock(&self->lock);
}

void net_follow_end(Sandbox *sandbox) {
  NetFollow *self = sandbox->follow;
  g_mutex_lock(&self->lock);
  self->is_ending = TRUE;
  g_clear_handle_id(&self->watch, g_source_remove);
  g_clear_handle_id(&self->timer, g_source_remove);
  g_mutex_unlock(&self->lock);
}

void net_follow_wait(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->follow->changing);
  g_mutex_unlock(&sandbox->follow->changing);
}

/* ---- on demand ---- */

static const char *wanted_name(const Types__Interface *given) {
  return *given->device != '\0' ? given->device : given->name;
}

static const NetInterface *find_wanted_in(const GPtrArray *interfaces, const Types__Interface *given) {
  const char *name = wanted_name(given);
  for (guint i = 0; i < interfaces->len; i++) {
    const NetInterface *interface = interfaces->pdata[i];
    if (*name != '\0' ? strcmp(interface->name, name) == 0
                      : g_strcmp0(interface->mac, given->hwaddr) == 0 && *given->hwaddr != '\0')
      return interface;
  }
  return NULL;
}

static const NetInterface *find_wanted(const NetScan *scan, const Types__Interface *given, GError **error) {
  const NetInterface *found = find_wanted_in(scan->interfaces, given);
  if (found == NULL) found = find_wanted_in(scan->others, given);
  if (found == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "the sandbox's network namespace has no interface '%s'",
                *wanted_name(given) != '\0' ? wanted_name(given) : given->hwaddr);
  else if (found->mac == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "interface '%s' carries no Ethernet frames", found->name);
  return found != NULL && found->mac != NULL ? found : NULL;
}

static gboolean begin_change(Sandbox *sandbox, const Types__Interface *given, GError **error) {
  if (*wanted_name(given) == '\0' && *given->hwaddr == '\0') {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "interface: one of 'device', 'name' and 'hwAddr' must say which one is meant");
    return FALSE;
  }
  g_mutex_lock(&sandbox->follow->changing);
  if (sandbox_get_status(sandbox) == SANDBOX_RUNNING && !is_ending(sandbox->follow) && sandbox->net != NULL)
    return TRUE;
  g_mutex_unlock(&sandbox->follow->changing);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "sandbox '%s' does not run", sandbox->id);
  return FALSE;
}

static void end_change(Sandbox *sandbox) { g_mutex_unlock(&sandbox->follow->changing); }

static gboolean add_now(Sandbox *sandbox, const NetScan *scan, const NetInterface *interface,
                        const Types__Interface *given, GError **error) {
  Net *net = sandbox->net;
  set_excluded(net, interface->index, FALSE);
  NetLink *link = net_find_link(net, interface->index);
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  if (agent == NULL) return FALSE;
  if (link == NULL && !net_plug(sandbox, interface, given, error)) {
    exclude_refused(net, interface->index);
    return FALSE;
  }
  if (link != NULL) {
    if (!net_tell_interface(agent, link, interface, given, error)) return FALSE;
    g_mutex_lock(&net->lock);
    link->is_given = TRUE;
    if (*given->name != '\0') {
      g_free(link->guest_name);
      link->guest_name = g_strdup(given->name);
    }
    g_mutex_unlock(&net->lock);
  }
  follow_lists(sandbox, agent, scan, TRUE);
  return TRUE;
}

gboolean net_follow_add(Sandbox *sandbox, const Types__Interface *given, GError **error) {
  if (!begin_change(sandbox, given, error)) return FALSE;
  g_autoptr(NetScan) scan = net_look_again(sandbox->net, error);
  const NetInterface *interface = scan != NULL ? find_wanted(scan, given, error) : NULL;
  gboolean done = interface != NULL && add_now(sandbox, scan, interface, given, error);
  end_change(sandbox);
  return done;
}

static NetLink *find_connected(const Net *net, const Types__Interface *given) {
  for (guint i = 0; i < net->links->len; i++) {
    NetLink *link = net->links->pdata[i];
    const char *name = wanted_name(given);
    if (link->is_stuck) continue;
    if (*name != '\0' ? strcmp(link->name, name) == 0 || strcmp(link->guest_name, name) == 0
                      : strcmp(link->mac, given->hwaddr) == 0)
      return link;
  }
  return NULL;
}

gboolean net_follow_remove(Sandbox *sandbox, const Types__Interface *given, GError **error) {
  if (!begin_change(sandbox, given, error)) return FALSE;
  NetLink *link = find_connected(sandbox->net, given);
  g_autofree char *name = link != NULL ? g_strdup(link->name) : NULL;
  guint index = link != NULL ? link->index : 0;
  if (link != NULL) {
    set_excluded(sandbox->net, index, TRUE);
    net_unplug(sandbox, link);
  }
  gboolean is_stuck =
      link != NULL && find_connected(sandbox->net, given) == NULL && g_ptr_array_find(sandbox->net->links, link, NULL);
  end_change(sandbox);
  if (link == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "the guest is not connected to an interface '%s'",
                *wanted_name(given) != '\0' ? wanted_name(given) : given->hwaddr);
  else if (is_stuck)
    g_set_error(error, KATA_ERROR, KATA_ERR_GUEST, "the guest does not let go of interface '%s'", name);
  return link != NULL && !is_stuck;
}
