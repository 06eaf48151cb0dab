/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the start that a start from a template, or the making of one, has too. */
#pragma once

#include "lib/vm-config.h"
#include "shim/launch.h"

/* The path of a file in the sandbox's directory. */
char *launch_in_dir(const Sandbox *sandbox, const char *name);

gboolean launch_step_share(Sandbox *sandbox, GError **error);
void launch_undo_share(Sandbox *sandbox);
gboolean launch_open_libvirt(Sandbox *sandbox, GError **error);
gboolean launch_is_cancelled(Sandbox *sandbox, GError **error);
void launch_wait_for_turn(Sandbox *sandbox);

VmConfig *launch_make_config(Sandbox *sandbox, GError **error);

/* was_used: somebody else has talked to this agent before. */
gboolean launch_connect_agent(Sandbox *sandbox, gboolean was_used, int timeout_ms, GError **error);
void launch_undo_agent(Sandbox *sandbox);
void launch_undo_machine(Sandbox *sandbox);

/* A step: whether the guest that stands by for it is what it needs by now; else it is ended. */
gboolean launch_check_standby(Sandbox *sandbox, GError **error);
/* In its place: finds the machine of the guest that stands by, and brings it where the owner is. */
gboolean launch_find_standby(Sandbox *sandbox, const VmConfig *config, GError **error);

/* A step: starts the guest from a template, if there is one that fits. None, or one that fails: the guest boots. */
gboolean launch_from_template(Sandbox *sandbox, GError **error);
/* A guest that did start from there turns out not to work: undoes all of it, so that one can boot. FALSE: it cannot. */
gboolean launch_leave_template(Sandbox *sandbox, const GError *why, GError **error);
/* A guest has booted that could not start from its template: then that was the template's fault. */
void launch_blame_template(Sandbox *sandbox);
