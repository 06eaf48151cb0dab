// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/volumes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/protobuf-text.h"
#include "lib/vm-config.h"
#include "shim/agent-link.h"
#include "shim/volumes-private.h"

/* A directory below the share. */
/* How often copies are compared with what they are of (the agent's watch of shared files: the same). */
#define WATCH_SECONDS 2

static void free_message(gpointer message) { protobuf_c_message_free_unpacked(message, NULL); }

Volumes *volumes_plan(Sandbox *sandbox, const char *container_id, pid_t peer, OciSpec *spec, GPtrArray *shares,
                      GArray *trees, GError **error) {
  g_autoptr(Volumes) volumes = g_new0(Volumes, 1);
  volumes->sandbox = sandbox;
  volumes->id = g_strdup(container_id);
  volumes->peer = peer;
  volumes->spec = spec;
  volumes->shares = shares;
  volumes->trees = trees;
  volumes->volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_free);
  volumes->names = g_ptr_array_new_with_free_func(g_free);
  volumes->disks = g_ptr_array_new_with_free_func(free_message);
  volumes->copies = g_ptr_array_new_with_free_func((GDestroyNotify)copy_tree_free);
  volumes->storages = g_ptr_array_new_with_free_func(free_message);
  volumes->devices = g_ptr_array_new_with_free_func(free_message);
  for (guint i = 0; i < shares->len; i++) {
    Volume *volume = volume_choose(volumes, i, error);
    if (volume == NULL) return NULL;
    g_ptr_array_add(volumes->volumes, volume);
  }
  return g_steal_pointer(&volumes);
}

void volumes_free(Volumes *volumes) {
  if (volumes == NULL) return;
  g_ptr_array_unref(volumes->volumes);
  g_ptr_array_unref(volumes->names);
  g_ptr_array_unref(volumes->disks);
  g_ptr_array_unref(volumes->copies);
  g_ptr_array_unref(volumes->storages);
  g_ptr_array_unref(volumes->devices);
  g_free(volumes->id);
  g_free(volumes);
}

gboolean volumes_root_is_tree(const Volumes *volumes) {
  return ((const Volume *)volumes->volumes->pdata[0])->kind == VOLUME_TREE;
}

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

static Grpc__Storage *add_storage(Volumes *volumes, const char *driver, const char *source, const char *fstype,
                                  const char *mount_point) {
  Grpc__Storage *storage = malloc(sizeof *storage);
  grpc__storage__init(storage);
  protobuf_set_string(&storage->driver, driver);
  protobuf_set_string(&storage->source, source);
  protobuf_set_string(&storage->fstype, fstype);
  protobuf_set_string(&storage->mount_point, mount_point);
  g_ptr_array_add(volumes->storages, storage);
  return storage;
}

static void add_option(Grpc__Storage *storage, const char *option) {
  protobuf_append_string(&storage->options, &storage->n_options, option);
}

#define OPTION_WRITABLE "io.katacontainers.fs-opt.overlay-rw"
#define DRIVER_OPTION_CREATE "io.katacontainers.volume.overlayfs.create_directory="

static Grpc__Storage *add_overlay(Volumes *volumes, const char *lowers, const char *mount_point) {
  Grpc__Storage *overlay = add_storage(volumes, "overlayfs", "overlay", "overlay", mount_point);
  g_autofree char *option = g_strconcat("lowerdir=", lowers, NULL);
  add_option(overlay, option);
  return overlay;
}

static char *storage_path(const Volumes *volumes, guint number) {
  const GuestShare *share = volumes->shares->pdata[number];
  return g_strconcat(GUEST_STORAGE_DIR, share->name, NULL);
}

static gboolean show_disk(Volumes *volumes, guint number, GError **error) {
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
  Grpc__Storage *storage = add_storage(volumes, "blk", place, volume->fstype, needs_layer ? lower : mount_point);
  for (char **option = volume->options; option != NULL && *option != NULL; option++) add_option(storage, *option);
  if (volume->read_only) add_option(storage, "ro");
  if (needs_layer) add_option(add_overlay(volumes, lower, mount_point), OPTION_WRITABLE);
  if (number == 0) protobuf_set_string(&volumes->spec->root->path, mount_point);
  return TRUE;
}

