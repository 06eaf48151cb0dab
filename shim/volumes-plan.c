// SPDX-License-Identifier: LGPL-2.1-or-later
/* What each volume becomes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/mount-point.h"
#include "common/mount-table.h"
#include "shim/volumes-private.h"

/* The kubelet's directories of emptyDir volumes: .../volumes/kubernetes.io~empty-dir/NAME. */
#define EMPTY_DIR "/kubernetes.io~empty-dir/"

void volume_free(Volume *volume) {
  if (volume == NULL) return;
  g_free(volume->fstype);
  g_strfreev(volume->options);
  g_free(volume->guest_path);
  direct_volume_free(volume->direct);
  fd_clear(&volume->device_fd);
  g_free(volume);
}

Grpc__Mount *volumes_find_mount(const Volumes *volumes, guint number) {
  const GuestShare *share = volumes->shares->pdata[number];
  g_autofree char *source = g_strconcat(GUEST_SHARE_DIR, share->name, NULL);
  for (size_t i = 0; number > 0 && i < volumes->spec->n_mounts; i++)
    if (strcmp(volumes->spec->mounts[i]->source, source) == 0) return volumes->spec->mounts[i];
  return NULL;
}

gboolean volumes_may_write(const OciSpec *spec, dev_t device) {
  const Grpc__LinuxResources *resources = spec->linux != NULL ? spec->linux->resources : NULL;
  for (size_t i = 0; resources != NULL && i < resources->n_devices; i++) {
    const Grpc__LinuxDeviceCgroup *rule = resources->devices[i];
    if (rule->allow && rule->major_given_case == GRPC__LINUX_DEVICE_CGROUP__MAJOR_GIVEN_MAJOR &&
        rule->minor_given_case == GRPC__LINUX_DEVICE_CGROUP__MINOR_GIVEN_MINOR && rule->major == major(device) &&
        rule->minor == minor(device))
      return strchr(rule->access, 'w') != NULL;
  }
  return TRUE;
}

/* ---- disks with a file system ---- */

static char **mount_options(const GuestShare *share) {
  static const char *const not_the_guests[] = {"loop", "ro", "rw", NULL};
  GPtrArray *options = g_ptr_array_new();
  for (char **option = share->options; option != NULL && *option != NULL; option++)
    if (!g_strv_contains(not_the_guests, *option) && !g_str_has_prefix(*option, "loop=") &&
        !g_str_has_prefix(*option, "X-containerd."))
      g_ptr_array_add(options, g_strdup(*option));
  g_ptr_array_add(options, NULL);
  return (char **)g_ptr_array_free(options, FALSE);
}

static gboolean make_disk(Volume *volume, const GuestShare *share, int tree, GError **error) {
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", tree);
  volume->kind = VOLUME_DISK;
  volume->fstype = share->fstype != NULL && *share->fstype != '\0' ? g_strdup(share->fstype)
                                                                   : block_probe_type(path, share->host_path, error);
  volume->options = mount_options(share);
  gboolean has_ro = share->options != NULL && g_strv_contains((const char *const *)share->options, "ro");
  volume->read_only = share->read_only || has_ro || (volume->fstype != NULL && block_type_is_read_only(volume->fstype));
  return volume->fstype != NULL;
}

/* A device or an image, with a file system of its own. */
static gboolean is_disk(const Containerd__Types__Mount *mount) {
  static const char *const others[] = {"", "bind", "overlay", "tmpfs", NULL};
  struct stat status;
  return *mount->target == '\0' && !g_strv_contains(others, mount->type) && g_path_is_absolute(mount->source) &&
         stat(mount->source, &status) == 0 && (S_ISBLK(status.st_mode) || S_ISREG(status.st_mode));
}

static void set_disk(GuestShare *share, const Containerd__Types__Mount *mount) {
  g_free(share->host_path);
  share->host_path = g_canonicalize_filename(mount->source, "/");
  if (share->fstype == NULL) share->fstype = g_strdup(mount->type);
  share->options = g_new0(char *, mount->n_options + 1);
  for (size_t i = 0; i < mount->n_options; i++) share->options[i] = g_strdup(mount->options[i]);
}

