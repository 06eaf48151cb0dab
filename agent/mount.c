/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* mount(2) takes one page. */
#define DATA_MAX 4095

typedef struct {
  char *target;
  guint users;
  gboolean is_shared;
  gboolean is_mounted; /* FALSE: only a directory */
} Entry;

struct MountTable {
  GHashTable *entries; /* key: the target's normal form */
};

/* ---- options ---- */

static const struct {
  const char *word;
  unsigned long set;
  unsigned long clear;
} option_words[] = {
    {"defaults", 0, 0},
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"relatime", MS_RELATIME, 0},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, 0},
    {"nostrictatime", 0, MS_STRICTATIME},
    {"bind", MS_BIND, 0},
    {"rbind", MS_BIND | MS_REC, 0},
};

static gboolean take_flag(const char *word, unsigned long *flags) {
  for (gsize i = 0; i < G_N_ELEMENTS(option_words); i++)
    if (strcmp(word, option_words[i].word) == 0) {
      *flags = (*flags | option_words[i].set) & ~option_words[i].clear;
      return TRUE;
    }
  return FALSE;
}

gboolean mount_parse_options(char *const *options, gsize n_options, unsigned long *ret_flags, char **ret_data,
                             GError **error) {
  unsigned long flags = 0;
  g_autoptr(GString) data = g_string_new(NULL);
  for (gsize i = 0; i < n_options; i++) {
    if (strcmp(options[i], "loop") == 0) {
      g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "mount option 'loop' is not supported");
      return FALSE;
    }
    if (take_flag(options[i], &flags) || !*options[i]) continue;
    g_string_append_printf(data, "%s%s", data->len > 0 ? "," : "", options[i]);
  }
  if (data->len > DATA_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "mount options of %" G_GSIZE_FORMAT " bytes are more than %d", data->len, DATA_MAX);
    return FALSE;
  }
  *ret_flags = flags;
  *ret_data = data->len > 0 ? g_strdup(data->str) : NULL;
  return TRUE;
}

/* ---- drivers ---- */

/* What a driver works on. */
typedef struct {
  const Grpc__Storage *storage;
  char *fd_path; /* /proc/self/fd/N: the mount point as it was found, for mount(2) */
  char *target;  /* its path without links, to see what is mounted there afterwards */
} Place;

static gboolean place_mount(const Place *place, const char *source, const char *fstype, char *const *options,
                            gsize n_options, unsigned long more_flags, GError **error) {
  unsigned long flags = 0;
  g_autofree char *data = NULL;
  if (!mount_parse_options(options, n_options, &flags, &data, error)) return FALSE;
  if (mount(source, place->fd_path, fstype, flags | more_flags, data) < 0) {
    error_set_errno(error, errno, "cannot mount '%s' of type '%s' on '%s'", source, fstype,
                    place->storage->mount_point);
    return FALSE;
  }
  /* A bind mount takes its other flags only when it is remounted. */
  unsigned long bind = flags | more_flags;
  if (!(bind & MS_BIND) || (bind & ~(unsigned long)(MS_BIND | MS_REC)) == 0) return TRUE;
  if (mount("none", place->target, "none", (bind & ~(unsigned long)MS_REC) | MS_REMOUNT, NULL) == 0) return TRUE;
  error_set_errno(error, errno, "cannot set the options of the bind mount '%s'", place->storage->mount_point);
  umount2(place->target, UMOUNT_NOFOLLOW | MNT_DETACH);
  return FALSE;
}

static gboolean mount_virtiofs(const Place *place, gboolean *ret_is_mounted, GError **error) {
  const Grpc__Storage *storage = place->storage;
  *ret_is_mounted = TRUE;
  return place_mount(place, storage->source, "virtiofs", storage->options, storage->n_options, 0, error);
}

static gboolean mount_bound(const Place *place, gboolean *ret_is_mounted, GError **error) {
  const Grpc__Storage *storage = place->storage;
  *ret_is_mounted = TRUE;
  if (!safe_path_check(storage->source, "storage source", error)) return FALSE;
  return place_mount(place, storage->source, "none", storage->options, storage->n_options, MS_BIND, error);
}

/* A directory that belongs to a group and gives it to what is made in it. */
static gboolean set_group(const char *path, const char *group, GError **error) {
  guint64 gid = 0;
  struct stat info = {0};
  if (!g_ascii_string_to_unsigned(group, 10, 0, G_MAXUINT32 - 1, &gid, error)) return FALSE;
  if (stat(path, &info) == 0 && chown(path, (uid_t)-1, (gid_t)gid) == 0 &&
      chmod(path, (info.st_mode & 07777) | S_ISGID) == 0)
    return TRUE;
  error_set_errno(error, errno, "cannot give the storage to group %" G_GUINT64_FORMAT, gid);
  return FALSE;
}

/* Takes the options that are ours, not the file system's, out of the list. */
static const char *take_option(GPtrArray *options, const char *prefix) {
  const char *value = NULL;
  for (guint i = 0; i < options->len;) {
    const char *option = g_ptr_array_index(options, i);
    if (g_str_has_prefix(option, prefix)) {
      value = option + strlen(prefix);
      g_ptr_array_remove_index(options, i);
    } else {
      i++;
    }
  }
  return value;
}

static GPtrArray *copy_options(const Grpc__Storage *storage) {
  GPtrArray *options = g_ptr_array_new();
  for (gsize i = 0; i < storage->n_options; i++) g_ptr_array_add(options, storage->options[i]);
  return options;
}

