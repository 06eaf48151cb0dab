// SPDX-License-Identifier: LGPL-2.1-or-later
/* Short texts by which one sees that a namespace's settings are others than those the guest was told. */
#include <net/if.h>

#include "shim/net-private.h"

static char *finish(GString *text) {
  char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
  g_string_free(text, TRUE);
  return sum;
}

static const char *word(const char *text) { return text != NULL ? text : "-"; }

char *net_fingerprint_interface(const NetInterface *interface) {
  GString *text = g_string_new(NULL);
  g_string_append_printf(text, "%s %s %u %u", interface->name, word(interface->mac), interface->mtu,
                         interface->flags & IFF_NOARP);
  for (guint i = 0; i < interface->addresses->len; i++) {
    const NetAddress *address = interface->addresses->pdata[i];
    g_string_append_printf(text, " %s/%u", address->text, address->prefix);
  }
  return finish(text);
}

char *net_fingerprint_routes(const GPtrArray *routes) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < routes->len; i++) {
    const NetRoute *route = routes->pdata[i];
    g_string_append_printf(text, "%d %s %s %s %s %u %u %u\n", route->family, word(route->destination),
                           word(route->gateway), word(route->source), route->device, route->scope, route->flags,
                           route->mtu);
  }
  return finish(text);
}

char *net_fingerprint_neighbours(const GPtrArray *neighbours) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < neighbours->len; i++) {
    const NetNeighbour *neighbour = neighbours->pdata[i];
    g_string_append_printf(text, "%s %s %s\n", neighbour->address, neighbour->device, neighbour->mac);
  }
  return finish(text);
}
