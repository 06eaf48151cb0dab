/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "ps" prints of a guest's processes: the options of ps(1) it knows, and the table. */
#pragma once

#include <glib.h>
#include <json-c/json.h>

typedef struct ProcessTable ProcessTable;

/* options: NULL-terminated, as ps(1) takes them: none or -ef, aux, -o LIST and what only chooses processes (all of the
 * container are shown anyway). Another one is an error that names those known. */
ProcessTable *process_table_new(char *const *options, GError **error);
void process_table_free(ProcessTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProcessTable, process_table_free)

/* processes: kata_container_get_processes(); now: seconds since 1970. Returns lines with a header line first. */
char *process_table_print(const ProcessTable *table, json_object *processes, gint64 now);

/* The pids of the processes on the host that stand for them, as a JSON array on one line, without a newline. "null", as
 * runc says, if there are none. */
char *process_table_list_host_pids(json_object *processes);
