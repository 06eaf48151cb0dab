/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work that a start leaves to a process of its own, which outlives the sandbox: this program again, called
 * "FLAG background -config -". */
#pragma once

#include <json-c/json.h>

#include "lib/settings.h"
#include "shim/sandbox.h"

/* It is no part of the sandbox: it leaves the sandbox's mounts and cgroup, and has no network, and little of the
 * caller's environment. settings: what it finds on its standard input. */
gboolean background_start(Sandbox *sandbox, const char *flag, const kata_settings *settings, GError **error);

/* In such a process, while it has one thread: whatever else the machine has to do comes first. */
void background_yield(void);

/* In such a process, and in one that was called by hand: the settings of a file, "-" is standard input, NULL the
 * default file, which need not be there. */
kata_settings *background_read_settings(const char *file, GError **error);

/* In one that was called by libkata or by hand: prints its answer, which is released. Returns the exit status, 0. */
int background_answer(struct json_object *answer);
