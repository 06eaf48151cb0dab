/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of storages: who uses which, what is under way. */
#include "agent/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device-kind.h"
#include "agent/mount.h"
#include "agent/storage-private.h"
#include "agent/storage-watch.h"
#include "agent/task.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

const char *const storage_drivers[] = {"virtio-fs", "blk",   "mmioblk", "scsi",           "nvdimm", "overlayfs",
                                       "ephemeral", "local", "bind",    "watchable-bind", NULL};

static const StorageDriver *const drivers[] = {
    &storage_virtiofs, &storage_block,     &storage_mmio,  &storage_scsi, &storage_nvdimm,
    &storage_overlay,  &storage_ephemeral, &storage_local, &storage_bind, &storage_watchable,
};
G_STATIC_ASSERT(G_N_ELEMENTS(drivers) == G_N_ELEMENTS(storage_drivers) - 1);

const StorageDriver *storage_driver_find(const char *name) {
  for (gsize i = 0; storage_drivers[i]; i++)
    if (strcmp(storage_drivers[i], name) == 0) return drivers[i];
  return NULL;
}

/* Between the two answers of the helper that mounts. */
#define NOTE_SEPARATOR '\n'

typedef enum { ENTRY_MOUNTING, ENTRY_MOUNTED, ENTRY_UNMOUNTING } EntryState;

typedef struct {
  char *key;
  const StorageDriver *driver;
  Grpc__Storage *storage; /* as the first user asked for it */
  char *target;
  EntryState state;
  guint users;
  gboolean is_kept; /* somebody who used it could be made */
  GQueue waiters;   /* StorageJob: until this is mounted, or gone */
} Entry;

struct StorageTable {
  const AgentConfig *config;
  Reaper *reaper;
  UeventMonitor *uevents;
  GHashTable *entries; /* key -> Entry, owned */
  char *sandbox_prefix;
  StorageWatcher *watcher;
};

struct StorageJob {
  StorageTable *table;
  const Grpc__Storage *storage;
  const StorageDriver *driver;
  char *container_id;
  char *key;
  StorageAddFunc func;
  gpointer user_data;
  Entry *entry;     /* that this job makes; NULL */
  Entry *waits_for; /* somebody else's; NULL */
  UeventWait *wait;
  guint idle;
  StoragePlace place;
  char *device;
  GError *error;
  gboolean is_cancelled;
};

/* ---- entries ---- */

static Grpc__Storage *copy_storage(const Grpc__Storage *storage) {
  gsize size = grpc__storage__get_packed_size(storage);
  g_autofree guint8 *bytes = g_malloc(size + 1);
  grpc__storage__pack(storage, bytes);
  return grpc__storage__unpack(NULL, size, bytes);
}

static void entry_free(gpointer data) {
  Entry *entry = data;
  g_free(entry->key);
  g_free(entry->target);
  grpc__storage__free_unpacked(entry->storage, NULL);
  g_free(entry);
}

/* An emptyDir of Kubernetes outlives the containers that use it. */
static gboolean stays_with_sandbox(const StorageTable *table, const Entry *entry) {
  if (!entry->is_kept) return FALSE;
  if (entry->storage->shared) return TRUE;
  if (!(entry->driver->flags & STORAGE_IS_OF_POD)) return FALSE;
  return g_str_has_prefix(entry->key, "sandbox/") ||
         (table->sandbox_prefix && g_str_has_prefix(entry->key, table->sandbox_prefix));
}

/* ---- jobs ---- */

static void job_begin(StorageJob *job);

static void job_free(StorageJob *job) {
  if (job->idle) g_source_remove(job->idle);
  if (job->wait) uevent_cancel(job->wait);
  storage_place_clear(&job->place);
  g_clear_error(&job->error);
  g_free(job->container_id);
  g_free(job->device);
  g_free(job->key);
  g_free(job);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageJob, job_free)

/* Tells the caller, who may do anything then. */
static void job_end(StorageJob *ended) {
  g_autoptr(StorageJob) job = ended;
  job->func(job->error ? NULL : job->key, job->error, job->user_data);
}

