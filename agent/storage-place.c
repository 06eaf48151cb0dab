/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a storage goes, and what all drivers do there. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/mount.h"
#include "agent/storage-private.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* ---- options ---- */

const char *storage_take_option(GPtrArray *options, const char *prefix) {
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

GPtrArray *storage_copy_options(const Grpc__Storage *storage) {
  GPtrArray *options = g_ptr_array_new();
  for (gsize i = 0; i < storage->n_options; i++) g_ptr_array_add(options, storage->options[i]);
  return options;
}

gboolean storage_has_option(const Grpc__Storage *storage, const char *word) {
  for (gsize i = 0; i < storage->n_options; i++)
    if (strcmp(storage->options[i], word) == 0) return TRUE;
  return FALSE;
}

/* ---- the place ---- */

static gboolean open_source(StoragePlace *place, gboolean *ret_is_directory, GError **error) {
  struct stat info;
  if (!safe_path_check(place->storage->source, "storage source", error)) return FALSE;
  place->source_fd = mount_open(place->storage->source, O_PATH, error);
  if (place->source_fd < 0) return FALSE;
  if (fstat(place->source_fd, &info) < 0) {
    error_set_errno(error, errno, "cannot look at storage source '%s'", place->storage->source);
    return FALSE;
  }
  *ret_is_directory = S_ISDIR(info.st_mode);
  return TRUE;
}

/* Makes an empty file, if there is none, and opens it without following links. */
static int open_file_target(int root, const char *below, GError **error) {
  g_autofree char *parent = g_path_get_dirname(below);
  g_autofree char *name = g_path_get_basename(below);
  autofd int directory = safe_mkdirs(root, parent, 0755, error);
  if (directory < 0) return -1;
  autofd int made = openat(directory, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
  int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat info;
  if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
  error_set_errno(error, fd < 0 ? errno : EINVAL, "cannot make the mount point '%s' a file", below);
  fd_clear(&fd);
  return -1;
}

gboolean storage_is_bare_disk(const StorageDriver *driver, const Grpc__Storage *storage) {
  return driver->device != NULL && strcmp(storage->fstype, "bind") == 0;
}

gboolean storage_place_open(StoragePlace *place, const StorageDriver *driver, const Grpc__Storage *storage,
                            GError **error) {
  gboolean is_directory = !storage_is_bare_disk(driver, storage);
  const char *below = NULL;
  place->storage = storage;
  place->source_fd = place->target_fd = -1;
  if ((driver->flags & STORAGE_OPENS_SOURCE) && !open_source(place, &is_directory, error)) return FALSE;
  g_autofree char *normal = g_canonicalize_filename(storage->mount_point, "/");
  autofd int root = mount_open_root(normal, &below, error);
  if (root < 0) return FALSE;
  place->target_fd = is_directory ? safe_mkdirs(root, below, 0755, error) : open_file_target(root, below, error);
  if (place->target_fd < 0) return FALSE;
  place->target_fd_path = g_strdup_printf("/proc/self/fd/%d", place->target_fd);
  place->target = g_file_read_link(place->target_fd_path, error);
  return place->target != NULL;
}

void storage_place_clear(StoragePlace *place) {
  fd_clear(&place->source_fd);
  fd_clear(&place->target_fd);
  g_clear_pointer(&place->target_fd_path, g_free);
  g_clear_pointer(&place->target, g_free);
}

/* ---- mounting there ---- */

int storage_open_mounted(const StoragePlace *place, GError **error) {
  const char *below = NULL;
  autofd int root = mount_open_root(place->target, &below, error);
  return root < 0 ? -1 : safe_open(root, below, O_PATH | O_NOFOLLOW, 0, error);
}

static gboolean set_propagation(const StoragePlace *place, unsigned long propagation, GError **error) {
  if (!propagation) return TRUE;
  autofd int fd = storage_open_mounted(place, error);
  if (fd >= 0 && mount_set_attributes(fd, 0, propagation, error)) return TRUE;
  umount2(place->target, UMOUNT_NOFOLLOW | MNT_DETACH);
  return FALSE;
}

gboolean storage_mount(const StoragePlace *place, const char *source, const char *fstype, char *const *options,
                       gsize n_options, GError **error) {
  unsigned long flags = 0;
  g_autofree char *data = NULL;
  if (!mount_parse_options(options, n_options, &flags, &data, error)) return FALSE;
  if (flags & (MS_BIND | MS_REMOUNT)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "driver '%s' mounts '%s' anew: no '%s' there",
                place->storage->driver, place->storage->mount_point, (flags & MS_BIND) ? "bind" : "remount");
    return FALSE;
  }
  if (mount(source, place->target_fd_path, fstype, flags, data) < 0) {
    error_set_errno(error, errno, "cannot mount '%s' of type '%s' on '%s' with options '%s'", source, fstype,
                    place->storage->mount_point, data ? data : "");
    return FALSE;
  }
  return set_propagation(place, mount_get_propagation(options, n_options), error);
}

gboolean storage_mount_bind(const StoragePlace *place, GError **error) {
  const Grpc__Storage *storage = place->storage;
  unsigned long flags = 0;
  g_autofree char *data = NULL;
  if (!mount_parse_options(storage->options, storage->n_options, &flags, &data, error)) return FALSE;
  autofd int tree = mount_copy_tree(place->source_fd, flags, error);
  /* The group first: what is read-only cannot be given away. */
  if (tree >= 0 && storage_set_group(storage, tree, error) &&
      mount_set_attributes(tree, flags, mount_get_propagation(storage->options, storage->n_options), error) &&
      mount_attach(tree, place->target_fd, error))
    return TRUE;
  g_prefix_error(error, "cannot bind '%s' on '%s': ", storage->source, storage->mount_point);
  return FALSE;
}
