/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls of the agent protocol that libkata itself makes, each with its types:
 *   gboolean agent_call_create_sandbox(TtrpcClient *agent, const Grpc__CreateSandboxRequest *request,
 *                                      gint64 timeout_ms, GError **error);
 * and, for those with an answer, Grpc__...Response **ret_reply before error, which is freed with
 * protobuf_c_message_free_unpacked(&reply->base, NULL) and may be NULL. agent NULL: the guest has ended.
 * timeout_ms: 0 for none. Errors are those of ttrpc_client_call().
 */
#pragma once

#include <glib.h>

#include "common/ttrpc.h"
#include "proto/agent.pb-c.h"

/* A guest restored from a checkpoint under another id knows its container by the id it was saved with: from now on
 * calls of this process that name own_id reach it as guest_id. A process has one such guest at most. NULL: no such any
 * more. */
void agent_calls_set_alias(const char *own_id, const char *guest_id);
/* The other way round; what is no alias is returned as it is. */
const char *agent_calls_own_id(const char *guest_id);
/* The message with the guest's id, within buffer of at least the message's size, or itself. */
const ProtobufCMessage *agent_calls_translate(const ProtobufCMessage *request, void *buffer);
#define AGENT_CALLS_MESSAGE_MAX 512u

/* PLAIN(name, method, request), REPLY(name, method, request, reply). */
#define AGENT_CALLS(PLAIN, REPLY)                                                                   \
  PLAIN(create_sandbox, CreateSandbox, Grpc__CreateSandboxRequest)                                  \
  PLAIN(destroy_sandbox, DestroySandbox, Grpc__DestroySandboxRequest)                               \
  PLAIN(create_container, CreateContainer, Grpc__CreateContainerRequest)                            \
  PLAIN(start_container, StartContainer, Grpc__StartContainerRequest)                               \
  PLAIN(remove_container, RemoveContainer, Grpc__RemoveContainerRequest)                            \
  PLAIN(pause_container, PauseContainer, Grpc__PauseContainerRequest)                               \
  PLAIN(resume_container, ResumeContainer, Grpc__ResumeContainerRequest)                            \
  PLAIN(update_container, UpdateContainer, Grpc__UpdateContainerRequest)                            \
  PLAIN(update_ephemeral_mounts, UpdateEphemeralMounts, Grpc__UpdateEphemeralMountsRequest)         \
  REPLY(stats_container, StatsContainer, Grpc__StatsContainerRequest, Grpc__StatsContainerResponse) \
  PLAIN(exec_process, ExecProcess, Grpc__ExecProcessRequest)                                        \
  PLAIN(signal_process, SignalProcess, Grpc__SignalProcessRequest)                                  \
  REPLY(wait_process, WaitProcess, Grpc__WaitProcessRequest, Grpc__WaitProcessResponse)             \
  REPLY(write_stdin, WriteStdin, Grpc__WriteStreamRequest, Grpc__WriteStreamResponse)               \
  REPLY(read_stdout, ReadStdout, Grpc__ReadStreamRequest, Grpc__ReadStreamResponse)                 \
  REPLY(read_stderr, ReadStderr, Grpc__ReadStreamRequest, Grpc__ReadStreamResponse)                 \
  PLAIN(close_stdin, CloseStdin, Grpc__CloseStdinRequest)                                           \
  PLAIN(tty_win_resize, TtyWinResize, Grpc__TtyWinResizeRequest)                                    \
  REPLY(update_interface, UpdateInterface, Grpc__UpdateInterfaceRequest, Types__Interface)          \
  REPLY(update_routes, UpdateRoutes, Grpc__UpdateRoutesRequest, Grpc__Routes)                       \
  PLAIN(add_arp_neighbors, AddARPNeighbors, Grpc__AddARPNeighborsRequest)                           \
  PLAIN(online_cpu_mem, OnlineCPUMem, Grpc__OnlineCPUMemRequest)                                    \
  REPLY(get_metrics, GetMetrics, Grpc__GetMetricsRequest, Grpc__Metrics)                            \
  REPLY(get_oom_event, GetOOMEvent, Grpc__GetOOMEventRequest, Grpc__OOMEvent)                       \
  PLAIN(copy_file, CopyFile, Grpc__CopyFileRequest)                                                 \
  REPLY(get_volume_stats, GetVolumeStats, Grpc__VolumeStatsRequest, Grpc__VolumeStatsResponse)      \
  PLAIN(resize_volume, ResizeVolume, Grpc__ResizeVolumeRequest)                                     \
  PLAIN(set_guest_date_time, SetGuestDateTime, Grpc__SetGuestDateTimeRequest)                       \
  PLAIN(reseed_random_dev, ReseedRandomDev, Grpc__ReseedRandomDevRequest)

#define AGENT_DECLARE_PLAIN(name, method, request_type) \
  gboolean agent_call_##name(TtrpcClient *agent, const request_type *request, gint64 timeout_ms, GError **error);
#define AGENT_DECLARE_REPLY(name, method, request_type, reply_type)                              \
  gboolean agent_call_##name(TtrpcClient *agent, const request_type *request, gint64 timeout_ms, \
                             reply_type **ret_reply, GError **error);
AGENT_CALLS(AGENT_DECLARE_PLAIN, AGENT_DECLARE_REPLY)
