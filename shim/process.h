/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One process of a container: its first ("init"), or an exec. */
#pragma once

#include <glib.h>

#include "common/ttrpc.h"
#include "proto/kata-state.pb-c.h"
#include "shim/publisher.h"
#include "shim/stream.h"

typedef enum { PROCESS_CREATED, PROCESS_RUNNING, PROCESS_STOPPED } ProcessStatus;

/* Exit status when nobody can tell the real one (containerd shim v2: 255). */
#define PROCESS_STATUS_UNKNOWN 255

typedef struct Process Process;

/* Told when a process has ended; runs in a thread of the process. */
typedef void (*ProcessEndedFunc)(Process *process, gpointer user_data);

typedef struct {
  const char *container_id;
  const char *exec_id; /* "" for init */
  gboolean terminal;
  const char *stdin_uri, *stdout_uri, *stderr_uri;
  const char *namespace_; /* containerd's, for programs that take output */
  Publisher *publisher;   /* to containerd, or NULL */
  guint32 host_pid;       /* 0: none */
  const char *process_json;
} ProcessOptions;

/* Opens the streams; nothing happens in the guest yet. */
Process *process_new(const ProcessOptions *options, ProcessEndedFunc ended, gpointer user_data, GError **error);
/* From a state file. Streams that can still be found are opened again, others are dropped. */
Process *process_restore(const char *container_id, const Kata__V1__ProcessState *state, Publisher *publisher,
                         ProcessEndedFunc ended, gpointer user_data);
Process *process_ref(Process *process);
void process_unref(Process *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Process, process_unref)

const char *process_get_exec_id(const Process *process);
/* The id the agent knows it by: the container's for init. */
const char *process_get_agent_id(const Process *process);
const char *process_get_container_id(const Process *process);
const char *process_get_json(const Process *process);
gboolean process_has_terminal(const Process *process);
const char *process_get_stream_uri(const Process *process, int number);
guint32 process_get_host_pid(const Process *process);
ProcessStatus process_get_status(Process *process);
gboolean process_was_started(Process *process);
/* 0 until it has stopped. */
guint32 process_get_exit_status(Process *process);
gint64 process_get_exited_at(Process *process);

/* The process is there in the guest: moves its streams and waits for its end, in threads of its own. */
void process_attach(Process *process, TtrpcClient *agent);
void process_set_running(Process *process);

/* Of all who want to start it, one may. */
gboolean process_claim_start(Process *process);

/* Between these two an end is seen but not told: nobody shall hear of it before he has heard of the start. */
void process_begin_start(Process *process);
void process_end_start(Process *process);

/* It will never be attached, or the guest is gone: ended with this status. Idempotent. */
void process_set_ended(Process *process, guint32 status);

/* FALSE: it has not ended within timeout_ms. */
gboolean process_wait_stopped(Process *process, gint64 timeout_ms);

/* Answers a Wait call now or when the process ends. */
void process_add_waiter(Process *process, TtrpcCall *call);

/* After SIGKILL: readers who do not read get this long before what they miss is dropped. */
void process_expect_end(Process *process);
/* Sends the rest of its input, then end of file. */
void process_close_stdin(Process *process);
/* Waits for its threads, dropping output nobody reads. Only once it has ended. */
void process_finish(Process *process);

/* For the state file; free with protobuf_c_message_free_unpacked(). */
Kata__V1__ProcessState *process_to_state(Process *process);
