/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/mount.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* Of /sys/dev/block/N:N/size, whatever the disk's own are. */
#define SECTOR 512
#define SIZE_TEXT_MAX 64
#define GROWTH_POLL_MS 10u

/* fs/ext4/ext4.h: blocks of the file system. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, __u64)

/* fs/xfs/libxfs/xfs_fs.h */
struct xfs_geometry {
  __u32 block_size, rt_extent_size, ag_blocks, ag_count, log_blocks, sector_size, inode_size, max_percent;
  __u64 data_blocks, rt_blocks, rt_extents, log_start;
  unsigned char uuid[16];
  __u32 stripe_unit, stripe_width;
  __s32 version;
  __u32 flags, log_sector_size, rt_sector_size, directory_block_size;
};
struct xfs_grow {
  __u64 new_blocks;
  __u32 max_percent;
};
#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#define XFS_IOC_FSGEOMETRY_V1 _IOR('X', 100, struct xfs_geometry)
#define XFS_IOC_FSGROWFSDATA _IOW('X', 110, struct xfs_grow)

static int open_volume(const char *path, int flags, GError **error) {
  if (!safe_path_check(path, "volume path", error)) return -1;
  return mount_open(path, flags, error);
}

/* ---- how full ---- */

gboolean volume_measure(const char *path, GString *result, GError **error) {
  struct statvfs info;
  autofd int fd = open_volume(path, O_PATH, error);
  if (fd < 0) return FALSE;
  if (fstatvfs(fd, &info) < 0) {
    error_set_errno(error, errno, "cannot measure the volume '%s'", path);
    return FALSE;
  }
  guint64 unit = info.f_frsize ? info.f_frsize : info.f_bsize;
  const guint64 numbers[] = {info.f_bavail * unit, info.f_blocks * unit, (info.f_blocks - info.f_bfree) * unit,
                             info.f_favail,        info.f_files,         info.f_files - info.f_ffree};
  for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
    g_string_append_printf(result, "%" G_GUINT64_FORMAT " ", numbers[i]);
  return TRUE;
}

gboolean volume_parse(const char *text, Grpc__VolumeUsage *ret_bytes, Grpc__VolumeUsage *ret_inodes) {
  guint64 numbers[6] = {0};
  for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
    char *end = NULL;
    numbers[i] = g_ascii_strtoull(text, &end, 10);
    if (end == text) return FALSE;
    text = end;
  }
  ret_bytes->available = numbers[0];
  ret_bytes->total = numbers[1];
  ret_bytes->used = numbers[2];
  ret_bytes->unit = GRPC__VOLUME_USAGE__UNIT__BYTES;
  ret_inodes->available = numbers[3];
  ret_inodes->total = numbers[4];
  ret_inodes->used = numbers[5];
  ret_inodes->unit = GRPC__VOLUME_USAGE__UNIT__INODES;
  return TRUE;
}

/* ---- larger ---- */

/* The disk that a file system is on, or that a node stands for; FALSE: none is. */
static gboolean disk_of(int fd, dev_t *ret_disk) {
  struct stat info;
  if (fstat(fd, &info) < 0) return FALSE;
  *ret_disk = S_ISBLK(info.st_mode) ? info.st_rdev : info.st_dev;
  return major(*ret_disk) != 0;
}

static guint64 size_of_disk(dev_t disk) {
  g_autofree char *path = g_strdup_printf("/sys/dev/block/%u:%u/size", major(disk), minor(disk));
  g_autofree char *text = safe_read_file(path, SIZE_TEXT_MAX, NULL, NULL);
  return text ? g_ascii_strtoull(text, NULL, 10) * SECTOR : 0;
}

/* The kernel learns a moment later than the host that a disk has become larger. */
static guint64 wait_for_size(dev_t disk, guint64 size, guint wait_ms) {
  guint64 present = size_of_disk(disk);
  for (guint waited = 0; present < size && waited < wait_ms; waited += GROWTH_POLL_MS) {
    g_usleep(GROWTH_POLL_MS * 1000);
    present = size_of_disk(disk);
  }
  return present;
}

static gboolean fail_resize(const char *path, guint64 size, GError **error) {
  error_set_errno(error, errno, "cannot resize the volume '%s' to %" G_GUINT64_FORMAT " bytes", path, size);
  return FALSE;
}

