/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/direct-volume.h"
#include "shim/guest-spec.h"
#include "shim/volumes.h"

typedef enum {
  VOLUME_TREE,
  VOLUME_COPY,
  VOLUME_DISK,
  VOLUME_LAYERS,
  VOLUME_DEVICE,
  VOLUME_DIRECT,
  VOLUME_GUEST,
  VOLUME_MEMORY,
  VOLUME_PAGES,
  VOLUME_SHM
} VolumeKind;

/* Number i of Volumes.volumes is about number i of its shares. */
typedef struct {
  VolumeKind kind;
  gboolean read_only;
  dev_t device;     /* of a disk that is found as a mount: which; else 0 */
  char *fstype;     /* DISK, DIRECT */
  char **options;   /* DISK: to mount it with, without "ro"; NULL: none */
  char *guest_path; /* GUEST */
  DirectVolume *direct;
  int device_fd;      /* DIRECT: its device, else -1 */
  guint64 bytes;      /* MEMORY, PAGES, SHM: its limit, 0: none */
  guint64 page_bytes; /* PAGES */
  guint32 mode, gid;  /* MEMORY, PAGES */
} Volume;

struct Volumes {
  Sandbox *sandbox;
  char *id;
  pid_t peer;
  OciSpec *spec;
  GPtrArray *shares;
  GArray *trees;
  GPtrArray *volumes;
  guint n_shown;
  GPtrArray *names;     /* shown in the share */
  GPtrArray *disks;     /* Kata__V1__DiskState, plugged in */
  GPtrArray *copies;    /* CopyTree */
  gboolean has_watched; /* the place for them is among storages */
  GPtrArray *storages;  /* Grpc__Storage, Grpc__Device: of the request */
  GPtrArray *devices;
};

void volume_free(Volume *volume);
/* The choice for one of them; NULL with an error. */
Volume *volume_choose(const Volumes *volumes, guint number, GError **error);
/* The mount of config.json that it is for, NULL: the root file system's, or none. */
Grpc__Mount *volumes_find_mount(const Volumes *volumes, guint number);
/* A copy of a volume's tree that follows the host's mounts, if it is to; else -1. */
int volumes_open_slave(const Volumes *volumes, guint number);
/* Whether a rule of the cgroup lets the container write to the device; without one it may. */
gboolean volumes_may_write(const OciSpec *spec, dev_t device);
/* To the request's storages; the result is theirs. */
Grpc__Storage *volumes_add_storage(Volumes *volumes, const char *driver, const char *source, const char *fstype,
                                   const char *mount_point);
void volumes_add_option(Grpc__Storage *storage, const char *option);

/* Of one volume that is a disk, a direct-assigned one, or a device. */
gboolean volumes_show_disk(Volumes *volumes, guint number, GError **error);
gboolean volumes_show_direct(Volumes *volumes, guint number, GError **error);
gboolean volumes_show_device(Volumes *volumes, guint number, GError **error);
/* Those that config.json lists itself, as opposed to those it mounts. */
gboolean volumes_plug_listed_devices(Volumes *volumes, GError **error);
/* Once the layers are disks of the guest: what joins them. */
void volumes_join_layers(Volumes *volumes);
