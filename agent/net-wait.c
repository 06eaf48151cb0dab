/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/net-wait.h"

#include <glib-unix.h>

#include "common/error.h"

typedef struct {
  const AgentConfig *config;
  NetInterface *wanted;
  Netlink *netlink; /* asks */
  Netlink *notices; /* says when it is worth asking again; NULL: does not wait yet */
  guint watch;
  guint timer;
  NetWaitFunc func;
  gpointer user_data;
} Wait;

static void wait_end(Wait *wait, const GError *error) {
  if (wait->watch) g_source_remove(wait->watch);
  if (wait->timer) g_source_remove(wait->timer);
  wait->func(error, wait->user_data);
  netlink_close(wait->notices);
  netlink_close(wait->netlink);
  net_interface_free(wait->wanted);
  g_free(wait);
}

/* TRUE: it has ended, well or not. */
static gboolean wait_look(Wait *wait) {
  g_autoptr(GError) error = NULL;
  int index = net_interface_find(wait->wanted, wait->netlink, &error);
  if (index == 0) return FALSE;
  if (index > 0) net_interface_apply(wait->wanted, wait->netlink, index, &error);
  wait_end(wait, error);
  return TRUE;
}

static gboolean wait_noticed(int fd, GIOCondition condition, gpointer user_data) {
  Wait *wait = user_data;
  netlink_drain(wait->notices);
  wait_look(wait);
  /* If it has ended the source is removed already. */
  return G_SOURCE_CONTINUE;
}

static gboolean wait_timed_out(gpointer user_data) {
  Wait *wait = user_data;
  wait->timer = 0;
  /* On a busy machine the notice and this may be due at once. */
  if (wait_look(wait)) return G_SOURCE_REMOVE;
  g_autofree char *what = net_interface_describe(wait->wanted);
  g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_NOT_FOUND, "Link not found: %s after %u ms", what,
                                        wait->config->hotplug_timeout_ms);
  wait_end(wait, error);
  return G_SOURCE_REMOVE;
}

void net_wait_and_apply(const AgentConfig *config, NetInterface *wanted, NetWaitFunc func, gpointer user_data) {
  g_autoptr(GError) error = NULL;
  Wait *wait = g_new0(Wait, 1);
  wait->config = config;
  wait->wanted = wanted;
  wait->func = func;
  wait->user_data = user_data;
  wait->netlink = netlink_open(0, &error);
  if (!wait->netlink) return wait_end(wait, error);
  if (wait_look(wait)) return;
  /* First listen, then look: nothing comes unseen in between. */
  wait->notices = netlink_open(RTMGRP_LINK, &error);
  if (!wait->notices) return wait_end(wait, error);
  if (wait_look(wait)) return;
  wait->watch = g_unix_fd_add(netlink_get_fd(wait->notices), G_IO_IN, wait_noticed, wait);
  wait->timer = g_timeout_add(config->hotplug_timeout_ms, wait_timed_out, wait);
}
