// SPDX-License-Identifier: LGPL-2.1-or-later
/* Volumes that are disks of the guest, or devices: what is plugged in for them, and how the guest finds it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/error.h"
#include "common/protobuf-text.h"
#include "lib/vm-config.h"
#include "shim/volumes-private.h"

/* ---- what is plugged in ---- */

typedef struct {
  int fd;       /* of the device or the image, or -1: */
  dev_t device; /* the device's numbers */
  const char *shown;
  gboolean read_only;
  const char *direct; /* the direct-assigned volume that it is, or NULL */
} Source;

/* Whether number i of linux.devices is to be plugged in. */
static gboolean find_listed(const Volumes *volumes, size_t i, Source *ret) {
  const Grpc__LinuxDevice *device = volumes->spec->linux->devices[i];
  dev_t number = makedev((guint)device->major, (guint)device->minor);
  *ret = (Source){
      .fd = -1, .device = number, .shown = device->path, .read_only = !volumes_may_write(volumes->spec, number)};
  return strcmp(device->type, "b") == 0;
}

/* Whether a volume is. */
static gboolean find_source(const Volumes *volumes, guint number, Source *ret) {
  const Volume *volume = volumes->volumes->pdata[number];
  const GuestShare *share = volumes->shares->pdata[number];
  *ret = (Source){
      .fd = g_array_index(volumes->trees, int, number), .shown = share->host_path, .read_only = volume->read_only};
  switch (volume->kind) {
    case VOLUME_DISK:
      ret->device = volume->device;
      if (volume->device != 0) ret->fd = -1;
      return TRUE;
    case VOLUME_DEVICE:
      return volumes_find_mount(volumes, number) != NULL && volumes->spec->linux != NULL;
    case VOLUME_DIRECT:
      ret->fd = volume->device_fd;
      ret->shown = volume->direct->device;
      ret->direct = share->host_path;
      return TRUE;
    default:
      return FALSE;
  }
}

/* One that another container of the pod has is plugged in already. */
static gboolean plug_or_use(Sandbox *sandbox, const Source *source, guint *ret_port, GError **error) {
  if (source->direct != NULL && disks_use_volume(sandbox->disks, source->direct, ret_port)) return TRUE;
  if (!disks_plug(sandbox->disks, sandbox->vm, source->fd, source->device, source->shown, source->read_only, ret_port,
                  error))
    return FALSE;
  if (source->direct != NULL) disks_set_volume(sandbox->disks, *ret_port, source->direct);
  return TRUE;
}