/* Those below are read only, whatever they are: all containers of the image have them. */
static void append_layer(GPtrArray *shares, const Containerd__Types__Mount *mount, guint number, gboolean is_upper) {
  const GuestShare *root = shares->pdata[0];
  GuestShare *share = g_new0(GuestShare, 1);
  share->name = g_strdup_printf("%s,layer%u", root->name, number);
  share->read_only = !is_upper;
  set_disk(share, mount);
  g_ptr_array_add(shares, share);
}

static gboolean take_layers(GPtrArray *shares, Containerd__Types__Mount *const *mounts, gsize n_mounts,
                            GError **error) {
  GuestShare *root = shares->pdata[0];
  g_autoptr(RootfsLayers) layers = rootfs_layers_parse(mounts, n_mounts, error);
  if (layers == NULL) return FALSE;
  layers->first_share = shares->len;
  for (guint i = 0; i < layers->n_mounts; i++) {
    if (!is_disk(mounts[i])) {
      g_autofree char *shown = error_clean_text(mounts[i]->source);
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                  "a layer of the root file system, '%s', is neither a block device nor an image file", shown);
      return FALSE;
    }
    append_layer(shares, mounts[i], i, layers->upper == (gint)i);
  }
  /* Something that is there: what the bundle says it is does not count. */
  g_free(root->host_path);
  root->host_path = g_canonicalize_filename(mounts[0]->source, "/");
  root->layers = g_steal_pointer(&layers);
  return TRUE;
}

gboolean volumes_take_rootfs(const Sandbox *sandbox, GPtrArray *shares, Containerd__Types__Mount *const *mounts,
                             gsize n_mounts, gboolean *ret_taken, GError **error) {
  gboolean may_plug = !settings_get_bool(sandbox->settings, "hypervisor.qemu", "disable_block_device_use");
  *ret_taken = may_plug;
  if (rootfs_layers_match(mounts, n_mounts)) {
    if (may_plug) return take_layers(shares, mounts, n_mounts, error);
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "the root file system is of layers that a guest joins, and the setting "
                "hypervisor.qemu.disable_block_device_use keeps them from being plugged in: it belongs into the file "
                "that containerd's option ConfigPath names, so that containerd knows");
    return FALSE;
  }
  *ret_taken = may_plug && n_mounts == 1 && is_disk(mounts[0]);
  if (*ret_taken) set_disk(shares->pdata[0], mounts[0]);
  return TRUE;
}

/* The last mount at path. */
static const MountEntry *find_mounted(const GPtrArray *table, const char *path) {
  for (guint i = table->len; i > 0; i--) {
    const MountEntry *entry = table->pdata[i - 1];
    if (strcmp(entry->point, path) == 0) return entry;
  }
  return NULL;
}

/* A whole file system of a block device that the host cannot change either may be had by the guest as well. Two kernels
 * that write to one, or one that reads while the other writes, would destroy it. */
static gboolean is_safe_mount(const MountEntry *entry) {
  return major(entry->device) != 0 && strcmp(entry->root, "/") == 0 && mount_entry_has_option(entry, "ro");
}

/* As its caller sees it. */
static gboolean make_mounted_disk(const Volumes *volumes, Volume *volume, const GuestShare *share) {
  g_autoptr(GPtrArray) table = mount_table_read(volumes->peer, NULL);
  const MountEntry *entry = table != NULL ? find_mounted(table, share->host_path) : NULL;
  if (entry == NULL || !is_safe_mount(entry)) return FALSE;
  volume->kind = VOLUME_DISK;
  volume->device = entry->device;
  volume->read_only = TRUE;
  volume->fstype = g_strdup(entry->type);
  return TRUE;
}

static gboolean choose_root(const Volumes *volumes, Volume *volume, mode_t mode, int tree, GError **error) {
  const GuestShare *share = volumes->shares->pdata[0];
  const kata_settings *settings = volumes->sandbox->settings;
  gboolean may_plug = !settings_get_bool(settings, "hypervisor.qemu", "disable_block_device_use");
  gboolean shares = strcmp(settings_get_string(settings, "hypervisor.qemu", "shared_fs"), "none") != 0;
  if (share->layers != NULL) {
    volume->kind = VOLUME_LAYERS;
    return TRUE;
  }
  if (S_ISREG(mode) || S_ISBLK(mode)) {
    if (may_plug) return make_disk(volume, share, tree, error);
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot use '%s' as a root file system: it is no directory, and the setting "
                "hypervisor.qemu.disable_block_device_use keeps it from being plugged in as a disk",
                share->host_path);
    return FALSE;
  }
  volume->kind = VOLUME_TREE;
  if (shares || (may_plug && make_mounted_disk(volumes, volume, share))) return TRUE;
  g_set_error(
      error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
      "cannot show the root file system '%s' to a guest without a shared directory (setting "
      "hypervisor.qemu.shared_fs = \"none\"): give it as a block device or as an image file, or as the mount of "
      "a block device whose file system is read-only",
      share->host_path);
  return FALSE;
}

