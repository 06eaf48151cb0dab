/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small directories of the host that change while containers look at them:
 * config maps and secrets. virtio-fs tells nobody of changes, so inotify in a
 * container would never fire. The driver "watchable-bind" keeps a copy in
 * memory and brings it up to date every two seconds, in a helper process.
 */
#pragma once

#include <glib.h>

#include "agent/reap.h"
#include "proto/agent.pb-c.h"

#define STORAGE_WATCH_SECONDS 2
/* Files and links, and their bytes: what has more is bound as it is, without events. */
#define STORAGE_WATCH_ENTRIES_MAX 16
#define STORAGE_WATCH_BYTES_MAX (1u << 20)

/* What the driver notes of a storage that need not be watched. */
#define STORAGE_WATCH_NOTE_BOUND "bound"

typedef struct StorageWatcher StorageWatcher;

StorageWatcher *storage_watcher_new(Reaper *reaper);
void storage_watcher_free(StorageWatcher *watcher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageWatcher, storage_watcher_free)

/* Keeps what is mounted at target like the storage's source. */
void storage_watcher_add(StorageWatcher *watcher, const Grpc__Storage *storage, const char *target);
void storage_watcher_remove(StorageWatcher *watcher, const char *target);

/* One step: makes the copy at target, a directory or a file, like source. A source that is too large: code
 * RESOURCE_EXHAUSTED, and the copy stays. */
gboolean storage_watch_sync(int source_fd, int target_fd, GError **error);
