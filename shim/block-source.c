// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/block-source.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/mount-table.h"
#include "lib/paths.h"
#include "shim/vm.h"

#define LOCKS PATHS_DEFAULT_ROOT "/d"
#define LOOP_MAJOR 7
/* Somebody may take the free loop device that the kernel names, or look at a device for a moment. */
#define TRIES 20
#define TRY_MS 20

struct BlockSource {
  char *shown;
  char *node;
  char *lock_name;
  gboolean read_only;
  int lock;  /* among guests: shared by readers */
  int claim; /* the device; of one that is written, nobody else's (O_EXCL) */
};

const char *block_source_get_node(const BlockSource *source) { return source->node; }

const char *block_source_get_shown(const BlockSource *source) { return source->shown; }

const char *block_source_get_lock_name(const BlockSource *source) { return source->lock_name; }

gboolean block_source_is_read_only(const BlockSource *source) { return source->read_only; }

static gboolean refuse(const BlockSource *source, const char *reason, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot give '%s' to a guest%s: %s", source->shown,
              source->read_only ? " to read" : "", reason);
  return FALSE;
}

/* ---- among guests ---- */

/* TRUE if the file that fd has open is still the one of that name. */
static gboolean is_still_there(int fd, const char *path) {
  struct stat opened, named;
  return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino;
}

