/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks with a file system: virtio, SCSI, persistent memory. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "agent/storage-private.h"
#include "common/error.h"
#include "common/spawn.h"

#define OPTION_CREATE "create_filesystem"
#define OPTION_KEY "encryption_key="
#define OPTION_DAX "dax"
#define MKFS "mkfs.ext4"
#define MKFS_TIMEOUT_MS 600000
#define MKFS_WORDS_MAX 4096

static gboolean wants_file_system(const Grpc__Storage *storage) {
  for (gsize i = 0; i < storage->n_driver_options; i++)
    if (strcmp(storage->driver_options[i], OPTION_CREATE) == 0) return TRUE;
  return FALSE;
}

static gboolean check_disk(const Grpc__Storage *storage, GError **error) {
  for (gsize i = 0; i < storage->n_driver_options; i++) {
    if (!g_str_has_prefix(storage->driver_options[i], OPTION_KEY)) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot encrypt '%s': this guest has no confidential data hub for driver option '%s'", storage->source,
                storage->driver_options[i]);
    return FALSE;
  }
  if (!*storage->fstype) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "storage '%s' of driver '%s' has no fstype",
                storage->mount_point, storage->driver);
    return FALSE;
  }
  if (!wants_file_system(storage) || strcmp(storage->fstype, "ext4") == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "cannot make a file system of type '%s' on '%s': driver option '" OPTION_CREATE "' makes ext4",
              storage->fstype, storage->source);
  return FALSE;
}

static gboolean make_file_system(const char *device, GError **error) {
  g_autofree char *program = g_find_program_in_path(MKFS);
  if (!program) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot make a file system on '%s': the guest image has no '" MKFS "' (mkguest --mkfs adds it)",
                device);
    return FALSE;
  }
  const char *const argv[] = {program, "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1", device, NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  g_autofree char *said = NULL;
  int wait_status = 0;
  if (!spawn_run(&options, NULL, MKFS_WORDS_MAX, MKFS_TIMEOUT_MS, NULL, NULL, &said, &wait_status, error)) return FALSE;
  if (wait_status == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_IO, "'" MKFS "' failed on '%s': %s", device,
              said && *said ? g_strdelimit(g_strchomp(said), "\n", ' ') : "it did not say why");
  return FALSE;
}

static gboolean bind_node(const StoragePlace *place, GError **error) {
  if (mount(place->device, place->target_fd_path, NULL, MS_BIND, NULL) == 0) return TRUE;
  error_set_errno(error, errno, "cannot bind '%s' on '%s'", place->device, place->storage->mount_point);
  return FALSE;
}

static gboolean mount_disk(const StoragePlace *place, GError **error) {
  const Grpc__Storage *storage = place->storage;
  if (storage_is_bare_disk(storage_driver_find(storage->driver), storage)) return bind_node(place, error);
  if (wants_file_system(storage) && !make_file_system(place->device, error)) return FALSE;
  return storage_mount(place, place->device, storage->fstype, storage->options, storage->n_options, error);
}

/* Memory that the kernel keeps no page structures for cannot be mapped by files; upstream's runtime asks for that all
 * the same. */
static gboolean mount_pmem(const StoragePlace *place, GError **error) {
  const Grpc__Storage *storage = place->storage;
  g_autoptr(GError) failure = NULL;
  if (mount_disk(place, &failure)) return TRUE;
  g_autoptr(GPtrArray) options = g_ptr_array_new();
  for (gsize i = 0; i < storage->n_options; i++)
    if (strcmp(storage->options[i], OPTION_DAX) != 0) g_ptr_array_add(options, storage->options[i]);
  if (options->len < storage->n_options &&
      storage_mount(place, place->device, storage->fstype, (char **)options->pdata, options->len, NULL)) {
    g_warning("'%s' is mounted without the option '" OPTION_DAX "': %s", storage->mount_point, failure->message);
    return TRUE;
  }
  g_propagate_error(error, g_steal_pointer(&failure));
  return FALSE;
}

const StorageDriver storage_block = {"blk", 0, check_disk, mount_disk, NULL, OPTION_CREATE};
const StorageDriver storage_mmio = {"mmioblk", 0, check_disk, mount_disk, NULL, OPTION_CREATE};
const StorageDriver storage_scsi = {"scsi", 0, check_disk, mount_disk, NULL, OPTION_CREATE};
const StorageDriver storage_nvdimm = {"nvdimm", 0, check_disk, mount_pmem, NULL, OPTION_CREATE};
