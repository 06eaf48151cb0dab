/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work that may take long or hang on a device, done in a child while the main
 * loop goes on. The child is a copy of this process: what it mounts, writes
 * and makes is seen here, what it changes in memory is not.
 */
#pragma once

#include <glib.h>

#include "agent/reap.h"

/* The most a task may say: the arguments of very many processes. */
#define TASK_RESULT_MAX (4u << 20)
#define TASK_FDS_MAX 4
/* Children at work at once; tasks beyond them wait for their turn. */
#define TASKS_AT_ONCE 256

/* In the child: does the work; what it adds to result, text without NULs, goes to TaskFunc. */
typedef gboolean (*TaskWork)(gpointer data, GString *result, GError **error);
typedef void (*TaskFunc)(const char *result, const GError *error, gpointer user_data);

typedef struct {
  TaskWork work;
  gpointer data;         /* stays until func is called */
  int fds[TASK_FDS_MAX]; /* those the child keeps; all others are closed there, the caller's stay open until then */
  guint n_fds;
  guint timeout_ms; /* after it the child is killed, and func told so; 0: it may take as long as it takes */
} TaskRequest;

/* func is called once, from the main loop. If no child can be made, it is told so from there too. */
void task_start(Reaper *reaper, const TaskRequest *request, TaskFunc func, gpointer user_data);

/* Tasks whose child has not ended, and those that wait for their turn. */
guint task_count(void);