static void add_directory(Grpc__Storage *overlay, const char *option, const char *top, const char *name) {
  g_autofree char *path = g_build_filename(top, name, NULL);
  g_autofree char *word = g_strconcat(option, path, NULL);
  g_autofree char *create = g_strconcat(DRIVER_OPTION_CREATE, path, NULL);
  add_option(overlay, word);
  protobuf_append_string(&overlay->driver_options, &overlay->n_driver_options, create);
}

/* Once the layers are disks of the guest: what joins them. */
static void join_layers(Volumes *volumes) {
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
    add_option(overlay, OPTION_WRITABLE);
  }
  for (char **option = layers->options; *option != NULL; option++) add_option(overlay, *option);
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
static gboolean show_direct(Volumes *volumes, guint number, GError **error) {
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
  Grpc__Storage *storage = add_storage(volumes, "blk", place, volume->fstype, mount_point);
  for (char **option = direct->options; *option != NULL; option++) add_option(storage, *option);
  if (volume->read_only) add_option(storage, "ro");
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
  free_message(mount);
}

/* A mount of a device node becomes a device, which the agent gives the guest's numbers. Elsewhere than in /dev, the
 * runtime would leave its node in the container's root file system: there the guest's own node is mounted, and a device
 * nobody looks for makes the agent allow it. */
static gboolean show_device(Volumes *volumes, guint number, GError **error) {
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
  add_storage(volumes, "blk", place, "bind", node);
  protobuf_set_string(&mount->source, node);
  protobuf_set_string(&disk->guest_path, node);
  return TRUE;
}