static gboolean refuse_shrinking(const char *path, guint64 size, guint64 present, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "cannot resize the volume '%s' to %" G_GUINT64_FORMAT " bytes: its file system has %" G_GUINT64_FORMAT
              " and can only become larger",
              path, size, present);
  return FALSE;
}

/* What it counts is without its own tables: the kernel refuses the sizes in between. */
static gboolean resize_ext4(int fd, const char *path, guint64 size, const struct statfs *info, GError **error) {
  guint64 block_size = (guint64)info->f_bsize, present = (guint64)info->f_blocks * block_size;
  __u64 blocks = size / block_size;
  if (size < present) return refuse_shrinking(path, size, present, error);
  return ioctl(fd, EXT4_IOC_RESIZE_FS, &blocks) == 0 || fail_resize(path, size, error);
}

/* Newer kernels would cut off the end of the last group. */
static gboolean resize_xfs(int fd, const char *path, guint64 size, GError **error) {
  struct xfs_geometry geometry = {0};
  if (ioctl(fd, XFS_IOC_FSGEOMETRY_V1, &geometry) < 0 || geometry.block_size == 0)
    return fail_resize(path, size, error);
  struct xfs_grow grow = {size / geometry.block_size, geometry.max_percent};
  if (grow.new_blocks < geometry.data_blocks)
    return refuse_shrinking(path, size, geometry.data_blocks * geometry.block_size, error);
  return grow.new_blocks == geometry.data_blocks || ioctl(fd, XFS_IOC_FSGROWFSDATA, &grow) == 0 ||
         fail_resize(path, size, error);
}

static gboolean refuse_type(const char *path, const struct statfs *info, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "cannot resize the volume '%s': only ext4 and XFS on a disk can be, not a file system of type 0x%lx",
              path, (unsigned long)info->f_type);
  return FALSE;
}

gboolean volume_resize(const char *path, guint64 size, guint wait_ms, GError **error) {
  struct stat info;
  struct statfs system = {0};
  dev_t disk = 0;
  autofd int where = open_volume(path, O_PATH, error);
  if (where < 0) return FALSE;
  gboolean has_disk = disk_of(where, &disk);
  guint64 disk_size = has_disk ? wait_for_size(disk, size, wait_ms) : 0;
  if (fstat(where, &info) < 0 || fstatfs(where, &system) < 0) {
    error_set_errno(error, errno, "cannot look at the volume '%s'", path);
    return FALSE;
  }
  if (has_disk && size > disk_size) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot resize the volume '%s' to %" G_GUINT64_FORMAT " bytes: its disk has %" G_GUINT64_FORMAT, path,
                size, disk_size);
    return FALSE;
  }
  /* A container that has the disk itself sees its new size already. */
  if (S_ISBLK(info.st_mode)) return TRUE;
  gboolean is_ext4 = system.f_type == EXT4_SUPER_MAGIC;
  if (!has_disk || (!is_ext4 && system.f_type != XFS_SUPER_MAGIC)) return refuse_type(path, &system, error);
  autofd int fd = open_volume(path, O_RDONLY | O_NONBLOCK, error);
  if (fd < 0) return FALSE;
  guint64 wanted = size ? size : disk_size;
  return is_ext4 ? resize_ext4(fd, path, wanted, &system, error) : resize_xfs(fd, path, wanted, error);
}

/* ---- swap ---- */

/* mkswap(8) writes its mark at the end of the first page. */
static gboolean check_swap(const char *node, GError **error) {
  static const char mark[] = "SWAPSPACE2";
  char found[sizeof mark - 1] = "";
  long page = sysconf(_SC_PAGESIZE);
  autofd int fd = open(node, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || lseek(fd, page - (long)sizeof found, SEEK_SET) < 0 || fd_read_all(fd, found, sizeof found) < 0) {
    error_set_errno(error, errno, "cannot read the swap disk '%s'", node);
    return FALSE;
  }
  if (memcmp(found, mark, sizeof found) == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "disk '%s' is no swap space: run mkswap on it, with pages of %ld bytes", node, page);
  return FALSE;
}

gboolean volume_swap_on(const char *node, GError **error) {
  if (!check_swap(node, error)) return FALSE;
  if (swapon(node, 0) == 0) return TRUE;
  int reason = errno;
  g_set_error(error, KATA_ERROR, reason == EBUSY ? KATA_ERR_ALREADY_EXISTS : error_code_from_errno(reason),
              "cannot swap to '%s': %s", node, reason == EBUSY ? "it is in use already" : g_strerror(reason));
  return FALSE;
}