/* ---- memory ---- */

static gboolean is_tmpfs(int tree, guint64 *ret_bytes) {
  struct statfs status;
  if (fstatfs(tree, &status) < 0 || (guint64)status.f_type != TMPFS_MAGIC) return FALSE;
  *ret_bytes = (guint64)status.f_blocks * (guint64)status.f_bsize;
  return TRUE;
}

static gboolean has_own_ipc(const OciSpec *spec) {
  for (size_t i = 0; spec->linux != NULL && i < spec->linux->n_namespaces; i++)
    if (strcmp(spec->linux->namespaces[i]->type, "ipc") == 0) return spec->linux->namespaces[i]->own;
  return FALSE;
}

/* The sandbox's, which the first container's is, but for a container with an ipc namespace of its own. */
static void make_shm(const Volumes *volumes, Volume *volume, const GuestShare *share, int tree) {
  volume->kind = VOLUME_SHM;
  /* The host's own is as large as suits the host's memory: the guest's then as suits the guest's. */
  gboolean is_hosts = strcmp(share->host_path, "/dev/shm") == 0;
  gboolean has_limit = !is_hosts && is_tmpfs(tree, &volume->bytes);
  if (has_own_ipc(volumes->spec)) return;
  volume->kind = VOLUME_GUEST;
  volume->guest_path = g_strdup(GUEST_SHM_DIR);
  if (sandbox_get_status(volumes->sandbox) != SANDBOX_CREATED) return;
  if (has_limit) volumes->sandbox->shm_bytes = volume->bytes;
  volumes->sandbox->shm_is_free = is_hosts;
}

static gboolean is_empty_dir(const GuestShare *share, const struct stat *status) {
  const char *rest = strstr(share->host_path, EMPTY_DIR);
  return rest != NULL && strchr(rest + strlen(EMPTY_DIR), '/') == NULL && S_ISDIR(status->st_mode);
}

static void set_memory(Volume *volume, VolumeKind kind, const GuestShare *share, const struct stat *status) {
  volume->kind = kind;
  volume->mode = status->st_mode & 07777;
  volume->gid = status->st_gid;
  g_autofree char *key = g_compute_checksum_for_string(G_CHECKSUM_SHA256, share->host_path, -1);
  volume->guest_path = g_strdup_printf("/run/kata-containers/sandbox/ephemeral/%.16s", key);
}

/* "2MB" as a cgroup's file names have it; 0: something else. */
static guint64 parse_page_size(const char *text) {
  static const char *const units[] = {"KB", "MB", "GB"};
  char *end = NULL;
  guint64 number = g_ascii_strtoull(text, &end, 10);
  for (guint i = 0; i < G_N_ELEMENTS(units); i++)
    if (strcmp(end, units[i]) == 0 && number <= 1024) return number << (10 * (i + 1));
  return 0;
}

/* emptyDir of huge pages: as many as the container may have, which the guest reserves. */
static gboolean make_pages(const Volumes *volumes, Volume *volume, const GuestShare *share, int tree,
                           const struct stat *status) {
  const Grpc__LinuxResources *resources = volumes->spec->linux != NULL ? volumes->spec->linux->resources : NULL;
  struct statfs system;
  if (!is_empty_dir(share, status) || fstatfs(tree, &system) < 0 || (guint64)system.f_type != HUGETLBFS_MAGIC)
    return FALSE;
  volume->page_bytes = (guint64)system.f_bsize;
  for (size_t i = 0; resources != NULL && i < resources->n_hugepagelimits; i++)
    if (parse_page_size(resources->hugepagelimits[i]->pagesize) == volume->page_bytes)
      volume->bytes = resources->hugepagelimits[i]->limit;
  if (volume->bytes == 0 || volume->bytes > G_MAXINT64) return FALSE;
  set_memory(volume, VOLUME_PAGES, share, status);
  return TRUE;
}

