/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/init.h"

#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

gboolean init_run_as_pid1(AgentConfig *config, GError **error) { return TRUE; }

void init_power_off(const char *reason) {
  if (reason) fprintf(stderr, "kata-agent: fatal: %s\n", reason);
  sync();
  reboot(RB_POWER_OFF);
  for (;;) pause();
}