static gboolean take_lock(BlockSource *source, GError **error) {
  g_autofree char *path = g_build_filename(LOCKS, source->lock_name, NULL);
  for (int i = 0; i < TRIES; i++) {
    if (g_mkdir_with_parents(LOCKS, 0700) < 0) break;
    autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) break;
    if (flock(fd, (source->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
      if (errno != EWOULDBLOCK) break;
      return refuse(source, source->read_only ? "another one writes to it" : "another one has it", error);
    }
    if (!is_still_there(fd, path)) continue;
    source->lock = fd_steal(&fd);
    return TRUE;
  }
  error_set_errno(error, errno, "cannot lock '%s' by '%s'", source->shown, path);
  return FALSE;
}

static void release_lock(BlockSource *source) {
  if (source->lock < 0) return;
  g_autofree char *path = g_build_filename(LOCKS, source->lock_name, NULL);
  if (flock(source->lock, LOCK_EX | LOCK_NB) == 0 && is_still_there(source->lock, path)) unlink(path);
  fd_clear(&source->lock);
}

/* ---- towards the host ---- */

/* Whether the host has mounts of the device; *ret_written: one of them could change it. */
static gboolean is_mounted(dev_t device, gboolean *ret_written) {
  g_autoptr(GPtrArray) table = mount_table_read(1, NULL);
  gboolean found = FALSE;
  for (guint i = 0; table != NULL && i < table->len; i++) {
    const MountEntry *entry = table->pdata[i];
    if (entry->device != device) continue;
    found = TRUE;
    if (!mount_entry_has_option(entry, "ro")) *ret_written = TRUE;
  }
  return found;
}

/* A reader only looks whether somebody writes; its own claim would keep other readers out. */
static gboolean check_reader(BlockSource *source, dev_t device, GError **error) {
  gboolean is_written = FALSE;
  if (is_mounted(device, &is_written) && !is_written) return TRUE;
  return refuse(source,
                is_written ? "the host has mounted it for writing; unmount it there, or mount it read-only"
                           : "something on the host has it for itself",
                error);
}

static gboolean claim(BlockSource *source, GError **error) {
  struct stat status;
  int how = source->read_only ? O_RDONLY : O_RDWR;
  autofd int fd = -1;
  for (int i = 0; i < TRIES && fd < 0; i++) {
    if (i > 0) g_usleep(TRY_MS * 1000);
    fd = open(source->node, how | O_EXCL | O_CLOEXEC);
    if (fd < 0 && errno != EBUSY) break;
  }
  if (fd < 0 && errno != EBUSY) {
    error_set_errno(error, errno, "cannot open the device of '%s'%s", source->shown,
                    source->read_only ? "" : " for writing");
    return FALSE;
  }
  gboolean is_busy = fd < 0, is_written = FALSE;
  if (source->read_only) {
    fd_clear(&fd);
    fd = open(source->node, O_RDONLY | O_CLOEXEC);
  }
  if (stat(source->node, &status) < 0) status.st_rdev = 0;
  if (is_busy && source->read_only && !check_reader(source, status.st_rdev, error)) return FALSE;
  if (is_busy && !source->read_only)
    return refuse(source,
                  is_mounted(status.st_rdev, &is_written) ? "the host has mounted it; unmount it there first"
                                                          : "something on the host has it for itself",
                  error);
  source->claim = fd_steal(&fd);
  return source->claim >= 0;
}

/* ---- its node ---- */

static gboolean make_node(BlockSource *source, const char *path, dev_t device, GError **error) {
  uid_t uid;
  gid_t gid;
  if (!vm_get_user(&uid, &gid, error)) return FALSE;
  unlink(path);
  if (mknod(path, S_IFBLK | (source->read_only ? 0400 : 0600), device) == 0 && chown(path, uid, gid) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make a device node for '%s'", source->shown);
  return FALSE;
}

/* ---- files ---- */

/* Returns the loop device opened; it goes with its last user. */
static int configure_loop(BlockSource *source, int control, int file, dev_t *ret_device, GError **error) {
  struct loop_config config = {.fd = (guint32)file};
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (source->read_only ? LO_FLAGS_READ_ONLY : 0);
  g_strlcpy((char *)config.info.lo_file_name, source->shown, sizeof config.info.lo_file_name);
  for (int i = 0; i < TRIES; i++) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) break;
    if (!make_node(source, source->node, makedev(LOOP_MAJOR, (guint)number), error)) return -1;
    autofd int loop = open(source->node, (source->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (loop < 0) break;
    *ret_device = makedev(LOOP_MAJOR, (guint)number);
    if (ioctl(loop, LOOP_CONFIGURE, &config) == 0) return fd_steal(&loop);
    if (errno != EBUSY) break;
  }
  error_set_errno(error, errno, "cannot make a loop device for '%s'", source->shown);
  unlink(source->node);
  return -1;
}

static int make_loop(BlockSource *source, int fd, dev_t *ret_device, GError **error) {
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  autofd int file = open(path, (source->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
  if (file < 0) {
    error_set_errno(error, errno, "cannot open '%s'%s", source->shown, source->read_only ? "" : " for writing");
    return -1;
  }
  autofd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) {
    error_set_errno(error, errno, "cannot make a loop device for '%s' (the kernel's module 'loop' is needed)",
                    source->shown);
    return -1;
  }
  return configure_loop(source, control, file, ret_device, error);
}

/* Set up by hand before: the host may have it mounted, or the next one may. */
static gboolean check_other_loops(const BlockSource *source, const struct stat *file, GError **error) {
  g_autoptr(GDir) blocks = g_dir_open("/sys/block", 0, NULL);
  const char *name;
  while (blocks != NULL && (name = g_dir_read_name(blocks)) != NULL) {
    g_autofree char *details = g_build_filename("/sys/block", name, "loop", NULL);
    if (!g_str_has_prefix(name, "loop") || !g_file_test(details, G_FILE_TEST_IS_DIR)) continue;
    g_autofree char *path = g_build_filename("/dev", name, NULL);
    autofd int loop = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct loop_info64 info;
    if (loop < 0 || ioctl(loop, LOOP_GET_STATUS64, &info) < 0) continue;
    if (info.lo_inode != file->st_ino || info.lo_device != file->st_dev) continue;
    if (source->read_only && (info.lo_flags & LO_FLAGS_READ_ONLY) != 0) continue;
    g_autofree char *reason = g_strdup_printf("it is '%s' on the host; detach it there first (losetup --detach)", path);
    return refuse(source, reason, error);
  }
  return TRUE;
}

/* ---- the whole ---- */

static BlockSource *source_new(const char *shown, const char *node_path, gboolean read_only) {
  BlockSource *source = g_new0(BlockSource, 1);
  source->shown = g_strdup(shown);
  source->node = g_strdup(node_path);
  source->read_only = read_only;
  source->lock = source->claim = -1;
  return source;
}

BlockSource *block_source_new(int fd, dev_t device, const char *shown, const char *node_path, gboolean read_only,
                              GError **error) {
  struct stat status = {.st_mode = S_IFBLK, .st_rdev = device};
  if ((fd >= 0 && fstat(fd, &status) < 0) || (!S_ISBLK(status.st_mode) && !S_ISREG(status.st_mode))) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot give '%s' to a guest: neither a block device nor a regular file", shown);
    return NULL;
  }
  gboolean is_file = S_ISREG(status.st_mode);
  g_autoptr(BlockSource) source = source_new(shown, node_path, read_only);
  device = status.st_rdev;
  dev_t key = is_file ? status.st_dev : device;
  source->lock_name = g_strdup_printf("%c-%u-%u-%llu", is_file ? 'f' : 'b', major(key), minor(key),
                                      is_file ? (unsigned long long)status.st_ino : 0ull);
  if (!take_lock(source, error) || (is_file && !check_other_loops(source, &status, error))) return NULL;
  autofd int loop = is_file ? make_loop(source, fd, &device, error) : -1;
  if (is_file ? loop < 0 : !make_node(source, source->node, device, error)) return NULL;
  return claim(source, error) ? g_steal_pointer(&source) : NULL;
}

BlockSource *block_source_adopt(const char *lock_name, const char *shown, const char *node_path, gboolean read_only,
                                GError **error) {
  g_autoptr(BlockSource) source = source_new(shown, node_path, read_only);
  source->lock_name = g_strdup(lock_name);
  return take_lock(source, error) && claim(source, error) ? g_steal_pointer(&source) : NULL;
}

void block_source_free(BlockSource *source) {
  if (source == NULL) return;
  /* Before the lock, so that the next one to get that finds the device free. */
  fd_clear(&source->claim);
  if (source->lock >= 0) unlink(source->node);
  release_lock(source);
  g_free(source->lock_name);
  g_free(source->node);
  g_free(source->shown);
  g_free(source);
}

guint64 block_source_update_size(const BlockSource *source) {
  guint64 bytes = 0;
  ioctl(source->claim, LOOP_SET_CAPACITY, 0); /* fails for what is no loop device */
  return ioctl(source->claim, BLKGETSIZE64, &bytes) == 0 ? bytes : 0;
}

/* ---- file systems ---- */

char *block_probe_type(const char *path, const char *shown, GError **error) {
  blkid_probe probe = blkid_new_probe_from_filename(path);
  const char *type = NULL;
  if (probe != NULL) {
    blkid_probe_enable_superblocks(probe, TRUE);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
    blkid_probe_filter_superblocks_usage(probe, BLKID_FLTR_ONLYIN, BLKID_USAGE_FILESYSTEM);
    if (blkid_do_safeprobe(probe) == 0) blkid_probe_lookup_value(probe, "TYPE", &type, NULL);
  }
  char *copy = g_strdup(type);
  blkid_free_probe(probe);
  if (copy == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot mount '%s' in a guest: no file system is found on it", shown);
  return copy;
}

gboolean block_type_is_read_only(const char *type) {
  static const char *const types[] = {"erofs", "squashfs", "iso9660", "cramfs", NULL};
  return g_strv_contains(types, type);
}
