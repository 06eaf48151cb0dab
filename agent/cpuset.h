/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of CPUs or memory nodes as the kernel writes them: "0-2,5". */
#pragma once

#include <glib.h>

/* More than any host has. */
#define CPUSET_NUMBERS_MAX 8192

/* The numbers, each once, ascending, as guint; NULL and an error that names what if text is no such list. The caller's.
 */
GArray *cpuset_parse(const char *text, const char *what, GError **error);

/* As many of the guest's as the host's are, or all: number n of the host is the guest's n, counted around, so that
 * lists that have nothing in common on the host have as little as possible here. Both as cpuset_parse() makes them; so
 * is what is returned. */
GArray *cpuset_translate(const GArray *host, const GArray *guest);

char *cpuset_to_text(const GArray *numbers);
