/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's network as the calls tell it. What is returned is freed as the message it is part of. */
#pragma once

#include <glib.h>

#include "agent/netlink.h"
#include "proto/agent.pb-c.h"

/* Free both with protobuf_c_message_free_unpacked(). */
Grpc__Interfaces *net_report_interfaces(Netlink *netlink, GError **error);
Grpc__Routes *net_report_routes(Netlink *netlink, GError **error);

/* Counters of all interfaces but loopback. */
Grpc__NetworkStats **net_report_counters(Netlink *netlink, gsize *ret_n, GError **error);
