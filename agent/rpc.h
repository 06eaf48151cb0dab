/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls of the host: unpack, do, answer. user_data of every method is the Sandbox. */
#pragma once

#include "agent/container.h"
#include "agent/sandbox.h"
#include "common/ttrpc.h"

/* The API's version, not the program's. */
#define RPC_GRPC_VERSION "0.0.1"
/* The highest signal. */
#define RPC_SIGNAL_MAX 64

void rpc_check(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_version(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

void rpc_create_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_destroy_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_get_guest_details(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_set_guest_date_time(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_reseed_random_dev(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_remove_stale_mounts(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_copy_file(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_get_volume_stats(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_resize_volume(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_add_swap(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_add_swap_path(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_get_diagnostic_data(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_update_ephemeral_mounts(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

void rpc_update_interface(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_update_routes(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_list_interfaces(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_list_routes(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_add_arp_neighbors(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_get_iptables(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_set_iptables(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

void rpc_create_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_start_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_remove_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_stats_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_pause_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_resume_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_update_container(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

void rpc_exec_process(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_signal_process(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_wait_process(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_tty_win_resize(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

void rpc_write_stdin(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_close_stdin(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_read_stdout(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_read_stderr(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

void rpc_get_oom_event(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_online_cpu_mem(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_mem_hotplug_by_probe(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_get_metrics(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_set_policy(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_mem_agent(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

void rpc_list_processes(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_close_output(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_signal(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_look_at_mounts(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);
void rpc_cover_mount(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data);

/* ---- for the handlers themselves ---- */

void rpc_reply_empty(TtrpcCall *call);

/* A ContainerFunc whose user_data is the call: answers it. */
void rpc_answer(const GError *error, gpointer call);

/* Answer the call and return NULL if there is no such container, or process in it. code: what an unknown container is
 * answered with; it differs from method to method, as the protocol has it. */
Container *rpc_find_container(TtrpcCall *call, Sandbox *sandbox, const char *id, int code);
Process *rpc_find_process(TtrpcCall *call, Sandbox *sandbox, const char *id, const char *exec_id);
