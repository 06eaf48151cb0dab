// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/net-cards.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/fds.h"

/* One look from inside the namespace. */
typedef struct {
  int netns;
  VmConfig *config;
  GError *error;
} Look;

static gboolean is_addressed(const struct ifaddrs *all, const char *name) {
  for (const struct ifaddrs *each = all; each != NULL; each = each->ifa_next)
    if (each->ifa_addr != NULL && each->ifa_addr->sa_family != AF_PACKET && strcmp(each->ifa_name, name) == 0)
      return TRUE;
  return FALSE;
}

static gint compare_names(gconstpointer a, gconstpointer b) {
  const struct ifaddrs *const *left = a, *const *right = b;
  return strcmp((*left)->ifa_name, (*right)->ifa_name);
}

static GPtrArray *choose(const struct ifaddrs *all) {
  GPtrArray *chosen = g_ptr_array_new();
  for (const struct ifaddrs *each = all; each != NULL; each = each->ifa_next)
    if (each->ifa_addr != NULL && each->ifa_addr->sa_family == AF_PACKET && (each->ifa_flags & IFF_LOOPBACK) == 0 &&
        is_addressed(all, each->ifa_name))
      g_ptr_array_add(chosen, (gpointer)each);
  g_ptr_array_sort(chosen, compare_names);
  return chosen;
}

static gboolean get_mtu(const char *name, guint *ret, GError **error) {
  autofd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {{{0}}};
  g_strlcpy(request.ifr_name, name, sizeof request.ifr_name);
  if (fd < 0 || ioctl(fd, SIOCGIFMTU, &request) < 0) {
    error_set_errno(error, errno, "cannot read the MTU of interface '%s'", name);
    return FALSE;
  }
  *ret = (guint)request.ifr_mtu;
  return TRUE;
}

static gboolean add_card(VmConfig *config, const struct ifaddrs *interface, GError **error) {
  const struct sockaddr_ll *link = (const void *)interface->ifa_addr;
  guint number = config->nics->len, mtu = 0;
  if (link->sll_hatype != ARPHRD_ETHER || number == NET_LINKS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "cannot connect a guest to interface '%s': %s",
                interface->ifa_name,
                number == NET_LINKS_MAX ? "it has too many before it" : "it carries no Ethernet frames");
    return FALSE;
  }
  if (!get_mtu(interface->ifa_name, &mtu, error)) return FALSE;
  const guint8 *b = link->sll_addr;
  g_autofree char *tap = g_strdup_printf(NET_TAP_FORMAT, number);
  g_autofree char *mac = g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
  vm_config_add_nic(config, number, tap, mac, MIN(mtu, NET_TAP_MTU_MAX));
  return TRUE;
}

static gpointer look_thread(gpointer data) {
  Look *look = data;
  struct ifaddrs *all = NULL;
  if (setns(look->netns, CLONE_NEWNET) < 0 || getifaddrs(&all) < 0) {
    error_set_errno(&look->error, errno, "cannot look into the network namespace");
    return NULL;
  }
  g_autoptr(GPtrArray) chosen = choose(all);
  for (guint i = 0; i < chosen->len; i++)
    if (!add_card(look->config, chosen->pdata[i], &look->error)) break;
  freeifaddrs(all);
  return NULL;
}

/* NULL: the document names no namespace by a path. */
static const char *find_path(const OciSpec *spec) {
  for (size_t i = 0; spec->linux != NULL && i < spec->linux->n_namespaces; i++) {
    const Grpc__LinuxNamespace *entry = spec->linux->namespaces[i];
    if (strcmp(entry->type, "network") == 0) return *entry->path != '\0' ? entry->path : NULL;
  }
  return NULL;
}

gboolean net_cards_plan(VmConfig *config, const kata_settings *settings, const OciSpec *spec, GError **error) {
  const char *path = find_path(spec);
  if (path == NULL) return TRUE;
  autofd int netns = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  Look look = {netns, config, NULL};
  if (netns < 0) error_set_errno(&look.error, errno, "cannot open it");
  /* The caller's thread stays in its own. */
  GThread *thread = netns >= 0 ? g_thread_try_new("kata-cards", look_thread, &look, &look.error) : NULL;
  if (thread != NULL) g_thread_join(thread);
  if (look.error != NULL) {
    g_propagate_prefixed_error(error, look.error, "config.json: linux.namespaces: network namespace '%s': ", path);
    return FALSE;
  }
  if (config->nics->len > 0 && settings_get_bool(settings, "runtime", "forward_localhost"))
    vm_config_add_nic(config, NET_LOCALHOST_NUMBER, NET_LOCALHOST_TAP, NET_LOCALHOST_MAC, NET_LOCALHOST_MTU);
  return TRUE;
}
