/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-wait.h"

#include <glib-unix.h>

#include "common/error.h"

/* Those that listen. */
static guint n_waits;

struct NetWait {
  const AgentConfig *config;
  NetInterface *wanted;
  Netlink *netlink; /* asks */
  Netlink *notices; /* says when it is worth asking again; NULL: does not wait yet */
  guint watch;
  guint timer;
  NetWaitFunc func;
  gpointer user_data;
};

static void wait_end(NetWait *wait, const GError *error) {
  if (wait->notices) n_waits--;
  if (wait->watch) g_source_remove(wait->watch);
  if (wait->timer) g_source_remove(wait->timer);
  wait->func(error, wait->user_data);
  netlink_close(wait->notices);
  netlink_close(wait->netlink);
  net_interface_free(wait->wanted);
  g_free(wait);
}

/* TRUE: it has ended, well or not. */
static gboolean wait_look(NetWait *wait) {
  g_autoptr(GError) error = NULL;
  int index = net_interface_find(wait->wanted, wait->netlink, &error);
  if (index == 0) return FALSE;
  if (index > 0) net_interface_apply(wait->wanted, wait->netlink, index, &error);
  wait_end(wait, error);
  return TRUE;
}

static gboolean wait_noticed(int fd, GIOCondition condition, gpointer user_data) {
  NetWait *wait = user_data;
  netlink_drain(wait->notices);
  wait_look(wait);
  /* If it has ended the source is removed already. */
  return G_SOURCE_CONTINUE;
}

static gboolean wait_timed_out(gpointer user_data) {
  NetWait *wait = user_data;
  wait->timer = 0;
  /* On a busy machine the notice and this may be due at once. */
  if (wait_look(wait)) return G_SOURCE_REMOVE;
  g_autofree char *what = net_interface_describe(wait->wanted);
  g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_NOT_FOUND, "Link not found: %s after %u ms", what,
                                        wait->config->hotplug_timeout_ms);
  wait_end(wait, error);
  return G_SOURCE_REMOVE;
}

void net_wait_cancel(NetWait *wait) {
  g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_CANCELLED, "nobody waits for the interface any more");
  wait_end(wait, error);
}

/* First listen, then look: nothing comes unseen in between. */
static gboolean listen_to_kernel(NetWait *wait, GError **error) {
  if (n_waits >= NET_WAITS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "%u interfaces are waited for already", n_waits);
    return FALSE;
  }
  wait->notices = netlink_open(RTMGRP_LINK, error);
  if (wait->notices) n_waits++;
  return wait->notices != NULL;
}

NetWait *net_wait_and_apply(const AgentConfig *config, NetInterface *wanted, NetWaitFunc func, gpointer user_data) {
  g_autoptr(GError) error = NULL;
  NetWait *wait = g_new0(NetWait, 1);
  wait->config = config;
  wait->wanted = wanted;
  wait->func = func;
  wait->user_data = user_data;
  wait->netlink = netlink_open(0, &error);
  if (wait->netlink && wait_look(wait)) return NULL;
  if (!wait->netlink || !listen_to_kernel(wait, &error)) {
    wait_end(wait, error);
    return NULL;
  }
  if (wait_look(wait)) return NULL;
  wait->watch = g_unix_fd_add(netlink_get_fd(wait->notices), G_IO_IN, wait_noticed, wait);
  wait->timer = g_timeout_add(config->hotplug_timeout_ms, wait_timed_out, wait);
  return wait;
}
