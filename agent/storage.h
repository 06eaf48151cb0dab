/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File systems the host asks for ("storages"), counted by mount point. Nothing here blocks: what may take long is done
 * in a helper process, and what comes later is waited for. */
#pragma once

#include <glib.h>

#include "agent/config.h"
#include "agent/reap.h"
#include "agent/uevent.h"
#include "proto/agent.pb-c.h"

/* Storages one request may name. */
#define STORAGE_LIST_MAX 1024

/* The layer that driver "overlayfs" makes for what a container writes, in its bundle. */
#define STORAGE_LAYER_NAME "fs"

/* The drivers that are known, for GetGuestDetails; NULL ends it. */
extern const char *const storage_drivers[];

typedef struct StorageTable StorageTable;
typedef struct StorageJob StorageJob;

/* key: the caller's, for storage_table_release(); NULL with error if it failed. */
typedef void (*StorageAddFunc)(const char *key, const GError *error, gpointer user_data);
typedef void (*StorageDoneFunc)(gpointer user_data);

/* All of these must outlive it. */
StorageTable *storage_table_new(const AgentConfig *config, Reaper *reaper, UeventMonitor *uevents);
/* Unmounts what is left; work in progress is forgotten. */
void storage_table_free(StorageTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageTable, storage_table_free)

/* What is the sandbox's own: memory and directories a container asks for below the directories of the sandbox live as
 * long as it, so that a container that is started again finds its data. */
void storage_table_set_sandbox_id(StorageTable *table, const char *id);
/* Who uses these keys (char *) has been made: from now on those that are the sandbox's stay. */
void storage_table_keep(StorageTable *table, const GPtrArray *keys);

/* Mounts it, or counts one user more where something is mounted already; its options are not looked at then.
 * container_id: NULL for the sandbox's. storage must stay until func is called: once, from the main loop, never before
 * this returns. */
StorageJob *storage_table_add(StorageTable *table, const Grpc__Storage *storage, const char *container_id,
                              StorageAddFunc func, gpointer user_data);
/* Waits no longer for a device. func is still called, and tells of a mount that was made all the same. */
void storage_job_cancel(StorageJob *job);

/* One user less of each key (char *); the last one unmounts, unless the storage is shared or the sandbox's. In reverse
 * order. func is called now or later. */
void storage_table_release(StorageTable *table, const GPtrArray *keys, StorageDoneFunc func, gpointer user_data);
/* Unmounts all, whoever uses it. */
void storage_table_release_all(StorageTable *table, StorageDoneFunc func, gpointer user_data);

/* Changes the options of a mounted memory storage: its size. Those that are not named stay. For a task: nothing in the
 * table changes. */
gboolean storage_table_update(const StorageTable *table, const Grpc__Storage *storage, GError **error);

/* The storage, as its first user asked for it, that path is in, by its name alone: no link is looked at. NULL: none. */
const Grpc__Storage *storage_table_find(const StorageTable *table, const char *path);

/* stat()s every mount point, so that the host's file server lets go of what was removed. It may have to wait for that.
 */
void storage_table_touch(const StorageTable *table);