/* emptyDir in memory: the guest's own, in which the host has no part. A directory within one (subPath) is elsewhere on
 * the host, and comes by the share. */
static gboolean make_memory(Volume *volume, const GuestShare *share, int tree, const struct stat *status) {
  if (!is_empty_dir(share, status) || !is_tmpfs(tree, &volume->bytes)) return FALSE;
  set_memory(volume, VOLUME_MEMORY, share, status);
  return TRUE;
}

/* ---- direct-assigned volumes ---- */

/* What the container sees of it may be less than the volume: a mount that is read-only leaves the disk writable. */
static gboolean choose_direct(Volume *volume, const char *path, GError **error) {
  const DirectVolume *direct = volume->direct;
  volume->kind = VOLUME_DIRECT;
  volume->read_only = direct->read_only;
  volume->device_fd = open(direct->device, O_PATH | O_CLOEXEC);
  if (volume->device_fd < 0) {
    error_set_errno(error, errno, "direct-assigned volume '%s': cannot open its device '%s'", path, direct->device);
    return FALSE;
  }
  g_autofree char *device = g_strdup_printf("/proc/self/fd/%d", volume->device_fd);
  volume->fstype = *direct->fstype != '\0' ? g_strdup(direct->fstype) : block_probe_type(device, direct->device, error);
  return volume->fstype != NULL;
}

/* ---- each ---- */

static gboolean choose_bind(const Volumes *volumes, Volume *volume, guint number, const struct stat *status,
                            GError **error) {
  const GuestShare *share = volumes->shares->pdata[number];
  const Grpc__Mount *mount = volumes_find_mount(volumes, number);
  int tree = g_array_index(volumes->trees, int, number);
  gboolean shares =
      strcmp(settings_get_string(volumes->sandbox->settings, "hypervisor.qemu", "shared_fs"), "none") != 0;
  volume->kind = shares ? VOLUME_TREE : VOLUME_COPY;
  volume->read_only = share->read_only;
  if (share->fstype != NULL) return make_disk(volume, share, tree, error); /* a layer of the root */
  if (!direct_volume_find(share->host_path, &volume->direct, error)) return FALSE;
  if (volume->direct != NULL) return choose_direct(volume, share->host_path, error);
  if (S_ISBLK(status->st_mode)) {
    volume->kind = VOLUME_DEVICE;
    volume->read_only = volume->read_only || !volumes_may_write(volumes->spec, status->st_rdev);
  } else if (mount != NULL && strcmp(mount->destination, "/dev/shm") == 0 && S_ISDIR(status->st_mode)) {
    make_shm(volumes, volume, share, tree);
  } else if (S_ISCHR(status->st_mode) && !shares && g_str_has_prefix(share->host_path, "/dev/")) {
    volume->kind = VOLUME_GUEST; /* it has the same numbers there */
    volume->guest_path = g_strdup(share->host_path);
  } else if (!make_memory(volume, share, tree, status)) {
    make_pages(volumes, volume, share, tree, status);
  }
  return TRUE;
}

/* A mount of type "directvol". */
static gboolean choose_volume(Volume *volume, const GuestShare *share, GError **error) {
  if (!direct_volume_find(share->host_path, &volume->direct, error)) return FALSE;
  if (volume->direct != NULL) return choose_direct(volume, share->host_path, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
              "direct-assigned volume '%s': nobody has told of it (katactl direct-volume add)", share->host_path);
  return FALSE;
}

Volume *volume_choose(const Volumes *volumes, guint number, GError **error) {
  const GuestShare *share = volumes->shares->pdata[number];
  int tree = g_array_index(volumes->trees, int, number);
  struct stat status = {0};
  if (!share->is_volume && fstat(tree, &status) < 0) {
    error_set_errno(error, errno, "cannot look at '%s'", share->host_path);
    return NULL;
  }
  Volume *volume = g_new0(Volume, 1);
  volume->device_fd = -1;
  if (number == 0        ? choose_root(volumes, volume, status.st_mode, tree, error)
      : share->is_volume ? choose_volume(volume, share, error)
                         : choose_bind(volumes, volume, number, &status, error))
    return volume;
  volume_free(volume);
  return NULL;
}
