/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals by name, and which of them are passed on to a container. */
#pragma once

#include <glib.h>
#include <signal.h>

/* "9", "KILL", "SIGKILL", "kill", "RTMIN+1": the Linux number, 0 included. */
gboolean signals_parse(const char *text, int *ret_number, GError **error);

/* What a process that stands for another passes on to it: all but those that cannot be caught, that tell of its own
 * faults or children, and that the C library uses. job_control: also those of the terminal (TSTP, TTIN, TTOU). */
void signals_get_forwarded(gboolean job_control, sigset_t *ret_set);
