/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of the owner's Task service that a container's first process and all others have in common. */
#pragma once

#include "kata/process.h"
#include "lib/context.h"

/* One process: exec_id "" is the container's first. All strings belong to whom asks. */
typedef struct {
  const kata_context *ctx;
  const char *sandbox_id;
  const char *container_id;
  const char *exec_id;
} TaskTarget;

gboolean task_start(const TaskTarget *target, GError **error);
gboolean task_kill(const TaskTarget *target, int signal, gboolean all, GError **error);
gboolean task_wait(const TaskTarget *target, guint timeout_ms, int *ret_status, GError **error);
gboolean task_delete(const TaskTarget *target, int *ret_status, GError **error);
gboolean task_resize(const TaskTarget *target, guint columns, guint rows, GError **error);
gboolean task_close_stdin(const TaskTarget *target, GError **error);

/* A caller's streams as the owner is told of them: "pidfd://PID/FD", "" for none. */
typedef struct {
  char *in, *out, *err;
  gboolean terminal;
  guint32 host_pid;
} TaskStreams;

void task_streams_clear(TaskStreams *streams);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TaskStreams, task_streams_clear)

/* io: may be NULL. A descriptor that is not open is the caller's error. */
gboolean task_streams_init(TaskStreams *streams, const kata_process_io *io, GError **error);
