/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container that runs in a guest before it stands by, and of which nothing stays but what makes the next one fast:
 * the kernel's and crun's pages are in memory again, which a restored guest otherwise fetches one by one as it starts
 * its first container, and without KVM the code on that way is translated.
 */
#pragma once

#include "common/ttrpc.h"

/* The guest has no sandbox yet, and nothing is plugged in. An agent that is not ours, and one that refuses, stays as it
 * is. FALSE: the guest may have kept something of it, and must not be used. */
gboolean warm_up(TtrpcClient *agent, gint64 timeout_ms, GError **error);
