/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of every child. PID 1 inherits processes it never started, so
 * everything is waited for here and nowhere else: GLib's child watches would
 * start a thread.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct Reaper Reaper;

/* wait_status: as from waitpid(). */
typedef void (*ReaperFunc)(pid_t pid, int wait_status, gpointer user_data);

/* Blocks SIGCHLD and handles it in the default main context. There can be one in a process. */
Reaper *reaper_new(GError **error);
void reaper_free(Reaper *reaper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reaper, reaper_free)

/* func runs once when pid ends; before this returns if it has ended already while statuses were kept. */
void reaper_watch(Reaper *reaper, pid_t pid, ReaperFunc func, gpointer user_data);
void reaper_unwatch(Reaper *reaper, pid_t pid);

/* Between these two (they nest) the statuses of children nobody watches are kept: crun's child can end before crun has
 * said which pid it has. */
void reaper_keep_unknown(Reaper *reaper);
void reaper_forget_unknown(Reaper *reaper);

/* The number by which shells and engines know an end: the exit code, or 128 plus the signal. */
int reaper_exit_code(int wait_status);
