/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container's counters, as the agent gives them, in containerd's messages. */
#pragma once

#include <glib.h>

#include "proto/agent.pb-c.h"
#include "proto/google-protobuf.pb-c.h"

/* io.containerd.cgroups.v1.Metrics or v2.Metrics. Pure. To be freed with metrics_free(). */
Google__Protobuf__Any *metrics_build(const Grpc__StatsContainerResponse *stats, gboolean version2);
void metrics_free(Google__Protobuf__Any *any);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Google__Protobuf__Any, metrics_free)

/* Whether the host's cgroups are of version 2 alone, by which callers expect one message or the other. */
gboolean metrics_host_has_version2(void);
