/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/storage-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/mount.h"
#include "agent/storage-private.h"
#include "agent/task.h"
#include "common/error.h"
#include "common/fds.h"

/* Where upstream's runtime puts them. */
#define WATCHABLE MOUNT_SHARE "/watchable"
#define WATCHABLE_PASSED MOUNT_SHARE "/passthrough/watchable"
/* Twice the limit: a change has the old and the new in it. */
#define TMPFS_OPTIONS "nosuid", "nodev", "size=4m", "nr_inodes=256", "mode=0755"

typedef struct {
  char *source;
  char *target;
} Watch;

struct StorageWatcher {
  Reaper *reaper;
  GPtrArray *watches;
  guint timer;
  gboolean is_busy;
  gboolean is_freed; /* while a helper was busy */
};

/* ---- the driver ---- */

static gboolean check_watchable(const Grpc__Storage *storage, GError **error) {
  g_autofree char *normal = g_canonicalize_filename(storage->mount_point, "/");
  g_autofree char *parent = g_path_get_dirname(normal);
  if (strcmp(parent, WATCHABLE) == 0 || strcmp(parent, WATCHABLE_PASSED) == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "mount point '%s' of driver 'watchable-bind' is not right below '%s'", storage->mount_point, WATCHABLE);
  return FALSE;
}

static gboolean mount_copy_of_directory(const StoragePlace *place, GError **error) {
  char *options[] = {TMPFS_OPTIONS};
  if (!storage_mount(place, "tmpfs", "tmpfs", options, G_N_ELEMENTS(options), error)) return FALSE;
  autofd int target = storage_open_mounted(place, error);
  if (target >= 0 && storage_watch_sync(place->source_fd, target, error)) return TRUE;
  umount2(place->target, UMOUNT_NOFOLLOW | MNT_DETACH);
  return FALSE;
}

/* A file of a tmpfs that is mounted nowhere else. */
static gboolean mount_copy_of_file(const StoragePlace *place, GError **error) {
  autofd int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "size", "4m", 0) < 0 ||
      fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
    error_set_errno(error, errno, "cannot make a tmpfs for '%s'", place->storage->mount_point);
    return FALSE;
  }
  autofd int tmpfs = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  autofd int file = tmpfs < 0 ? -1 : openat(tmpfs, "file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    error_set_errno(error, errno, "cannot make a file for '%s'", place->storage->mount_point);
    return FALSE;
  }
  autofd int tree = mount_copy_tree(file, 0, error);
  return tree >= 0 && storage_watch_sync(place->source_fd, tree, error) && mount_attach(tree, place->target_fd, error);
}

static gboolean mount_watchable(const StoragePlace *place, GError **error) {
  struct stat info;
  g_autoptr(GError) failure = NULL;
  gboolean is_file = fstat(place->source_fd, &info) == 0 && !S_ISDIR(info.st_mode);
  if (is_file ? mount_copy_of_file(place, &failure) : mount_copy_of_directory(place, &failure)) return TRUE;
  if (g_error_matches(failure, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED)) {
    g_info("'%s' is bound as it is: %s", place->storage->mount_point, failure->message);
    g_string_append(place->note, STORAGE_WATCH_NOTE_BOUND);
    return storage_mount_bind(place, error);
  }
  g_propagate_error(error, g_steal_pointer(&failure));
  return FALSE;
}

/* One that grew too large has the original bound over its copy. */
static void release_watchable(const Grpc__Storage *storage, const char *target) { umount2(target, UMOUNT_NOFOLLOW); }

const StorageDriver storage_watchable = {NULL, STORAGE_OPENS_SOURCE | STORAGE_NEEDS_CONTAINER, check_watchable,
                                         mount_watchable, release_watchable};

/* ---- in the helper ---- */

