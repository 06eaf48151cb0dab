/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's services, from the first listener to DestroySandbox. */
#pragma once

#include <glib.h>

#include "agent/config.h"
#include "agent/sandbox.h"
#include "common/ttrpc.h"

/* Serves on config->address and, where there is one, on the virtio-serial port AGENT_PORT_PATH,
 * in the default main context, until DestroySandbox or SIGTERM. Where there is no vsock
 * device a vsock address is no error as long as the port is there. Starts no thread.
 * Says "kata-agent: ready" on standard output once calls can come in. */
gboolean service_run(const AgentConfig *config, GError **error);

/* All methods of the agent's services, about this sandbox; for tests too. Both must outlive the server's last call. */
void service_add_methods(TtrpcServer *server, Sandbox *sandbox);