static gboolean begin_again(gpointer user_data) {
  StorageJob *job = user_data;
  job->idle = 0;
  job_begin(job);
  return G_SOURCE_REMOVE;
}

static void job_begin_later(StorageJob *job) {
  job->waits_for = NULL;
  job->idle = g_idle_add_full(G_PRIORITY_DEFAULT, begin_again, job, NULL);
}

static void wake_waiters(Entry *entry) {
  while (!g_queue_is_empty(&entry->waiters)) job_begin_later(g_queue_pop_head(&entry->waiters));
}

/* note: what the driver said. */
static void job_mounted(StorageJob *job, const char *note, GError *error) {
  Entry *entry = g_steal_pointer(&job->entry);
  StorageTable *table = job->table;
  wake_waiters(entry);
  if (error) {
    job->error = error;
    g_hash_table_remove(table->entries, entry->key);
  } else {
    entry->state = ENTRY_MOUNTED;
    entry->users = 1;
    entry->target = g_strdup(job->place.target);
    if (entry->driver == &storage_watchable && strcmp(note, STORAGE_WATCH_NOTE_BOUND) != 0)
      storage_watcher_add(table->watcher, entry->storage, entry->target);
  }
  job_end(job);
}

/* The driver's work and what is the same for all of them. */
static gboolean do_mount(const StorageDriver *driver, const StoragePlace *place, GError **error) {
  if (!driver->mount(place, error)) return FALSE;
  /* A bind has done so itself, before it became read-only. */
  if (!place->storage->fs_group || driver->mount == storage_mount_bind) return TRUE;
  autofd int fd = storage_open_mounted(place, error);
  if (fd >= 0 && storage_set_group(place->storage, fd, error)) return TRUE;
  if (!(driver->flags & STORAGE_IS_DIRECTORY)) umount2(place->target, UMOUNT_NOFOLLOW | MNT_DETACH);
  if (driver->release) driver->release(place->storage, place->target);
  return FALSE;
}

static void forget_place(const StoragePlace *place);

/* Says where the mount point really is, and what the driver said. */
static gboolean mount_in_child(gpointer data, GString *result, GError **error) {
  StorageJob *job = data;
  StoragePlace *place = &job->place;
  if (!storage_place_open(place, job->driver, job->storage, error)) return FALSE;
  place->container_id = job->container_id;
  place->device = job->device;
  g_autoptr(GString) note = g_string_new(NULL);
  place->note = note;
  if (!do_mount(job->driver, place, error)) {
    forget_place(place);
    return FALSE;
  }
  g_string_append_printf(result, "%s%c%s", place->target, NOTE_SEPARATOR, note->str);
  return TRUE;
}

static void child_mounted(const char *result, const GError *error, gpointer user_data) {
  StorageJob *job = user_data;
  const char *note = error ? NULL : strrchr(result, NOTE_SEPARATOR);
  if (note) job->place.target = g_strndup(result, (gsize)(note - result));
  job_mounted(job, note ? note + 1 : "", error ? g_error_copy(error) : NULL);
}

/* Never PID 1 itself: paths may lead through a file system that a container serves, volumes may have many files, and
 * the kernel may take its time to find huge pages. */
static void job_mount(StorageJob *job) {
  TaskRequest request = {.work = mount_in_child, .data = job};
  task_start(job->table->reaper, &request, child_mounted, job);
}

static void device_came(const char *found, const GError *error, gpointer user_data) {
  StorageJob *job = user_data;
  job->wait = NULL;
  job->device = g_strdup(found);
  if (!error) {
    job_mount(job);
    return;
  }
  GError *told = g_error_copy(error);
  g_prefix_error(&told, "storage '%s': ", job->storage->mount_point);
  job_mounted(job, "", told);
}

static Entry *entry_new(StorageJob *job) {
  Entry *entry = g_new0(Entry, 1);
  entry->key = g_strdup(job->key);
  entry->driver = job->driver;
  entry->storage = copy_storage(job->storage);
  entry->state = ENTRY_MOUNTING;
  g_queue_init(&entry->waiters);
  g_hash_table_insert(job->table->entries, entry->key, entry);
  return entry;
}

