/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scopes: where systemd manages the host's cgroups, one named "slice:prefix:name" is a transient unit that it makes,
 * accounts for and shows (systemctl status). It goes by itself with its last process.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "shim/cgroup-limits.h"

/* The unit and its slice that cgroupsPath names; FALSE if it is a plain path. Pure. */
gboolean cgroup_systemd_parse(const char *cgroups_path, char **ret_unit, char **ret_slice);

/* At the program's start: where the system bus is, before it is hidden (vm_hide_bus()). */
void cgroup_systemd_remember_bus(void);

/* Whether a systemd answers on the system bus. */
gboolean cgroup_systemd_is_there(void);

/* Makes the scope with these processes in it (n_pids at least 1) and waits until it is there. cgroupsPath: one that
 * cgroup_systemd_parse() takes. */
gboolean cgroup_systemd_start(const char *cgroups_path, const pid_t *pids, gsize n_pids, GError **error);

/* Tells systemd what was set in the scope's directory, which it would write over one day. Failures are logged. */
void cgroup_systemd_apply(const char *cgroups_path, const CgroupLimits *limits);
