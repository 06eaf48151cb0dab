/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events on their way to containerd: one queue, sent in order by a thread of its own. While containerd is away they
 * wait; what it refuses is tried a few times and dropped. Thread-safe; every function takes NULL for "nobody listens".
 */
#pragma once

#include <glib.h>
#include <protobuf-c/protobuf-c.h>

typedef struct Publisher Publisher;

/* address: containerd's ttRPC socket (TTRPC_ADDRESS); NULL or "": returns NULL. */
Publisher *publisher_new(const char *address, const char *namespace_);

/* NULL of NULL. */
const char *publisher_get_address(const Publisher *publisher);

/* The event's type is its message's name. */
void publisher_send(Publisher *publisher, const char *topic, const ProtobufCMessage *event);

/* Whether containerd is there, which it is not while it restarts. FALSE for NULL. */
gboolean publisher_is_heard(Publisher *publisher);

/* Waits until all is sent, or timeout_ms are over; FALSE: something is still there. */
gboolean publisher_flush(Publisher *publisher, guint timeout_ms);