static void job_make_entry(StorageJob *job) {
  const DeviceKind *kind = job->driver->device ? device_kind_find(job->driver->device) : NULL;
  job->entry = entry_new(job);
  if (!kind) {
    job_mount(job);
    return;
  }
  job->wait = device_kind_wait(kind, job->storage->source, job->table->uevents, job->table->reaper,
                               job->table->config->hotplug_timeout_ms, device_came, job);
}

static void job_begin(StorageJob *job) {
  Entry *entry = job->error ? NULL : g_hash_table_lookup(job->table->entries, job->key);
  if (!job->error && job->is_cancelled)
    g_set_error(&job->error, KATA_ERROR, KATA_ERR_CANCELLED, "storage '%s' is not wanted any more",
                job->storage->mount_point);
  if (job->error) {
    job_end(job);
  } else if (!entry) {
    job_make_entry(job);
  } else if (entry->state == ENTRY_MOUNTED) {
    if (strcmp(entry->storage->driver, job->storage->driver) != 0 ||
        strcmp(entry->storage->source, job->storage->source) != 0)
      g_warning("storage '%s' is mounted already, by driver '%s' from '%s': what is asked for now is not looked at",
                job->storage->mount_point, entry->storage->driver, entry->storage->source);
    entry->users++;
    job_end(job);
  } else {
    job->waits_for = entry;
    g_queue_push_tail(&entry->waiters, job);
  }
}

/* The mount point's normal form, as it is below MOUNT_ROOT. */
static char *storage_key(const char *mount_point, GError **error) {
  if (!safe_path_check(mount_point, "mount point", error)) return NULL;
  g_autofree char *normal = g_canonicalize_filename(mount_point, "/");
  if (g_str_has_prefix(normal, MOUNT_ROOT "/")) return g_strdup(normal + strlen(MOUNT_ROOT "/"));
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "mount point '%s' is not below '%s'", mount_point,
              MOUNT_ROOT);
  return NULL;
}

/* Those that snapshotters and runtimes leave for others are not refused. */
static void warn_of_unused(const StorageDriver *driver, const Grpc__Storage *storage) {
  for (gsize i = 0; i < storage->n_driver_options; i++) {
    const char *option = storage->driver_options[i];
    if (driver->driver_option && g_str_has_prefix(option, driver->driver_option)) continue;
    g_autofree char *shown = error_clean_text(option);
    g_warning("storage '%s': driver '%s' makes nothing of the driver option '%s'", storage->mount_point,
              storage->driver, shown);
  }
}

static gboolean check_storage(StorageJob *job, GError **error) {
  const Grpc__Storage *storage = job->storage;
  job->driver = storage_driver_find(storage->driver);
  if (!job->driver) {
    g_autofree char *shown = error_clean_text(storage->driver);
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "Failed to find the storage handler %s", shown);
    return FALSE;
  }
  job->key = storage_key(storage->mount_point, error);
  if (!job->key) return FALSE;
  if ((job->driver->flags & STORAGE_NEEDS_CONTAINER) && !job->container_id) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "driver '%s' is for storages of containers only",
                storage->driver);
    return FALSE;
  }
  const DeviceKind *kind = job->driver->device ? device_kind_find(job->driver->device) : NULL;
  if (kind && !kind->check(storage->source, error)) return FALSE;
  if (job->driver->check && !job->driver->check(storage, error)) return FALSE;
  warn_of_unused(job->driver, storage);
  return TRUE;
}

StorageJob *storage_table_add(StorageTable *table, const Grpc__Storage *storage, const char *container_id,
                              StorageAddFunc func, gpointer user_data) {
  StorageJob *job = g_new0(StorageJob, 1);
  job->table = table;
  job->storage = storage;
  job->container_id = g_strdup(container_id);
  job->place.source_fd = job->place.target_fd = -1;
  job->func = func;
  job->user_data = user_data;
  check_storage(job, &job->error);
  job_begin_later(job);
  return job;
}