/* Those that config.json lists itself, as opposed to those it mounts. */
static gboolean plug_listed_devices(Volumes *volumes, GError **error) {
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

/* ---- the others ---- */

static gboolean show_tree(Volumes *volumes, guint number, GError **error) {
  const GuestShare *share = volumes->shares->pdata[number];
  int *tree = &g_array_index(volumes->trees, int, number);
  Sandbox *sandbox = volumes->sandbox;
  gboolean shown = FALSE;
  autofd int slave = volumes_open_slave(volumes, number);
  g_autoptr(GError) why = NULL;
  g_mutex_lock(&sandbox->resizing);
  if (sandbox->share == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot show '%s' to the guest: it has ended",
                share->host_path);
  else
    shown = share_add(sandbox->share, share->name, fd_steal(tree), share->read_only, error);
  if (shown && slave >= 0 && !share_follow(sandbox->share, share->name, fd_steal(&slave), share->read_only, &why))
    g_warning("mounts of the host will not come to '%s' in the guest: %s", share->host_path, why->message);
  g_mutex_unlock(&sandbox->resizing);
  if (shown) volumes_follow_mounts(sandbox);
  if (shown) g_ptr_array_add(volumes->names, g_strdup(share->name));
  return shown;
}

/* Volumes whose users watch them by inotify, as upstream has it: /.../kubernetes.io~configmap/NAME. */
static gboolean is_watched(const GuestShare *share) {
  g_autofree char *folder = g_path_get_dirname(share->host_path);
  return share->read_only &&
         (g_str_has_suffix(folder, "/kubernetes.io~configmap") || g_str_has_suffix(folder, "/kubernetes.io~secret"));
}

/* Where the agent keeps copies, since upstream's takes no other place: below the share, which is read-only. */
static gboolean make_watched_place(Volumes *volumes, GError **error) {
  Sandbox *sandbox = volumes->sandbox;
  g_mutex_lock(&sandbox->resizing);
  gboolean is_made = sandbox->share == NULL || share_make_place(sandbox->share, VOLUMES_WATCHABLE, error);
  g_mutex_unlock(&sandbox->resizing);
  if (!is_made) return FALSE;
  Grpc__Storage *storage = add_storage(volumes, "ephemeral", "tmpfs", "tmpfs", GUEST_SHARE_DIR VOLUMES_WATCHABLE);
  add_option(storage, "mode=0755");
  add_option(storage, "size=1m");
  return TRUE;
}

/* virtio-fs tells nobody of the host's changes: the agent keeps a copy like the volume, unless that is too large. */
static gboolean watch_tree(Volumes *volumes, guint number, GError **error) {
  const GuestShare *share = volumes->shares->pdata[number];
  Grpc__Mount *mount = volumes_find_mount(volumes, number);
  if (mount == NULL || !is_watched(share)) return TRUE;
  if (!volumes->has_watched && !make_watched_place(volumes, error)) return FALSE;
  volumes->has_watched = TRUE;
  g_autofree char *source = g_strconcat(GUEST_SHARE_DIR, share->name, NULL);
  g_autofree char *target = g_strconcat(GUEST_SHARE_DIR VOLUMES_WATCHABLE "/", share->name, NULL);
  add_storage(volumes, "watchable-bind", source, "bind", target);
  protobuf_set_string(&mount->source, target);
  return TRUE;
}

static gboolean show_copy(Volumes *volumes, guint number, GError **error) {
  const GuestShare *share = volumes->shares->pdata[number];
  int *tree = &g_array_index(volumes->trees, int, number);
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(volumes->sandbox, error);
  if (agent == NULL) return FALSE;
  g_autoptr(CopyTree) copy = copy_tree_new(fd_steal(tree), share->host_path, share->name);
  if (!copy_tree_sync(copy, agent, error)) return FALSE;
  g_ptr_array_add(volumes->copies, g_steal_pointer(&copy));
  return TRUE;
}

static void show_memory(Volumes *volumes, guint number) {
  const Volume *volume = volumes->volumes->pdata[number];
  Grpc__Storage *storage = add_storage(volumes, "ephemeral", "tmpfs", "tmpfs", volume->guest_path);
  g_autofree char *mode = g_strdup_printf("mode=%o", volume->mode);
  g_autofree char *gid = g_strdup_printf("gid=%u", volume->gid);
  g_autofree char *size = g_strdup_printf("size=%" G_GUINT64_FORMAT, volume->bytes);
  add_option(storage, mode);
  add_option(storage, gid);
  if (volume->bytes > 0) add_option(storage, size);
  protobuf_set_string(&volumes_find_mount(volumes, number)->source, volume->guest_path);
}

static void show_pages(Volumes *volumes, guint number) {
  const Volume *volume = volumes->volumes->pdata[number];
  Grpc__Storage *storage = add_storage(volumes, "ephemeral", "nodev", "hugetlbfs", volume->guest_path);
  g_autofree char *option = g_strdup_printf("pagesize=%" G_GUINT64_FORMAT ",size=%" G_GUINT64_FORMAT ",mode=%o,gid=%u",
                                            volume->page_bytes, volume->bytes, volume->mode, volume->gid);
  add_option(storage, option);
  protobuf_set_string(&volumes_find_mount(volumes, number)->source, volume->guest_path);
}

static void show_shm(Volumes *volumes, guint number) {
  const Volume *volume = volumes->volumes->pdata[number];
  Grpc__Mount *mount = volumes_find_mount(volumes, number);
  g_autofree char *size = g_strdup_printf("size=%" G_GUINT64_FORMAT, volume->bytes);
  const char *const options[] = {"nosuid", "noexec", "nodev", "mode=1777", size};
  for (size_t i = 0; i < mount->n_options; i++) free(mount->options[i]);
  mount->n_options = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(options) - (volume->bytes == 0); i++)
    protobuf_append_string(&mount->options, &mount->n_options, options[i]);
  protobuf_set_string(&mount->type, "tmpfs");
  protobuf_set_string(&mount->source, "shm");
}

static gboolean show(Volumes *volumes, guint number, GError **error) {
  const Volume *volume = volumes->volumes->pdata[number];
  switch (volume->kind) {
    case VOLUME_TREE:
      return show_tree(volumes, number, error) && watch_tree(volumes, number, error);
    case VOLUME_COPY:
      return show_copy(volumes, number, error);
    case VOLUME_DISK:
      return show_disk(volumes, number, error);
    case VOLUME_LAYERS: /* join_layers() */
      return TRUE;
    case VOLUME_DEVICE:
      return show_device(volumes, number, error);
    case VOLUME_DIRECT:
      return show_direct(volumes, number, error);
    case VOLUME_MEMORY:
      show_memory(volumes, number);
      return TRUE;
    case VOLUME_PAGES:
      show_pages(volumes, number);
      return TRUE;
    case VOLUME_SHM:
      show_shm(volumes, number);
      return TRUE;
    case VOLUME_GUEST:
      protobuf_set_string(&volumes_find_mount(volumes, number)->source, volume->guest_path);
      return TRUE;
  }
  return TRUE;
}

