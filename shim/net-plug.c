// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-plug.h"

#include <net/if.h>
#include <string.h>

#include "common/error.h"
#include "lib/domain-xml.h"
#include "shim/store.h"

/* libvirt has waited for the guest itself; what is left is QEMU's to do. */
#define TAP_GOES_MS 1000u

/* ---- the machine's part ---- */

typedef struct {
  Sandbox *sandbox;
  char *xml;
  const char *what;
} Device;

/* Taps come to be in the network namespace of the thread that asks libvirt for them. */
static gboolean attach_here(gpointer data, GError **error) {
  const Device *device = data;
  return vm_attach(device->sandbox->vm, device->xml, device->what, error);
}

static char *card_xml(const Sandbox *sandbox, guint number, const char *tap, const char *mac, guint mtu,
                      GError **error) {
  VmNic nic = {.number = number, .tap = (char *)tap, .mac = (char *)mac, .mtu = mtu};
  nic.options = vm_config_nic_options(sandbox->settings);
  return domain_xml_build_nic(&nic, error);
}

static gboolean check_machine(const Sandbox *sandbox, GError **error) {
  if (sandbox->vm != NULL) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "the guest has ended");
  return FALSE;
}

static gboolean attach_card(Sandbox *sandbox, guint number, const char *tap, const char *mac, guint mtu,
                            GError **error) {
  g_autofree char *xml = card_xml(sandbox, number, tap, mac, mtu, error);
  g_autofree char *what = g_strdup_printf("cannot plug the card '%s' in", tap);
  Device device = {sandbox, xml, what};
  if (xml == NULL) return FALSE;
  g_mutex_lock(&sandbox->resizing);
  gboolean done = check_machine(sandbox, error) && net_namespace_run(sandbox->net->netns, attach_here, &device, error);
  g_mutex_unlock(&sandbox->resizing);
  return done;
}

static gboolean detach_card(Sandbox *sandbox, const NetLink *link, GError **error) {
  g_autofree char *xml = card_xml(sandbox, link->number, link->tap, link->mac, link->mtu, error);
  if (xml == NULL) return FALSE;
  g_autofree char *what = g_strdup_printf("cannot take the card '%s' out", link->tap);
  g_mutex_lock(&sandbox->resizing);
  gboolean done = check_machine(sandbox, error) && vm_detach(sandbox->vm, xml, what, error);
  g_mutex_unlock(&sandbox->resizing);
  return done;
}

/* ---- the namespace's part ---- */

typedef struct {
  Net *net;
  const NetLink *link;
} Job;

static gboolean join_here(gpointer data, GError **error) {
  const Job *job = data;
  g_autoptr(Netlink) netlink = netlink_open(error);
  if (netlink == NULL) return FALSE;
  if (job->link != NULL) return net_join_link(netlink, job->net, job->link, error);
  net_join_localhost(netlink, job->net);
  return TRUE;
}

static gboolean part_here(gpointer data, GError **error) {
  const Job *job = data;
  g_autoptr(Netlink) netlink = netlink_open(error);
  if (netlink != NULL) net_part_link(netlink, job->link);
  return netlink != NULL;
}

static gboolean tap_is_gone_here(gpointer data, GError **error) {
  const NetLink *link = data;
  for (guint waited = 0; waited < TAP_GOES_MS; waited += 10) {
    if (if_nametoindex(link->tap) == 0) return TRUE;
    g_usleep(10 * 1000);
  }
  return FALSE;
}

/* ---- the list ---- */

static gboolean is_taken(const Net *net, guint number) {
  for (guint i = 0; i < net->links->len; i++)
    if (((const NetLink *)net->links->pdata[i])->number == number) return TRUE;
  return FALSE;
}

static gboolean find_number(const Net *net, guint *ret, GError **error) {
  for (*ret = 0; *ret < NET_LINKS_MAX; (*ret)++)
    if (!is_taken(net, *ret)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
              "the guest has %u interfaces already, and can have no more", NET_LINKS_MAX);
  return FALSE;
}