void storage_job_cancel(StorageJob *job) {
  job->is_cancelled = TRUE;
  if (job->waits_for) {
    g_queue_remove(&job->waits_for->waiters, job);
    job_begin_later(job);
  } else if (job->wait) {
    uevent_cancel(g_steal_pointer(&job->wait));
    Entry *entry = g_steal_pointer(&job->entry);
    wake_waiters(entry);
    g_hash_table_remove(job->table->entries, entry->key);
    job_begin_later(job);
  }
}

/* ---- unmounting ---- */

/* The directory of a mount point as it was, not where somebody's link may lead now. */
static char *path_by_parent(const char *target, int *ret_fd) {
  const char *below = NULL;
  g_autofree char *parent = g_path_get_dirname(target);
  g_autofree char *name = g_path_get_basename(target);
  autofd int root = mount_open_root(target, &below, NULL);
  g_autofree char *below_parent = root < 0 ? NULL : g_path_get_dirname(below);
  *ret_fd = root < 0 ? -1 : safe_open(root, below_parent, O_PATH | O_DIRECTORY, 0, NULL);
  return *ret_fd < 0 ? g_strdup(target) : g_strdup_printf("/proc/self/fd/%d/%s", *ret_fd, name);
}

static void remove_mount_point(const char *path) {
  struct stat info;
  if (lstat(path, &info) < 0) return;
  /* A file that is not empty was there before. */
  if (S_ISREG(info.st_mode) && info.st_size == 0)
    unlink(path);
  else if (S_ISDIR(info.st_mode))
    rmdir(path);
}

static void forget_place(const StoragePlace *place) {
  if (!place->target) return;
  autofd int parent = -1;
  g_autofree char *path = path_by_parent(place->target, &parent);
  remove_mount_point(path);
}

static void unmount(const Entry *entry) {
  autofd int parent = -1;
  g_autofree char *path = path_by_parent(entry->target, &parent);
  if (!(entry->driver->flags & STORAGE_IS_DIRECTORY) && umount2(path, UMOUNT_NOFOLLOW) < 0) {
    int reason = errno;
    g_warning("cannot unmount '%s': %s", entry->target, g_strerror(reason));
    if (reason == EBUSY) umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH);
  }
  if (entry->driver->release) entry->driver->release(entry->storage, entry->target);
  remove_mount_point(path);
}

typedef struct {
  StorageTable *table;
  GPtrArray *entries; /* Entry, to be unmounted in this order */
  StorageDoneFunc func;
  gpointer user_data;
} Release;

static void release_end(Release *ended) {
  g_autofree Release *release = ended;
  for (guint i = 0; i < release->entries->len; i++) {
    Entry *entry = g_ptr_array_index(release->entries, i);
    wake_waiters(entry);
    g_hash_table_remove(release->table->entries, entry->key);
  }
  g_ptr_array_unref(release->entries);
  release->func(release->user_data);
}

static gboolean unmount_in_child(gpointer data, GString *result, GError **error) {
  const GPtrArray *entries = data;
  for (guint i = 0; i < entries->len; i++) unmount(g_ptr_array_index(entries, i));
  return TRUE;
}

static void child_unmounted(const char *result, const GError *error, gpointer user_data) {
  if (error) g_warning("cannot unmount storages: %s", error->message);
  release_end(user_data);
}

static void release_begin(StorageTable *table, GPtrArray *entries, StorageDoneFunc func, gpointer user_data) {
  Release *release = g_new(Release, 1);
  *release = (Release){table, entries, func, user_data};
  for (guint i = 0; i < entries->len; i++) {
    Entry *entry = g_ptr_array_index(entries, i);
    entry->state = ENTRY_UNMOUNTING;
    if (entry->driver == &storage_watchable) storage_watcher_remove(table->watcher, entry->target);
  }
  if (entries->len == 0) {
    release_end(release);
    return;
  }
  TaskRequest request = {.work = unmount_in_child, .data = entries};
  task_start(table->reaper, &request, child_unmounted, release);
}