/* NULL with an error, else where the guest finds it. */
static char *plug(Volumes *volumes, const Source *source, Kata__V1__DiskState **ret_disk, GError **error) {
  Sandbox *sandbox = volumes->sandbox;
  Kata__V1__DiskState *disk = NULL;
  guint port = 0;
  g_mutex_lock(&sandbox->resizing);
  if (sandbox->disks == NULL || sandbox->vm == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot plug '%s' in: the guest has ended", source->shown);
  else if (plug_or_use(sandbox, source, &port, error))
    disk = disks_to_state(sandbox->disks, port);
  g_mutex_unlock(&sandbox->resizing);
  if (disk == NULL) return NULL;
  g_ptr_array_add(volumes->disks, disk);
  *ret_disk = disk;
  return vm_config_port_pci_path(port);
}

/* ---- disks ---- */

#define OPTION_WRITABLE "io.katacontainers.fs-opt.overlay-rw"
#define DRIVER_OPTION_CREATE "io.katacontainers.volume.overlayfs.create_directory="

static Grpc__Storage *add_overlay(Volumes *volumes, const char *lowers, const char *mount_point) {
  Grpc__Storage *overlay = volumes_add_storage(volumes, "overlayfs", "overlay", "overlay", mount_point);
  g_autofree char *option = g_strconcat("lowerdir=", lowers, NULL);
  volumes_add_option(overlay, option);
  return overlay;
}

static char *storage_path(const Volumes *volumes, guint number) {
  const GuestShare *share = volumes->shares->pdata[number];
  return g_strconcat(GUEST_STORAGE_DIR, share->name, NULL);
}

gboolean volumes_show_disk(Volumes *volumes, guint number, GError **error) {
  const Volume *volume = volumes->volumes->pdata[number];
  Source source;
  Kata__V1__DiskState *disk = NULL;
  g_autofree char *place = find_source(volumes, number, &source) ? plug(volumes, &source, &disk, error) : NULL;
  if (place == NULL) return FALSE;
  g_autofree char *mount_point = storage_path(volumes, number);
  g_autofree char *lower = g_strconcat(mount_point, ",lower", NULL);
  /* What cannot be written to gets a layer of memory on top: runtimes make mount points in it. */
  gboolean needs_layer = number == 0 && volume->read_only;
  protobuf_set_string(&disk->guest_path, mount_point);
  protobuf_set_string(&disk->fstype, volume->fstype);
  Grpc__Storage *storage =
      volumes_add_storage(volumes, "blk", place, volume->fstype, needs_layer ? lower : mount_point);
  for (char **option = volume->options; option != NULL && *option != NULL; option++)
    volumes_add_option(storage, *option);
  if (volume->read_only) volumes_add_option(storage, "ro");
  if (needs_layer) volumes_add_option(add_overlay(volumes, lower, mount_point), OPTION_WRITABLE);
  if (number == 0) protobuf_set_string(&volumes->spec->root->path, mount_point);
  return TRUE;
}

static void add_directory(Grpc__Storage *overlay, const char *option, const char *top, const char *name) {
  g_autofree char *path = g_build_filename(top, name, NULL);
  g_autofree char *word = g_strconcat(option, path, NULL);
  g_autofree char *create = g_strconcat(DRIVER_OPTION_CREATE, path, NULL);
  volumes_add_option(overlay, word);
  protobuf_append_string(&overlay->driver_options, &overlay->n_driver_options, create);
}

/* Once the layers are disks of the guest: what joins them. */
void volumes_join_layers(Volumes *volumes) {
  const GuestShare *root = volumes->shares->pdata[0];
  const RootfsLayers *layers = root->layers;
  if (layers == NULL) return;
  g_autofree char *mount_point = storage_path(volumes, 0);
  g_autoptr(GString) lowers = g_string_new(NULL);
  for (guint i = 0; i < layers->lowers->len; i++) {
    g_autofree char *lower = storage_path(volumes, layers->first_share + g_array_index(layers->lowers, guint, i));
    g_string_append_printf(lowers, "%s%s", i > 0 ? ":" : "", lower);
  }
  Grpc__Storage *overlay = add_overlay(volumes, lowers->str, mount_point);
  if (layers->upper >= 0) {
    g_autofree char *upper = storage_path(volumes, layers->first_share + (guint)layers->upper);
    add_directory(overlay, "upperdir=", upper, layers->upperdir);
    add_directory(overlay, "workdir=", upper, layers->workdir);
  } else {
    volumes_add_option(overlay, OPTION_WRITABLE);
  }
  for (char **option = layers->options; *option != NULL; option++) volumes_add_option(overlay, *option);
  protobuf_set_string(&volumes->spec->root->path, mount_point);
}

static void set_group(Grpc__Storage *storage, const DirectVolume *direct) {
  if (!direct->has_group) return;
  storage->fs_group = malloc(sizeof *storage->fs_group);
  grpc__fsgroup__init(storage->fs_group);
  storage->fs_group->group_id = direct->group;
  storage->fs_group->group_change_policy = direct->only_if_root_differs ? TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch
                                                                        : TYPES__FSGROUP_CHANGE_POLICY__Always;
}

/* So that "katactl direct-volume" finds the guest. */
static void note_user(const Volumes *volumes, const char *path) {
  g_autoptr(GError) error = NULL;
  if (!direct_volume_add_user(path, volumes->sandbox->id, volumes->sandbox->root, &error))
    g_warning("nobody will find out which sandbox has '%s': %s", path, error->message);
}

/* Containers of a pod that ask for the same mount point have one mount. */
gboolean volumes_show_direct(Volumes *volumes, guint number, GError **error) {
  const Volume *volume = volumes->volumes->pdata[number];
  const GuestShare *share = volumes->shares->pdata[number];
  const DirectVolume *direct = volume->direct;
  const char *path = share->host_path;
  Source source;
  Kata__V1__DiskState *disk = NULL;
  g_autofree char *place = find_source(volumes, number, &source) ? plug(volumes, &source, &disk, error) : NULL;
  if (place == NULL) {
    g_prefix_error(error, "direct-assigned volume '%s': ", path);
    return FALSE;
  }
  g_autofree char *mount_point = direct_volume_guest_path(path);
  protobuf_set_string(&disk->guest_path, mount_point);
  protobuf_set_string(&disk->fstype, volume->fstype);
  Grpc__Storage *storage = volumes_add_storage(volumes, "blk", place, volume->fstype, mount_point);
  for (char **option = direct->options; *option != NULL; option++) volumes_add_option(storage, *option);
  if (volume->read_only) volumes_add_option(storage, "ro");
  set_group(storage, direct);
  protobuf_set_string(&volumes_find_mount(volumes, number)->source, mount_point);
  note_user(volumes, path);
  return TRUE;
}

/* ---- bare devices ---- */

static void add_device(Volumes *volumes, const char *place, const char *path) {
  Grpc__Device *device = malloc(sizeof *device);
  grpc__device__init(device);
  protobuf_set_string(&device->id, place);
  protobuf_set_string(&device->type, "blk");
  protobuf_set_string(&device->container_path, path);
  g_ptr_array_add(volumes->devices, device);
}

static void list_device(Grpc__Linux *lin, const char *path, const struct stat *status) {
  Grpc__LinuxDevice *device = malloc(sizeof *device);
  grpc__linux_device__init(device);
  protobuf_set_string(&device->path, path);
  protobuf_set_string(&device->type, "b");
  device->major = major(status->st_rdev);
  device->minor = minor(status->st_rdev);
  device->filemode = status->st_mode & 07777;
  device->uid = status->st_uid;
  device->gid = status->st_gid;
  lin->devices = realloc(lin->devices, (lin->n_devices + 1) * sizeof *lin->devices);
  lin->devices[lin->n_devices++] = device;
}

static void drop_mount(OciSpec *spec, Grpc__Mount *mount) {
  size_t kept = 0;
  for (size_t i = 0; i < spec->n_mounts; i++)
    if (spec->mounts[i] != mount) spec->mounts[kept++] = spec->mounts[i];
  spec->n_mounts = kept;
  protobuf_c_message_free_unpacked(&mount->base, NULL);
}

/* A mount of a device node becomes a device, which the agent gives the guest's numbers. Elsewhere than in /dev, the
 * runtime would leave its node in the container's root file system: there the guest's own node is mounted, and a device
 * nobody looks for makes the agent allow it. */
gboolean volumes_show_device(Volumes *volumes, guint number, GError **error) {
  const GuestShare *share = volumes->shares->pdata[number];
  Grpc__Mount *mount = volumes_find_mount(volumes, number);
  Source source;
  struct stat status;
  Kata__V1__DiskState *disk = NULL;
  if (!find_source(volumes, number, &source)) return TRUE;
  if (fstat(source.fd, &status) < 0) {
    error_set_errno(error, errno, "cannot look at '%s'", source.shown);
    return FALSE;
  }
  g_autofree char *place = plug(volumes, &source, &disk, error);
  if (place == NULL) return FALSE;
  gboolean in_dev = g_str_has_prefix(mount->destination, "/dev/");
  g_autofree char *path = in_dev ? g_strdup(mount->destination) : g_strdup_printf("/dev/.kata-disk-%u", disk->port);
  list_device(volumes->spec->linux, path, &status);
  add_device(volumes, place, path);
  if (in_dev) {
    drop_mount(volumes->spec, mount);
    return TRUE;
  }
  g_autofree char *node = g_strconcat(GUEST_STORAGE_DIR, share->name, NULL);
  volumes_add_storage(volumes, "blk", place, "bind", node);
  protobuf_set_string(&mount->source, node);
  protobuf_set_string(&disk->guest_path, node);
  return TRUE;
}

/* Those that config.json lists itself, as opposed to those it mounts. */
gboolean volumes_plug_listed_devices(Volumes *volumes, GError **error) {
  Grpc__Linux *lin = volumes->spec->linux;
  for (size_t i = 0; lin != NULL && i < lin->n_devices; i++) {
    Source source;
    Kata__V1__DiskState *disk = NULL;
    if (!find_listed(volumes, i, &source)) continue;
    g_autofree char *place = plug(volumes, &source, &disk, error);
    if (place == NULL) {
      g_prefix_error(error, "config.json: linux.devices: ");
      return FALSE;
    }
    add_device(volumes, place, source.shown);
  }
  return TRUE;
}

/* ---- a restored guest ---- */

/* In the order of volumes_show(). */
static GArray *list_sources(const Volumes *volumes) {
  GArray *list = g_array_new(FALSE, FALSE, sizeof(Source));
  const Grpc__Linux *lin = volumes->spec->linux;
  Source source;
  for (size_t i = 0; lin != NULL && i < lin->n_devices; i++)
    if (find_listed(volumes, i, &source)) g_array_append_val(list, source);
  for (guint i = 0; i < volumes->volumes->len; i++)
    if (find_source(volumes, i, &source)) g_array_append_val(list, source);
  return list;
}

gboolean volumes_prepare_disks(Volumes *volumes, const Kata__V1__ContainerState *saved, Disks *disks, GError **error) {
  g_autoptr(GArray) list = list_sources(volumes);
  if (list->len != saved->n_disks) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot restore the checkpoint: the bundle has %u disks, what was saved %zu", list->len,
                saved->n_disks);
    return FALSE;
  }
  for (guint i = 0; i < list->len; i++) {
    const Source *source = &g_array_index(list, Source, i);
    const Kata__V1__DiskState *disk = saved->disks[i];
    if (!disks_prepare(disks, disk->port, source->fd, source->device, source->shown, disk->read_only, error))
      return FALSE;
    if (source->direct != NULL) {
      disks_set_volume(disks, disk->port, source->direct);
      note_user(volumes, source->direct);
    }
    Kata__V1__DiskState *own = disks_to_state(disks, disk->port);
    protobuf_set_string(&own->guest_path, disk->guest_path);
    protobuf_set_string(&own->fstype, disk->fstype);
    g_ptr_array_add(volumes->disks, own);
  }
  return TRUE;
}