static gboolean mount_ephemeral(const Place *place, gboolean *ret_is_mounted, GError **error) {
  const Grpc__Storage *storage = place->storage;
  if (strcmp(storage->fstype, "tmpfs") != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "file system type '%s' of storage '%s' is not supported",
                storage->fstype, storage->mount_point);
    return FALSE;
  }
  g_autoptr(GPtrArray) options = copy_options(storage);
  const char *group = take_option(options, "fsgid=");
  if (!place_mount(place, "tmpfs", "tmpfs", (char **)options->pdata, options->len, 0, error)) return FALSE;
  *ret_is_mounted = TRUE;
  if (!group || set_group(place->target, group, error)) return TRUE;
  umount2(place->target, UMOUNT_NOFOLLOW | MNT_DETACH);
  return FALSE;
}

static gboolean make_local(const Place *place, gboolean *ret_is_mounted, GError **error) {
  g_autoptr(GPtrArray) options = copy_options(place->storage);
  const char *mode = take_option(options, "mode=");
  const char *group = take_option(options, "fsgid=");
  guint64 bits = 0;
  *ret_is_mounted = FALSE;
  if (mode && !g_ascii_string_to_unsigned(mode, 8, 0, 07777, &bits, error)) return FALSE;
  if (mode && chmod(place->target, (mode_t)bits) < 0) {
    error_set_errno(error, errno, "cannot set the mode of '%s'", place->storage->mount_point);
    return FALSE;
  }
  return !group || set_group(place->target, group, error);
}

const char *const mount_drivers[] = {"virtio-fs", "ephemeral", "local", "bind", NULL};

static gboolean (*const driver_funcs[])(const Place *place, gboolean *ret_is_mounted, GError **error) = {
    mount_virtiofs, mount_ephemeral, make_local, mount_bound};

static gssize find_driver(const char *name) {
  for (gsize i = 0; mount_drivers[i]; i++)
    if (strcmp(mount_drivers[i], name) == 0) return (gssize)i;
  return -1;
}

/* ---- table ---- */

static void entry_free(gpointer data) {
  Entry *entry = data;
  if (entry->is_mounted && umount2(entry->target, UMOUNT_NOFOLLOW) < 0 && errno == EBUSY)
    umount2(entry->target, UMOUNT_NOFOLLOW | MNT_DETACH);
  rmdir(entry->target);
  g_free(entry->target);
  g_free(entry);
}

MountTable *mount_table_new(void) {
  MountTable *table = g_new0(MountTable, 1);
  table->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
  return table;
}

void mount_table_free(MountTable *table) {
  if (!table) return;
  g_hash_table_unref(table->entries);
  g_free(table);
}

/* The part of the path below MOUNT_ROOT, or NULL. */
static char *normal_below_root(const char *path, GError **error) {
  if (!safe_path_check(path, "mount point", error)) return NULL;
  g_autofree char *normal = g_canonicalize_filename(path, "/");
  if (g_str_has_prefix(normal, MOUNT_ROOT "/")) return g_strdup(normal + strlen(MOUNT_ROOT "/"));
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "mount point '%s' is not below '%s'", path, MOUNT_ROOT);
  return NULL;
}

static Entry *entry_new(const Grpc__Storage *storage, const char *below, gssize driver, GError **error) {
  autofd int root = open(MOUNT_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) {
    error_set_errno(error, errno, "cannot open '%s'", MOUNT_ROOT);
    return NULL;
  }
  autofd int target = safe_mkdirs(root, below, 0755, error);
  if (target < 0) return NULL;
  g_autofree char *fd_path = g_strdup_printf("/proc/self/fd/%d", target);
  g_autofree char *target_path = g_file_read_link(fd_path, error);
  if (!target_path) return NULL;
  Place place = {storage, fd_path, target_path};
  gboolean is_mounted = FALSE;
  if (!driver_funcs[driver](&place, &is_mounted, error)) return NULL;
  Entry *entry = g_new0(Entry, 1);
  entry->target = g_steal_pointer(&target_path);
  entry->users = 1;
  entry->is_shared = storage->shared;
  entry->is_mounted = is_mounted;
  return entry;
}

gboolean mount_table_add(MountTable *table, const Grpc__Storage *storage, char **ret_key, GError **error) {
  gssize driver = find_driver(storage->driver);
  if (driver < 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "Failed to find the storage handler %s", storage->driver);
    return FALSE;
  }
  g_autofree char *key = normal_below_root(storage->mount_point, error);
  if (!key) return FALSE;
  Entry *entry = g_hash_table_lookup(table->entries, key);
  if (entry) {
    entry->users++;
  } else {
    entry = entry_new(storage, key, driver, error);
    if (!entry) return FALSE;
    g_hash_table_insert(table->entries, g_strdup(key), entry);
  }
  *ret_key = g_steal_pointer(&key);
  return TRUE;
}

void mount_table_release(MountTable *table, const char *key) {
  Entry *entry = g_hash_table_lookup(table->entries, key);
  if (entry && --entry->users == 0 && !entry->is_shared) g_hash_table_remove(table->entries, key);
}

void mount_table_touch(const MountTable *table) {
  GHashTableIter iter;
  gpointer value = NULL;
  g_hash_table_iter_init(&iter, table->entries);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Entry *entry = value;
    struct stat info;
    if (entry->is_mounted && stat(entry->target, &info) < 0)
      g_debug("cannot look at mount point '%s': %s", entry->target, g_strerror(errno));
  }
}

gboolean mount_bind(const char *source, const char *target, GError **error) {
  autofd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  autofd int fd = safe_open(root, source, O_PATH | O_DIRECTORY, 0, error);
  if (fd < 0) return FALSE;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  if (mount(path, target, "none", MS_BIND | MS_REC, NULL) == 0) return TRUE;
  error_set_errno(error, errno, "cannot bind '%s' on '%s'", source, target);
  return FALSE;
}
