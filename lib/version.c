// SPDX-License-Identifier: LGPL-2.1-or-later
#include <glib.h>
#include <string.h>

#include "kata/version.h"

int kata_has_feature(const char *name) {
  static const char *const features[] = {"agent-call", "console", "containers", "direct-volumes", "events",
                                         "network",    "pause",   "pool",       "resize",         "templates"};
  for (gsize i = 0; name != NULL && i < G_N_ELEMENTS(features); i++) {
    if (strcmp(features[i], name) == 0) return 1;
  }
  return 0;
}

const char *kata_version(void) { return KATA_VERSION; }
