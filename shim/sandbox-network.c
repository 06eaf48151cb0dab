// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/sandbox-network.h"

#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

/* As much of a resolv.conf as a resolver reads. */
#define RESOLV_CONF_LIMIT 4096

#define NOT_THE_HOSTS                                                                                           \
  "a virtual machine cannot share the host's network; give it a namespace of its own (config.json: {\"type\": " \
  "\"network\"}; engines: any --network but host)"

char *sandbox_network_read(const OciSpec *spec, GError **error) {
  for (size_t i = 0; spec->linux != NULL && i < spec->linux->n_namespaces; i++) {
    const Grpc__LinuxNamespace *entry = spec->linux->namespaces[i];
    if (strcmp(entry->type, "network") == 0) return g_strdup(entry->path);
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "config.json: linux.namespaces: no network namespace is asked for: " NOT_THE_HOSTS);
  return NULL;
}

/* An owner that one of the sandbox's monitors has started is in this namespace itself. */
static gboolean is_known(Sandbox *sandbox, int netns) {
  g_mutex_lock(&sandbox->lock);
  gboolean known = sandbox->netns >= 0 && net_namespace_is_same(netns, sandbox->netns);
  g_mutex_unlock(&sandbox->lock);
  return known;
}

static int open_path(Sandbox *sandbox, const char *path, pid_t peer, GError **error) {
  autofd int netns = net_namespace_open(peer, path, error);
  if (netns < 0 || is_known(sandbox, netns) || !net_namespace_is_host(netns)) return fd_steal(&netns);
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "'%s' is the host's network namespace: " NOT_THE_HOSTS, path);
  return -1;
}

/* -1 if it is the host's: then the sandbox gets one that nobody else is in. */
static int open_of_process(guint32 host_pid) {
  autofd int netns = host_pid != 0 ? net_namespace_open_of((pid_t)host_pid, NULL) : -1;
  return netns >= 0 && !net_namespace_is_host(netns) ? fd_steal(&netns) : -1;
}

/* Takes netns and path over if they are the first. */
static gboolean choose(Sandbox *sandbox, int netns, const char *path) {
  g_mutex_lock(&sandbox->lock);
  gboolean is_first = !sandbox->netns_chosen;
  gboolean is_same = !is_first && netns >= 0 && sandbox->netns >= 0 && net_namespace_is_same(netns, sandbox->netns);
  if (is_first) {
    sandbox->netns_chosen = TRUE;
    sandbox->netns = netns;
    sandbox->netns_path = g_strdup(path);
  }
  g_mutex_unlock(&sandbox->lock);
  if (!is_first) fd_clear(&netns);
  return is_first || is_same;
}

gboolean sandbox_network_choose(Sandbox *sandbox, const char *path, pid_t peer, guint32 host_pid, GError **error) {
  if (*path == '\0') {
    int netns = open_of_process(host_pid);
    g_autofree char *found = netns >= 0 ? g_strdup_printf("/proc/%u/ns/net", host_pid) : NULL;
    choose(sandbox, netns, found); /* the containers of a sandbox share what the first has brought */
    return TRUE;
  }
  int netns = open_path(sandbox, path, peer, error);
  if (netns < 0) return FALSE;
  if (choose(sandbox, netns, path)) return TRUE;
  g_set_error(
      error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
      "the network namespace '%s' is not the one of sandbox '%s': all containers of a sandbox share its network", path,
      sandbox->id);
  return FALSE;
}

gboolean sandbox_network_serve_dns(Sandbox *sandbox) {
  char text[RESOLV_CONF_LIMIT + 1];
  ssize_t length = sandbox->resolv_conf >= 0 ? pread(sandbox->resolv_conf, text, RESOLV_CONF_LIMIT, 0) : -1;
  if (length >= 0) text[length] = '\0';
  return net_serve_dns(sandbox->net, length >= 0 ? text : NULL);
}
