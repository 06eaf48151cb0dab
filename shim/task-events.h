/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What containerd is told of a sandbox's containers, each event under its topic (containerd shim v2, "Events"). */
#pragma once

#include <glib.h>

#include "proto/shim-task.pb-c.h"
#include "shim/sandbox.h"

/* A task's pid: the caller's process for it if there is one, else the hypervisor, as upstream's shim answers. */
guint32 task_pid(Sandbox *sandbox, const Process *process);

void task_event_create(Sandbox *sandbox, const Container *container,
                       const Containerd__Task__V2__CreateTaskRequest *request);
/* Of init, or of an exec. */
void task_event_start(Sandbox *sandbox, const Process *process);
void task_event_exec_added(Sandbox *sandbox, const Process *process);
/* pid: what it was while the machine was there. */
void task_event_exit(Sandbox *sandbox, Process *process, guint32 pid);
void task_event_delete(Sandbox *sandbox, Process *init, guint32 pid);
void task_event_paused(Sandbox *sandbox, const char *container_id, gboolean paused);
void task_event_oom(Sandbox *sandbox, const char *container_id);
