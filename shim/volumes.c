// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/volumes.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/protobuf-text.h"
#include "shim/agent-link.h"
#include "shim/volumes-private.h"

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

/* ---- storages ---- */

Grpc__Storage *volumes_add_storage(Volumes *volumes, const char *driver, const char *source, const char *fstype,
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

void volumes_add_option(Grpc__Storage *storage, const char *option) {
  protobuf_append_string(&storage->options, &storage->n_options, option);
}

/* ---- trees, copies and memory ---- */

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
  Grpc__Storage *storage =
      volumes_add_storage(volumes, "ephemeral", "tmpfs", "tmpfs", GUEST_SHARE_DIR VOLUMES_WATCHABLE);
  volumes_add_option(storage, "mode=0755");
  volumes_add_option(storage, "size=1m");
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
  volumes_add_storage(volumes, "watchable-bind", source, "bind", target);
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
  Grpc__Storage *storage = volumes_add_storage(volumes, "ephemeral", "tmpfs", "tmpfs", volume->guest_path);
  g_autofree char *mode = g_strdup_printf("mode=%o", volume->mode);
  g_autofree char *gid = g_strdup_printf("gid=%u", volume->gid);
  g_autofree char *size = g_strdup_printf("size=%" G_GUINT64_FORMAT, volume->bytes);
  volumes_add_option(storage, mode);
  volumes_add_option(storage, gid);
  if (volume->bytes > 0) volumes_add_option(storage, size);
  protobuf_set_string(&volumes_find_mount(volumes, number)->source, volume->guest_path);
}

static void show_pages(Volumes *volumes, guint number) {
  const Volume *volume = volumes->volumes->pdata[number];
  Grpc__Storage *storage = volumes_add_storage(volumes, "ephemeral", "nodev", "hugetlbfs", volume->guest_path);
  g_autofree char *option = g_strdup_printf("pagesize=%" G_GUINT64_FORMAT ",size=%" G_GUINT64_FORMAT ",mode=%o,gid=%u",
                                            volume->page_bytes, volume->bytes, volume->mode, volume->gid);
  volumes_add_option(storage, option);
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
      return volumes_show_disk(volumes, number, error);
    case VOLUME_LAYERS: /* volumes_join_layers() */
      return TRUE;
    case VOLUME_DEVICE:
      return volumes_show_device(volumes, number, error);
    case VOLUME_DIRECT:
      return volumes_show_direct(volumes, number, error);
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
  if (!volumes_plug_listed_devices(volumes, error)) return FALSE;
  for (guint i = 0; i < volumes->volumes->len; i++)
    if (!show(volumes, i, error)) return FALSE;
  volumes_join_layers(volumes);
  request->storages = (Grpc__Storage **)volumes->storages->pdata;
  request->n_storages = volumes->storages->len;
  request->devices = (Grpc__Device **)volumes->devices->pdata;
  request->n_devices = volumes->devices->len;
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