/* ---- sizes ---- */

static gboolean find_port(const Sandbox *sandbox, const char *guest_path, guint *ret_port) {
  g_autoptr(GPtrArray) containers = sandbox_get_containers((Sandbox *)sandbox);
  gboolean found = FALSE;
  for (guint i = 0; i < containers->len && !found; i++) {
    Container *container = containers->pdata[i];
    g_mutex_lock(&container->lock);
    for (guint k = 0; k < container->disks->len && !found; k++) {
      const Kata__V1__DiskState *disk = container->disks->pdata[k];
      found = strcmp(disk->guest_path, guest_path) == 0;
      if (found) *ret_port = disk->port;
    }
    g_mutex_unlock(&container->lock);
  }
  return found;
}

gboolean volumes_update_size(Sandbox *sandbox, const char *guest_path, GError **error) {
  guint port = 0;
  guint64 bytes = 0;
  if (*guest_path == '\0' || !find_port(sandbox, guest_path, &port)) return TRUE;
  g_mutex_lock(&sandbox->resizing);
  gboolean done = sandbox->disks == NULL || sandbox->vm == NULL || disks_get(sandbox->disks, port) == NULL ||
                  disks_update_size(sandbox->disks, sandbox->vm, port, &bytes, error);
  g_mutex_unlock(&sandbox->resizing);
  return done;
}
