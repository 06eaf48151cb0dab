/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The monitor: a small process that stands on the host for a container, or for one process
 * executed in it, when katactl itself does not stay. Its pid goes into the pid file; it
 * passes signals and the terminal's size on, and ends with the status of what it stands for.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "app.h"
#include "view.h"

/* What ps(1) shows of it. */
#define MONITOR_NAME "kata-monitor"

typedef struct {
  pid_t pid; /* 0: none */
  int go_fd; /* the monitor works once it is told so here; if it never is, it ends at once */
} Monitor;

#define MONITOR_INIT \
  { 0, -1 }

/* Starts one, in a session of its own. Must come before the caller makes threads. If the caller is killed before it
 * says what comes next, the monitor removes the container it was to stand for. exec_id: NULL for the container itself;
 * terminal_fd: becomes its controlling terminal, -1: none. view: what who
 * joins its mount namespace shall find, NULL: what the host has. */
gboolean monitor_start(Monitor *monitor, kata_context *context, const char *container_id, const char *exec_id,
                       int terminal_fd, const View *view, GError **error);

/* What it stands for is there: it is on its own from now on. */
gboolean monitor_release(Monitor *monitor, GError **error);

/* Ends one that was not released; without effect afterwards. */
void monitor_abort(Monitor *monitor);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Monitor, monitor_abort)