/* One that was unmounted meanwhile has left a directory behind, in which nobody would find what we put there. */
static int open_target(const Watch *watch, GError **error) {
  struct statx info = {0};
  autofd int fd = mount_open(watch->target, O_PATH | O_NOFOLLOW, error);
  if (fd < 0) return -1;
  if (statx(fd, "", AT_EMPTY_PATH, 0, &info) == 0 && (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
    return fd_steal(&fd);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "nothing is mounted on '%s' any more", watch->target);
  return -1;
}

static gboolean bind_original(const Watch *watch, GError **error) {
  autofd int source = mount_open(watch->source, O_PATH, error);
  autofd int target = source < 0 ? -1 : open_target(watch, error);
  autofd int tree = target < 0 ? -1 : mount_copy_tree(source, MS_REC, error);
  return tree >= 0 && mount_attach(tree, target, error);
}

static gboolean sync_one(const Watch *watch, GError **error) {
  autofd int source = mount_open(watch->source, O_PATH, error);
  autofd int target = source < 0 ? -1 : open_target(watch, error);
  return target >= 0 && storage_watch_sync(source, target, error);
}

/* Says, line by line, which are watched no longer. */
static gboolean sync_all(gpointer data, GString *result, GError **error) {
  const GPtrArray *watches = data;
  for (guint i = 0; i < watches->len; i++) {
    const Watch *watch = g_ptr_array_index(watches, i);
    g_autoptr(GError) failure = NULL;
    if (sync_one(watch, &failure)) continue;
    g_warning("cannot bring '%s' up to date: %s", watch->target, failure->message);
    if (!g_error_matches(failure, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED)) continue;
    g_clear_error(&failure);
    if (!bind_original(watch, &failure)) g_warning("%s", failure->message);
    g_string_append_printf(result, "%s\n", watch->target);
  }
  return TRUE;
}

/* ---- the watcher ---- */

static void watch_free(gpointer data) {
  Watch *watch = data;
  g_free(watch->source);
  g_free(watch->target);
  g_free(watch);
}

StorageWatcher *storage_watcher_new(Reaper *reaper) {
  StorageWatcher *watcher = g_new0(StorageWatcher, 1);
  watcher->reaper = reaper;
  watcher->watches = g_ptr_array_new_with_free_func(watch_free);
  return watcher;
}

void storage_watcher_free(StorageWatcher *watcher) {
  if (!watcher) return;
  if (watcher->timer) g_source_remove(watcher->timer);
  watcher->timer = 0;
  watcher->is_freed = TRUE;
  g_ptr_array_set_size(watcher->watches, 0);
  if (watcher->is_busy) return;
  g_ptr_array_unref(watcher->watches);
  g_free(watcher);
}

static void synced(const char *result, const GError *error, gpointer user_data) {
  StorageWatcher *watcher = user_data;
  watcher->is_busy = FALSE;
  if (watcher->is_freed) {
    storage_watcher_free(watcher);
    return;
  }
  if (error) {
    g_warning("cannot bring watched storages up to date: %s", error->message);
    return;
  }
  g_auto(GStrv) targets = g_strsplit(result, "\n", -1);
  for (char **target = targets; *target; target++)
    if (**target) storage_watcher_remove(watcher, *target);
}

static gboolean tick(gpointer user_data) {
  StorageWatcher *watcher = user_data;
  if (watcher->is_busy) return G_SOURCE_CONTINUE;
  TaskRequest request = {.work = sync_all, .data = watcher->watches};
  watcher->is_busy = TRUE;
  task_start(watcher->reaper, &request, synced, watcher);
  return G_SOURCE_CONTINUE;
}

void storage_watcher_add(StorageWatcher *watcher, const Grpc__Storage *storage, const char *target) {
  Watch *watch = g_new(Watch, 1);
  *watch = (Watch){g_strdup(storage->source), g_strdup(target)};
  g_ptr_array_add(watcher->watches, watch);
  if (!watcher->timer) watcher->timer = g_timeout_add_seconds(STORAGE_WATCH_SECONDS, tick, watcher);
}

void storage_watcher_remove(StorageWatcher *watcher, const char *target) {
  for (guint i = watcher->watches->len; i > 0; i--) {
    const Watch *watch = g_ptr_array_index(watcher->watches, i - 1);
    if (strcmp(watch->target, target) == 0) g_ptr_array_remove_index(watcher->watches, i - 1);
  }
  if (watcher->watches->len > 0 || !watcher->timer) return;
  g_source_remove(watcher->timer);
  watcher->timer = 0;
}
