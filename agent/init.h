/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What PID 1 of the guest does before it serves, and how the guest ends. */
#pragma once

#include <glib.h>

#include "agent/config.h"

/* Mounts, modules, root, console, network loopback; fills *config from the kernel's command line.
 * Afterwards the process is ready to serve as PID 1. */
gboolean init_run_as_pid1(AgentConfig *config, GError **error);

/* Ends the guest: syncs and powers it off. reason is printed on the console
 * as "kata-agent: fatal: REASON"; NULL: an orderly end. */
void init_power_off(const char *reason) G_GNUC_NORETURN;
