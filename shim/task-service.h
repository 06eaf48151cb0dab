/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of containerd.task.v2.Task and v3 that have files of their own, and what they share. */
#pragma once

#include "shim/service.h"

/* Looks a container and one of its processes up ("" is the first one); FALSE: the call has been answered. Both
 * are the caller's to unref. */
gboolean task_find(ServiceJob *job, const char *id, const char *exec_id, Container **ret_container,
                   Process **ret_process);

/* With the guest's last words, if its end is the reason. */
void task_fail(ServiceJob *job, GError *error);

/* Answers Empty, or fails with *error. error by address: it is set while the arguments are evaluated. */
void task_answer(ServiceJob *job, gboolean done, GError *const *error);

/* task-exec.c */
void task_exec(ServiceJob *job);

/* task-container.c */
void task_pause(ServiceJob *job);
void task_resume(ServiceJob *job);
void task_checkpoint(ServiceJob *job);
void task_pids(ServiceJob *job);
void task_stats(ServiceJob *job);

/* task-update.c */
void task_update(ServiceJob *job);