void storage_table_release(StorageTable *table, const GPtrArray *keys, StorageDoneFunc func, gpointer user_data) {
  GPtrArray *entries = g_ptr_array_new();
  for (guint i = keys->len; i > 0; i--) {
    Entry *entry = g_hash_table_lookup(table->entries, g_ptr_array_index(keys, i - 1));
    if (!entry || entry->users == 0) continue;
    if (--entry->users == 0 && !stays_with_sandbox(table, entry)) g_ptr_array_add(entries, entry);
  }
  release_begin(table, entries, func, user_data);
}

/* What is mounted inside of another must go first. */
static gint compare_depth(gconstpointer a, gconstpointer b) {
  const Entry *const *one = a;
  const Entry *const *other = b;
  return -strcmp((*one)->target, (*other)->target);
}

static GPtrArray *list_mounted(const StorageTable *table) {
  GPtrArray *entries = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value = NULL;
  g_hash_table_iter_init(&iter, table->entries);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    if (((Entry *)value)->state == ENTRY_MOUNTED) g_ptr_array_add(entries, value);
  g_ptr_array_sort(entries, compare_depth);
  return entries;
}

void storage_table_release_all(StorageTable *table, StorageDoneFunc func, gpointer user_data) {
  release_begin(table, list_mounted(table), func, user_data);
}

/* ---- the table ---- */

StorageTable *storage_table_new(const AgentConfig *config, Reaper *reaper, UeventMonitor *uevents) {
  StorageTable *table = g_new0(StorageTable, 1);
  table->config = config;
  table->reaper = reaper;
  table->uevents = uevents;
  table->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, entry_free);
  table->watcher = storage_watcher_new(reaper);
  return table;
}

void storage_table_free(StorageTable *table) {
  if (!table) return;
  storage_watcher_free(table->watcher);
  g_autoptr(GPtrArray) mounted = list_mounted(table);
  for (guint i = 0; i < mounted->len; i++) unmount(g_ptr_array_index(mounted, i));
  g_hash_table_unref(table->entries);
  g_free(table->sandbox_prefix);
  g_free(table);
}

void storage_table_set_sandbox_id(StorageTable *table, const char *id) {
  g_free(table->sandbox_prefix);
  table->sandbox_prefix = *id ? g_strconcat("shared/containers/", id, "/", NULL) : NULL;
}

gboolean storage_table_update(const StorageTable *table, const Grpc__Storage *storage, GError **error) {
  g_autofree char *key = storage_key(storage->mount_point, error);
  if (!key) return FALSE;
  const Entry *entry = g_hash_table_lookup(table->entries, key);
  if (strcmp(storage->driver, "ephemeral") != 0 || (entry && entry->driver != &storage_ephemeral)) {
    g_autofree char *shown = error_clean_text(storage->driver);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot change storage '%s' of driver '%s': only those of driver 'ephemeral'", storage->mount_point,
                shown);
    return FALSE;
  }
  if (entry && entry->state == ENTRY_MOUNTED) return storage_ephemeral_update(storage, entry->target, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "there is no storage '%s'", storage->mount_point);
  return FALSE;
}

const Grpc__Storage *storage_table_find(const StorageTable *table, const char *path) {
  g_autofree char *normal = g_canonicalize_filename(path, "/");
  g_autofree char *key = storage_key(normal, NULL);
  while (key && strcmp(key, ".") != 0) {
    const Entry *entry = g_hash_table_lookup(table->entries, key);
    if (entry && entry->state == ENTRY_MOUNTED) return entry->storage;
    char *parent = g_path_get_dirname(key);
    g_free(key);
    key = parent;
  }
  return NULL;
}

void storage_table_keep(StorageTable *table, const GPtrArray *keys) {
  for (guint i = 0; i < keys->len; i++) {
    Entry *entry = g_hash_table_lookup(table->entries, g_ptr_array_index(keys, i));
    if (entry) entry->is_kept = TRUE;
  }
}

void storage_table_touch(const StorageTable *table) {
  GHashTableIter iter;
  gpointer value = NULL;
  g_hash_table_iter_init(&iter, table->entries);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Entry *entry = value;
    struct stat info;
    if (entry->state == ENTRY_MOUNTED && stat(entry->target, &info) < 0)
      g_debug("cannot look at mount point '%s': %s", entry->target, g_strerror(errno));
  }
}
