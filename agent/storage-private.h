/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the storage*.c files only. */
#pragma once

#include <sys/types.h>

#include "agent/storage.h"

/* What a driver works on. */
typedef struct {
  const Grpc__Storage *storage;
  const char *container_id; /* NULL: the sandbox's */
  const char *device;       /* the node of the device that was waited for */
  int source_fd;            /* what STORAGE_OPENS_SOURCE opened, -1 */
  int target_fd;            /* the mount point, O_PATH */
  char *target_fd_path;     /* /proc/self/fd/N of it, for mount(2) */
  char *target;             /* its path without links */
  GString *note;            /* what the driver says to the main process */
} StoragePlace;

enum {
  STORAGE_OPENS_SOURCE = 1,   /* the source is a path, file or directory; the mount point is made alike */
  STORAGE_IS_DIRECTORY = 2,   /* nothing is mounted */
  STORAGE_IS_OF_POD = 4,      /* in the directories of the sandbox it stays as long as the sandbox */
  STORAGE_NEEDS_CONTAINER = 8 /* none for the sandbox as a whole */
};

typedef struct {
  const char *device; /* the kind of device its source is the address of (agent/device-kind.h); NULL: none */
  guint flags;
  /* Says what is wrong before anything is done; NULL: nothing can be. */
  gboolean (*check)(const Grpc__Storage *storage, GError **error);
  /* Runs in a helper process: changes nothing but files and mounts. */
  gboolean (*mount)(const StoragePlace *place, GError **error);
  /* After it was unmounted, or instead; likewise. NULL: nothing more to do. */
  void (*release)(const Grpc__Storage *storage, const char *target);
  const char *driver_option; /* the one it knows, or how it begins; NULL: none */
} StorageDriver;

/* By name; NULL: there is none. */
const StorageDriver *storage_driver_find(const char *name);

extern const StorageDriver storage_virtiofs, storage_block, storage_nvdimm, storage_mmio, storage_scsi, storage_overlay,
    storage_bind, storage_ephemeral, storage_local, storage_watchable;

/* What upstream's runtime calls a file system of type "bind": the disk's node itself is wanted, at a file. */
gboolean storage_is_bare_disk(const StorageDriver *driver, const Grpc__Storage *storage);

/* mount(2) at the place with these options. */
gboolean storage_mount(const StoragePlace *place, const char *source, const char *fstype, char *const *options,
                       gsize n_options, GError **error);
/* Binds what is open at source_fd there, with the storage's options. */
gboolean storage_mount_bind(const StoragePlace *place, GError **error);
/* The root of what has been mounted at the place. */
int storage_open_mounted(const StoragePlace *place, GError **error);

/* Opens, and makes, the place of a storage; the strings and descriptors are the caller's to free with
 * storage_place_clear(). */
gboolean storage_place_open(StoragePlace *place, const StorageDriver *driver, const Grpc__Storage *storage,
                            GError **error);
void storage_place_clear(StoragePlace *place);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StoragePlace, storage_place_clear)

/* Gives all that is below fd to the storage's group, if it has one. */
gboolean storage_set_group(const Grpc__Storage *storage, int fd, GError **error);

/* Changes the options of a mounted "ephemeral" one. */
gboolean storage_ephemeral_update(const Grpc__Storage *storage, const char *target, GError **error);

/* Takes the options that begin with prefix out of a list of char *; the value of the last one, or NULL. */
const char *storage_take_option(GPtrArray *options, const char *prefix);
GPtrArray *storage_copy_options(const Grpc__Storage *storage);
gboolean storage_has_option(const Grpc__Storage *storage, const char *word);
