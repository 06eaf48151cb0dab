/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers on top of each other, binds, and the host's shared tree. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/mount.h"
#include "agent/storage-private.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

#define TAG_WAIT_MS 3000u
#define TAG_POLL_MS 5u

/* Adds a layer to be written to, the container's own. */
#define OPTION_WRITABLE "io.katacontainers.fs-opt.overlay-rw"
/* Other options of snapshotters that are no file system's. */
#define OPTION_OURS "io.katacontainers."
#define DRIVER_OPTION_CREATE "io.katacontainers.volume.overlayfs.create_directory="
/* The kernel stacks 500. */
#define LAYERS_MAX 500

/* ---- overlayfs ---- */

static gboolean check_overlay(const Grpc__Storage *storage, GError **error) {
  if (strcmp(storage->fstype, "overlay") == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "storage '%s' of driver 'overlayfs' has fstype '%s'",
              storage->mount_point, storage->fstype);
  return FALSE;
}

static gboolean make_directory(const char *path, GError **error) {
  const char *below = NULL;
  if (!safe_path_check(path, "directory", error)) return FALSE;
  autofd int root = mount_open_root(path, &below, error);
  autofd int fd = root < 0 ? -1 : safe_mkdirs(root, below, 0755, error);
  return fd >= 0;
}

static gboolean make_directories(const Grpc__Storage *storage, GError **error) {
  for (gsize i = 0; i < storage->n_driver_options; i++) {
    const char *option = storage->driver_options[i];
    if (!g_str_has_prefix(option, DRIVER_OPTION_CREATE)) continue;
    if (!make_directory(option + strlen(DRIVER_OPTION_CREATE), error)) return FALSE;
  }
  return TRUE;
}

/* Directories as they are found, so that no link can be put in their way before the kernel looks. */
static gboolean append_opened(GString *text, GArray *fds, const char *path, GError **error) {
  const char *below = NULL;
  if (!safe_path_check(path, "layer", error)) return FALSE;
  if (fds->len >= LAYERS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d layers", LAYERS_MAX);
    return FALSE;
  }
  autofd int root = mount_open_root(path, &below, error);
  int fd = root < 0 ? -1 : safe_open(root, below, O_PATH | O_DIRECTORY, 0, error);
  if (fd < 0) return FALSE;
  g_array_append_val(fds, fd);
  g_string_append_printf(text, "/proc/self/fd/%d", fd);
  return TRUE;
}

static char *open_layers(const char *option, GArray *fds, GError **error) {
  const char *value = strchr(option, '=') + 1;
  g_autoptr(GString) text = g_string_new_len(option, value - option);
  g_auto(GStrv) paths = g_strsplit(value, ":", -1);
  for (char **path = paths; *path; path++) {
    if (path > paths) g_string_append_c(text, ':');
    if (!append_opened(text, fds, *path, error)) return NULL;
  }
  return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean names_directories(const char *option) {
  return g_str_has_prefix(option, "lowerdir=") || g_str_has_prefix(option, "upperdir=") ||
         g_str_has_prefix(option, "workdir=");
}

static gboolean add_writable_layer(const StoragePlace *place, GPtrArray *options, GError **error) {
  if (!place->container_id) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "option '%s' is for containers only", OPTION_WRITABLE);
    return FALSE;
  }
  static const char *const layers[][2] = {{"upperdir", STORAGE_LAYER_NAME}, {"workdir", "work"}};
  for (gsize i = 0; i < G_N_ELEMENTS(layers); i++) {
    g_autofree char *path = g_build_filename(MOUNT_ROOT, place->container_id, layers[i][1], NULL);
    if (!make_directory(path, error)) return FALSE;
    g_ptr_array_add(options, g_strconcat(layers[i][0], "=", path, NULL));
  }
  return TRUE;
}

static GPtrArray *overlay_options(const StoragePlace *place, GArray *fds, GError **error) {
  const Grpc__Storage *storage = place->storage;
  g_autoptr(GPtrArray) given = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) options = g_ptr_array_new_with_free_func(g_free);
  for (gsize i = 0; i < storage->n_options; i++) {
    const char *option = storage->options[i];
    if (!g_str_has_prefix(option, OPTION_OURS))
      g_ptr_array_add(given, g_strdup(option));
    else if (strcmp(option, OPTION_WRITABLE) != 0)
      g_warning("storage '%s': the option '%s' is not known here", storage->mount_point, option);
  }
  if (storage_has_option(storage, OPTION_WRITABLE) && !add_writable_layer(place, given, error)) return NULL;
  for (guint i = 0; i < given->len; i++) {
    const char *option = g_ptr_array_index(given, i);
    char *opened = names_directories(option) ? open_layers(option, fds, error) : g_strdup(option);
    if (!opened) return NULL;
    g_ptr_array_add(options, opened);
  }
  return g_steal_pointer(&options);
}

static gboolean mount_overlay(const StoragePlace *place, GError **error) {
  g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
  if (!make_directories(place->storage, error)) return FALSE;
  g_autoptr(GPtrArray) options = overlay_options(place, fds, error);
  gboolean is_mounted =
      options && storage_mount(place, "overlay", "overlay", (char **)options->pdata, options->len, error);
  for (guint i = 0; i < fds->len; i++) close(g_array_index(fds, int, i));
  return is_mounted;
}

const StorageDriver storage_overlay = {NULL, 0, check_overlay, mount_overlay, NULL, DRIVER_OPTION_CREATE};

/* ---- bind ---- */

const StorageDriver storage_bind = {NULL, STORAGE_OPENS_SOURCE, NULL, storage_mount_bind, NULL};

/* ---- virtio-fs ---- */

static gboolean check_virtiofs(const Grpc__Storage *storage, GError **error) {
  if (*storage->source && (!*storage->fstype || strcmp(storage->fstype, "virtiofs") == 0)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "storage '%s' of driver 'virtio-fs' needs a tag as source and fstype 'virtiofs', not '%s' and '%s'",
              storage->mount_point, storage->source, storage->fstype);
  return FALSE;
}

/* The device may have been plugged in just now: until its driver knows it the kernel calls the tag invalid. In a
 * process of its own, which may sleep. */
static gboolean mount_virtiofs(const StoragePlace *place, GError **error) {
  const Grpc__Storage *storage = place->storage;
  for (guint waited = 0;; waited += TAG_POLL_MS) {
    g_autoptr(GError) why = NULL;
    if (storage_mount(place, storage->source, "virtiofs", storage->options, storage->n_options, &why)) return TRUE;
    if (error_get_code(why) != KATA_ERR_INVALID_ARGUMENT || waited >= TAG_WAIT_MS) {
      g_propagate_error(error, g_steal_pointer(&why));
      return FALSE;
    }
    g_usleep(TAG_POLL_MS * 1000);
  }
}

const StorageDriver storage_virtiofs = {NULL, 0, check_virtiofs, mount_virtiofs, NULL};
