/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's packet filter, in the form of iptables-save; the programs of iptables do it, beside the main loop. */
#pragma once

#include <glib.h>

#include "agent/reap.h"

/* The rules one call brings. */
#define IPTABLES_RULES_MAX (1u << 20)

/* output: what the program said, at most a message of the protocol; NULL with error. UNSUPPORTED: the guest has no
 * iptables, or its kernel no packet filter. */
typedef void (*IptablesFunc)(GBytes *output, const GError *error, gpointer user_data);

/* func is called once, from the main loop. */
void iptables_get(Reaper *reaper, gboolean is_ipv6, IptablesFunc func, gpointer user_data);

/* Replaces the tables that rules names. It takes rules. Rules that make no sense: INVALID_ARGUMENT, in iptables' own
 * words. */
void iptables_set(Reaper *reaper, gboolean is_ipv6, GBytes *rules, IptablesFunc func, gpointer user_data);