/* Before there is anything of it, so that whoever cleans up after a crash knows what to look for. */
static gboolean add_link(Sandbox *sandbox, NetLink *link, GError **error) {
  Net *net = sandbox->net;
  g_mutex_lock(&net->lock);
  g_ptr_array_add(net->links, link);
  net->connected = net->planned = TRUE;
  g_mutex_unlock(&net->lock);
  return store_save(sandbox, error);
}

static void drop_link(Sandbox *sandbox, NetLink *link) {
  Net *net = sandbox->net;
  g_autoptr(GError) error = NULL;
  g_mutex_lock(&net->lock);
  g_ptr_array_remove(net->links, link);
  g_mutex_unlock(&net->lock);
  if (!store_save(sandbox, &error)) g_warning("%s", error->message);
}

/* The guest can do without: a failure is only logged. */
static void plug_localhost(Sandbox *sandbox, TtrpcClient *agent) {
  Net *net = sandbox->net;
  if (net->has_localhost || !settings_get_bool(sandbox->settings, "runtime", "forward_localhost")) return;
  g_autoptr(GError) error = NULL;
  g_mutex_lock(&net->lock);
  net->has_localhost = TRUE;
  g_mutex_unlock(&net->lock);
  Job job = {net, NULL};
  if (!store_save(sandbox, &error) ||
      !attach_card(sandbox, NET_LOCALHOST_NUMBER, NET_LOCALHOST_TAP, NET_LOCALHOST_MAC, NET_LOCALHOST_MTU, &error) ||
      !net_namespace_run(net->netns, join_here, &job, &error) || !net_tell_localhost(agent, &error))
    g_warning("ports of the network namespace's 127.0.0.1 and ::1 do not lead to the guest: %s", error->message);
}

/* ---- plugging ---- */

static gboolean plug_link(Sandbox *sandbox, NetLink *link, const NetInterface *interface, const Types__Interface *given,
                          TtrpcClient *agent, GError **error) {
  Job job = {sandbox->net, link};
  return add_link(sandbox, link, error) && attach_card(sandbox, link->number, link->tap, link->mac, link->mtu, error) &&
         net_namespace_run(sandbox->net->netns, join_here, &job, error) &&
         net_tell_interface(agent, link, interface, given, error);
}

gboolean net_plug(Sandbox *sandbox, const NetInterface *interface, const Types__Interface *given, GError **error) {
  guint number;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  if (agent == NULL || !find_number(sandbox->net, &number, error)) return FALSE;
  NetLink *link = net_link_new(interface, number);
  if (given != NULL && *given->name != '\0') {
    g_free(link->guest_name);
    link->guest_name = g_strdup(given->name);
  }
  link->is_given = given != NULL;
  if (!plug_link(sandbox, link, interface, given, agent, error)) {
    g_prefix_error(error, "cannot plug a card in for interface '%s': ", interface->name);
    net_unplug(sandbox, link);
    return FALSE;
  }
  g_message("interface '%s' was plugged in", link->name);
  link->told = net_fingerprint_interface(interface);
  plug_localhost(sandbox, agent);
  return TRUE;
}

void net_unplug(Sandbox *sandbox, NetLink *link) {
  g_autoptr(GError) error = NULL;
  Job job = {sandbox->net, link};
  int netns = sandbox->net->netns;
  if (!net_namespace_run(netns, part_here, &job, &error)) g_warning("%s", error->message);
  g_clear_error(&error);
  if (!detach_card(sandbox, link, &error)) g_message("%s", error->message); /* also where none was plugged in */
  if (net_namespace_run(netns, tap_is_gone_here, link, NULL)) {
    g_message("interface '%s' was plugged out", link->name);
    drop_link(sandbox, link);
    return;
  }
  g_warning("the guest does not let go of the card of interface '%s'", link->name);
  g_mutex_lock(&sandbox->net->lock);
  link->is_stuck = TRUE;
  g_mutex_unlock(&sandbox->net->lock);
}
