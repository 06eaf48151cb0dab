/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What katactl stands for on the host: a container's first process, or one that was executed in it. */
#pragma once

#include <glib.h>

#include "app.h"

/* What a process that stands for another ends with when nobody knows how that one ended. */
#define SUBJECT_STATUS_UNKNOWN 255

typedef struct {
  kata_container *container;
  kata_process *process; /* NULL: the container's first process */
} Subject;

/* exec_id: NULL for the container itself. */
gboolean subject_open(Subject *subject, kata_context *context, const char *container_id, const char *exec_id,
                      GError **error);
void subject_clear(Subject *subject);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Subject, subject_clear)

/* Kills and removes the container if host_pid stands for it, and its sandbox with it. */
void subject_remove(kata_context *context, const char *container_id, pid_t host_pid);

/* Those that fail do so in silence: the process may just have ended. Any thread, also beside subject_wait(). */
void subject_kill(Subject *subject, int signal);
void subject_resize(Subject *subject, int terminal_fd);

/* Its exit status when it has ended; an executed process is then forgotten by its container. */
int subject_wait(Subject *subject, GError **error);