gboolean volumes_show(Volumes *volumes, Grpc__CreateContainerRequest *request, GError **error) {
  /* Before the mounts of devices join them. */
  if (!plug_listed_devices(volumes, error)) return FALSE;
  for (guint i = 0; i < volumes->volumes->len; i++)
    if (!show(volumes, i, error)) return FALSE;
  join_layers(volumes);
  request->storages = (Grpc__Storage **)volumes->storages->pdata;
  request->n_storages = volumes->storages->len;
  request->devices = (Grpc__Device **)volumes->devices->pdata;
  request->n_devices = volumes->devices->len;
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

void volumes_resume_copies(Volumes *volumes, const Kata__V1__ContainerState *saved) {
  gsize n_copies = 0;
  for (guint i = 0; i < volumes->volumes->len && n_copies < saved->n_copies; i++) {
    if (((const Volume *)volumes->volumes->pdata[i])->kind != VOLUME_COPY) continue;
    const GuestShare *share = volumes->shares->pdata[i];
    int *tree = &g_array_index(volumes->trees, int, i);
    g_ptr_array_add(volumes->copies, copy_tree_new(fd_steal(tree), share->host_path, saved->copies[n_copies++]->name));
  }
}

/* ---- the end ---- */

static void hide(Sandbox *sandbox, GPtrArray *names, GPtrArray *disks) {
  g_mutex_lock(&sandbox->resizing);
  for (guint i = 0; sandbox->share != NULL && i < names->len; i++) share_remove(sandbox->share, names->pdata[i]);
  for (guint i = 0; sandbox->disks != NULL && i < disks->len; i++) {
    const Kata__V1__DiskState *disk = disks->pdata[i];
    disks_unplug(sandbox->disks, sandbox->vm, disk->port);
  }
  for (guint i = 0; i < disks->len; i++) {
    const char *volume = ((const Kata__V1__DiskState *)disks->pdata[i])->volume;
    gboolean is_used = sandbox->disks != NULL && disks_has_volume(sandbox->disks, volume);
    if (*volume != '\0' && !is_used) direct_volume_drop_user(volume, sandbox->id);
  }
  g_mutex_unlock(&sandbox->resizing);
  g_ptr_array_set_size(disks, 0);
}

void volumes_hide(Volumes *volumes) { hide(volumes->sandbox, volumes->names, volumes->disks); }

static void move_all(GPtrArray *from, GPtrArray *to) {
  while (from->len > 0) g_ptr_array_add(to, g_ptr_array_steal_index(from, 0));
}

void volumes_give(Volumes *volumes, Container *container) {
  move_all(volumes->names, container->shares);
  move_all(volumes->disks, container->disks);
  move_all(volumes->copies, container->copies);
}

void volumes_release(Sandbox *sandbox, Container *container) {
  g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func(free_message);
  g_mutex_lock(&container->lock);
  move_all(container->disks, disks);
  g_mutex_unlock(&container->lock);
  hide(sandbox, container->shares, disks);
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

/* ---- copies ---- */

static void sync_container(Container *container, TtrpcClient *agent) {
  for (guint i = 0; i < container->copies->len; i++) {
    g_autoptr(GError) error = NULL;
    if (!copy_tree_sync(container->copies->pdata[i], agent, &error))
      g_warning("container '%s': %s", container->info->id, error->message);
  }
}

static gpointer watch_thread(gpointer user_data) {
  Sandbox *sandbox = user_data;
  for (;;) {
    g_usleep(WATCH_SECONDS * G_USEC_PER_SEC);
    g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
    if (agent == NULL) return NULL;
    g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
    for (guint i = 0; i < containers->len; i++) sync_container(containers->pdata[i], agent);
  }
}

void volumes_watch_copies(Sandbox *sandbox) {
  if (!g_atomic_int_compare_and_exchange(&sandbox->watches_copies, FALSE, TRUE)) return;
  g_thread_unref(g_thread_new("copies", watch_thread, sandbox));
}
