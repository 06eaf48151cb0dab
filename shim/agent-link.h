/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The owner's connection to the agent in its guest, and the calls it makes there. */
#pragma once

#include <glib.h>

#include "lib/agent-calls.h"
#include "proto/kata-guest.pb-c.h"

/* How long an ordinary call may take (upstream's runtime: 60 s); container creation has a setting of its own. */
#define AGENT_CALL_TIMEOUT_MS 60000

typedef enum { AGENT_STDOUT, AGENT_STDERR } AgentOutput;

/* After a restore: new random numbers, since other guests may come from the same saved one, and the time it is now. */
gboolean agent_renew_guest(TtrpcClient *agent, gint64 timeout_ms, GError **error);

/* Waits for output. An empty result is the end of the stream. */
gboolean agent_read(TtrpcClient *agent, AgentOutput output, const char *container_id, const char *exec_id, guint32 size,
                    GBytes **ret_data, GError **error);
gboolean agent_write_stdin(TtrpcClient *agent, const char *container_id, const char *exec_id, const void *data,
                           gsize size, GError **error);
gboolean agent_close_stdin(TtrpcClient *agent, const char *container_id, const char *exec_id, GError **error);
gboolean agent_wait(TtrpcClient *agent, const char *container_id, const char *exec_id, guint32 *ret_status,
                    GError **error);
/* exec_id "": every process of the container if signal is SIGKILL, else its first. */
gboolean agent_signal(TtrpcClient *agent, const char *container_id, const char *exec_id, guint32 signal,
                      GError **error);

/* As kill(2) does it: SIGTERM as well leaves a first process alone that does not handle it. all: to every process, and
 * exec_id is "". KATA_ERR_UNSUPPORTED: the agent is not ours. */
gboolean agent_signal_plainly(TtrpcClient *agent, const char *container_id, const char *exec_id, guint32 signal,
                              gboolean all, GError **error);

/* The guest lets go of what the host has unmounted below a container's volumes. KATA_ERR_UNSUPPORTED: the agent is not
 * ours, and the guest does so when the container looks there. */
gboolean agent_look_at_mounts(TtrpcClient *agent, const char *container_id, GError **error);

/* In a container, cover is seen in the place of the mount of source, both paths of the guest; "": source itself again.
 * KATA_ERR_UNSUPPORTED: the agent is not ours. */
gboolean agent_cover_mount(TtrpcClient *agent, const char *container_id, const char *source, const char *cover,
                           GError **error);

/* The processes of a container, to be freed by protobuf_c_message_free_unpacked(). KATA_ERR_UNSUPPORTED: the agent is
 * not ours. */
Kata__V1__ListProcessesResponse *agent_list_processes(TtrpcClient *agent, const char *container_id, GError **error);

/* Whoever writes there from now on gets SIGPIPE. KATA_ERR_UNSUPPORTED: the agent is not ours. */
gboolean agent_close_output(TtrpcClient *agent, AgentOutput output, const char *container_id, const char *exec_id,
                            GError **error);
