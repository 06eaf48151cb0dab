/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs the real agent, as an ordinary process, with the real crun: in mount, pid,
 * network, IPC and UTS namespaces of its own, where only the cgroup v2 tree is
 * mounted, so that nothing of it reaches or outlives the test.
 */
#pragma once

#include <glib.h>

#include "common/ttrpc.h"
#include "proto/agent.pb-c.h"

#define HARNESS_CALL_MS 60000
#define HARNESS_RUN "/run"
#define HARNESS_ROOTFS HARNESS_RUN "/test/rootfs"

/* Runs func, which returns an exit status, inside; returns what it returned, 77 where this cannot be done. */
int harness_run(int (*func)(void));

/* Starts an agent and connects to it; ends it and checks that it ended well. */
void harness_start(void);
/* settings: text of its configuration file. */
void harness_start_with(const char *settings);
void harness_stop(void);
/* Uses an agent somewhere else, whose guest has the root file system at rootfs. Both stay the caller's. */
void harness_attach(TtrpcClient *client, const char *rootfs);
/* Of the agent that runs. */
TtrpcClient *harness_client(void);
pid_t harness_agent_pid(void);
TtrpcClient *harness_connect(void);

/* What the agents that were started have logged so far; it goes to standard error in the end. */
char *harness_log(void);

/* One call; NULL and error set if it failed. The reply is freed by the caller. */
ProtobufCMessage *harness_call(const char *method, const ProtobufCMessage *request, GError **error);
/* A call that must succeed with an empty answer. */
void harness_must(const char *method, const ProtobufCMessage *request);
/* A call that must fail with this code; text must be in its message. */
void harness_must_fail(const char *method, const ProtobufCMessage *request, int rpc_code, const char *text);

/* Documents: args are words of a shell command line, or the script for "sh -c". Freed by harness_spec_free(). */
Grpc__Spec *harness_spec(const char *script);
Grpc__Process *harness_process(const char *script);
void harness_add_mount(Grpc__Spec *spec, const char *destination, const char *type, const char *source);
void harness_set_args(Grpc__Process *process, const char *const *args);
void harness_spec_free(Grpc__Spec *spec);
void harness_process_free(Grpc__Process *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Grpc__Spec, harness_spec_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Grpc__Process, harness_process_free)

/* Common calls, which must succeed. */
void harness_create(const char *id, const char *script);
void harness_create_spec(const char *id, Grpc__Spec *spec);
void harness_start_container(const char *id);
void harness_exec(const char *id, const char *exec_id, const char *script);
void harness_signal(const char *id, const char *exec_id, int signal_number);
int harness_wait(const char *id, const char *exec_id);
void harness_remove(const char *id);
void harness_close_stdin(const char *id, const char *exec_id);
/* A whole stream to its end. */
GString *harness_read_all(const char *id, const char *exec_id, gboolean is_err);
/* One read. */
GBytes *harness_read(const char *id, const char *exec_id, guint32 size);
void harness_write(const char *id, const char *exec_id, const void *data, gsize size);

/* What the agent may leave behind: mounts, directories, cgroups, processes, as one text to compare. */
char *harness_leftovers(void);
