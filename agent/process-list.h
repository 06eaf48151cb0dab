/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ps(1) would show of processes, out of the files the kernel has of them. */
#pragma once

#include <glib.h>

#include "proto/kata-guest.pb-c.h"

/* Processes of one container that are listed: above that nobody reads the list, and the answer has a limit. */
#define PROCESS_LIST_MAX 8192

/* One process's files in /proc, or what a test says they are. arguments: cmdline, as it is. */
typedef struct {
  const char *stat;
  const char *status;
  const char *arguments;
  gsize arguments_length;
} ProcessFiles;

/* boot_s: when the guest booted, seconds since 1970. ticks: of the kernel, a second. NULL: the files make no sense, or
 * belong to a process that is just ending. */
Kata__V1__GuestProcess *process_list_parse(const ProcessFiles *files, gint64 boot_s, guint ticks);

/* Those of a cgroup, by their pids; NULL if there are more than PROCESS_LIST_MAX. */
Kata__V1__ListProcessesResponse *process_list_of_cgroup(const char *path, GError **error);
