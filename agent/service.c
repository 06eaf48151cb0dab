/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/service.h"

#include <stdio.h>

gboolean service_run(const AgentConfig *config, GError **error) {
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  puts("kata-agent: ready");
  fflush(stdout);
  g_main_loop_run(loop);
  return TRUE;
}
