/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What needs no device: memory, pages of other sizes, directories. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/mount.h"
#include "agent/storage-private.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

#define OPTION_GROUP "fsgid="
#define OPTION_MODE "mode="

/* ---- pages ---- */

typedef struct {
  guint64 page_size;
  guint64 n_pages;
} Pages;

/* From "pagesize=BYTES,size=BYTES", in one option or two. */
static gboolean parse_pages(const Grpc__Storage *storage, Pages *ret_pages, GError **error) {
  unsigned long flags = 0;
  g_autofree char *data = NULL;
  guint64 size = 0;
  guint64 page_size = 0;
  if (!mount_parse_options(storage->options, storage->n_options, &flags, &data, error)) return FALSE;
  g_auto(GStrv) words = g_strsplit(data ? data : "", ",", -1);
  for (char **word = words; *word; word++) {
    if (g_str_has_prefix(*word, "pagesize="))
      g_ascii_string_to_unsigned(*word + strlen("pagesize="), 10, 4096, G_MAXINT64, &page_size, NULL);
    else if (g_str_has_prefix(*word, "size="))
      g_ascii_string_to_unsigned(*word + strlen("size="), 10, 1, G_MAXINT64, &size, NULL);
  }
  if (page_size == 0 || size == 0 || (page_size & (page_size - 1)) != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "huge pages of storage '%s' need the option 'pagesize=BYTES,size=BYTES', not '%s'",
                storage->mount_point, data ? data : "");
    return FALSE;
  }
  *ret_pages = (Pages){page_size, size / page_size + (size % page_size ? 1 : 0)};
  return TRUE;
}

static gboolean read_count(int fd, guint64 *ret_count) {
  char text[32] = "";
  if (pread(fd, text, sizeof text - 1, 0) < 0) return FALSE;
  *ret_count = g_ascii_strtoull(text, NULL, 10);
  return TRUE;
}

static gboolean write_count(int fd, guint64 count) {
  char text[32];
  int length = snprintf(text, sizeof text, "%" G_GUINT64_FORMAT, count);
  return pwrite(fd, text, (gsize)length, 0) == length;
}

/* The kernel's number of pages of one size; locked, as other helpers change it too. */
static int open_pages(const Pages *pages, GError **error) {
  g_autofree char *path = g_strdup_printf("/sys/kernel/mm/hugepages/hugepages-%" G_GUINT64_FORMAT "kB/nr_hugepages",
                                          pages->page_size / 1024);
  autofd int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd >= 0 && flock(fd, LOCK_EX) == 0) return fd_steal(&fd);
  error_set_errno(error, errno, "the guest has no huge pages of %" G_GUINT64_FORMAT " bytes ('%s')", pages->page_size,
                  path);
  return -1;
}

/* More pages, beside those others have reserved. */
static gboolean reserve_pages(const Pages *pages, GError **error) {
  guint64 before = 0;
  guint64 after = 0;
  autofd int fd = open_pages(pages, error);
  if (fd < 0) return FALSE;
  if (read_count(fd, &before) && write_count(fd, before + pages->n_pages) && read_count(fd, &after) &&
      after >= before + pages->n_pages)
    return TRUE;
  write_count(fd, before);
  g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
              "cannot reserve %" G_GUINT64_FORMAT " huge pages of %" G_GUINT64_FORMAT
              " bytes: the guest's memory gave %" G_GUINT64_FORMAT,
              pages->n_pages, pages->page_size, after > before ? after - before : 0);
  return FALSE;
}

static void release_pages(const Pages *pages) {
  guint64 count = 0;
  autofd int fd = open_pages(pages, NULL);
  if (fd < 0 || !read_count(fd, &count) || !write_count(fd, count > pages->n_pages ? count - pages->n_pages : 0))
    g_warning("cannot give %" G_GUINT64_FORMAT " huge pages back", pages->n_pages);
}

static gboolean mount_pages(const StoragePlace *place, GError **error) {
  Pages pages = {0};
  if (!parse_pages(place->storage, &pages, error) || !reserve_pages(&pages, error)) return FALSE;
  if (storage_mount(place, "nodev", "hugetlbfs", place->storage->options, place->storage->n_options, error))
    return TRUE;
  release_pages(&pages);
  return FALSE;
}

/* ---- memory ---- */

static gboolean parse_group(const char *text, gid_t *ret_group, GError **error) {
  guint64 group = 0;
  if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32 - 1, &group, NULL)) {
    *ret_group = (gid_t)group;
    return TRUE;
  }
  g_autofree char *shown = error_clean_text(text);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid option '" OPTION_GROUP "%s': not a group's number",
              shown);
  return FALSE;
}

/* A directory that belongs to a group and gives it to what is made in it. */
static gboolean set_group(int fd, gid_t group, GError **error) {
  struct stat info;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  if (fstat(fd, &info) == 0 && fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH) == 0 &&
      chmod(path, (info.st_mode & 07777) | S_ISGID) == 0)
    return TRUE;
  error_set_errno(error, errno, "cannot give the storage to group %u", group);
  return FALSE;
}

static gboolean is_of_pages(const Grpc__Storage *storage) { return strcmp(storage->fstype, "hugetlbfs") == 0; }

static gboolean check_ephemeral(const Grpc__Storage *storage, GError **error) {
  Pages pages = {0};
  gid_t group = 0;
  if (is_of_pages(storage)) return parse_pages(storage, &pages, error);
  g_autoptr(GPtrArray) options = storage_copy_options(storage);
  const char *text = storage_take_option(options, OPTION_GROUP);
  if (text && !parse_group(text, &group, error)) return FALSE;
  if (strcmp(storage->fstype, "tmpfs") == 0) return TRUE;
  g_autofree char *shown = error_clean_text(storage->fstype);
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "file system type '%s' of storage '%s' is not supported: driver 'ephemeral' has 'tmpfs' and 'hugetlbfs'",
              shown, storage->mount_point);
  return FALSE;
}

static gboolean mount_ephemeral(const StoragePlace *place, GError **error) {
  if (is_of_pages(place->storage)) return mount_pages(place, error);
  gid_t group = 0;
  g_autoptr(GPtrArray) options = storage_copy_options(place->storage);
  const char *text = storage_take_option(options, OPTION_GROUP);
  if (text && !parse_group(text, &group, error)) return FALSE;
  if (!storage_mount(place, "tmpfs", "tmpfs", (char **)options->pdata, options->len, error)) return FALSE;
  if (!text) return TRUE;
  autofd int fd = storage_open_mounted(place, error);
  if (fd >= 0 && set_group(fd, group, error)) return TRUE;
  umount2(place->target, UMOUNT_NOFOLLOW | MNT_DETACH);
  return FALSE;
}

static void release_ephemeral(const Grpc__Storage *storage, const char *target) {
  Pages pages = {0};
  if (is_of_pages(storage) && parse_pages(storage, &pages, NULL)) release_pages(&pages);
}

/* Flags that are not named would be taken away by the kernel. */
static unsigned long current_flags(const char *path) {
  static const unsigned long pairs[][2] = {
      {ST_RDONLY, MS_RDONLY},         {ST_NOSUID, MS_NOSUID},           {ST_NODEV, MS_NODEV},
      {ST_NOEXEC, MS_NOEXEC},         {ST_NOATIME, MS_NOATIME},         {ST_RELATIME, MS_RELATIME},
      {ST_NODIRATIME, MS_NODIRATIME}, {ST_SYNCHRONOUS, MS_SYNCHRONOUS},
  };
  struct statvfs info;
  unsigned long flags = 0;
  if (statvfs(path, &info) < 0) return 0;
  for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++)
    if (info.f_flag & pairs[i][0]) flags |= pairs[i][1];
  return flags;
}

/* A container may have mounted something else over it, which takes any option and does nothing. */
static gboolean check_is_memory(int fd, const Grpc__Storage *storage, GError **error) {
  struct statfs info;
  if (fstatfs(fd, &info) < 0) {
    error_set_errno(error, errno, "cannot look at storage '%s'", storage->mount_point);
    return FALSE;
  }
  if (info.f_type == TMPFS_MAGIC || info.f_type == HUGETLBFS_MAGIC) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
              "storage '%s' is covered by a file system that is none of memory", storage->mount_point);
  return FALSE;
}

gboolean storage_ephemeral_update(const Grpc__Storage *storage, const char *target, GError **error) {
  unsigned long flags = 0;
  g_autofree char *data = NULL;
  g_autoptr(GPtrArray) options = storage_copy_options(storage);
  storage_take_option(options, OPTION_GROUP);
  if (options->len == 0) return TRUE;
  if (!mount_parse_options((char **)options->pdata, options->len, &flags, &data, error)) return FALSE;
  autofd int fd = mount_open(target, O_PATH | O_NOFOLLOW, error);
  if (fd < 0 || !check_is_memory(fd, storage, error)) return FALSE;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  if (mount("none", path, NULL, flags | current_flags(path) | MS_REMOUNT, data) == 0) return TRUE;
  error_set_errno(error, errno, "cannot set the options '%s' of storage '%s'", data ? data : "", storage->mount_point);
  return FALSE;
}

/* ---- directories ---- */

static gboolean parse_mode(const char *text, mode_t *ret_mode, GError **error) {
  guint64 mode = 0;
  if (g_ascii_string_to_unsigned(text, 8, 0, 07777, &mode, NULL)) {
    *ret_mode = (mode_t)mode;
    return TRUE;
  }
  g_autofree char *shown = error_clean_text(text);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "invalid option '" OPTION_MODE "%s': not a mode in octal up to 7777", shown);
  return FALSE;
}

/* The values; *ret_mode and *ret_group point into the storage, or are NULL. */
static gboolean parse_local(const Grpc__Storage *storage, const char **ret_mode, mode_t *mode, const char **ret_group,
                            gid_t *group, GError **error) {
  g_autoptr(GPtrArray) options = storage_copy_options(storage);
  *ret_mode = storage_take_option(options, OPTION_MODE);
  *ret_group = storage_take_option(options, OPTION_GROUP);
  return (!*ret_mode || parse_mode(*ret_mode, mode, error)) && (!*ret_group || parse_group(*ret_group, group, error));
}

static gboolean check_local(const Grpc__Storage *storage, GError **error) {
  const char *mode_text = NULL;
  const char *group_text = NULL;
  mode_t mode = 0;
  gid_t group = 0;
  if (!parse_local(storage, &mode_text, &mode, &group_text, &group, error)) return FALSE;
  for (gsize i = 0; i < storage->n_options; i++) {
    const char *option = storage->options[i];
    if (g_str_has_prefix(option, OPTION_MODE) || g_str_has_prefix(option, OPTION_GROUP)) continue;
    g_autofree char *shown = error_clean_text(option);
    g_warning("storage '%s': driver 'local' makes nothing of the option '%s'", storage->mount_point, shown);
  }
  return TRUE;
}

static gboolean make_local(const StoragePlace *place, GError **error) {
  const char *mode_text = NULL;
  const char *group_text = NULL;
  mode_t mode = 0;
  gid_t group = 0;
  if (!parse_local(place->storage, &mode_text, &mode, &group_text, &group, error)) return FALSE;
  if (mode_text && chmod(place->target_fd_path, mode) < 0) {
    error_set_errno(error, errno, "cannot set the mode of '%s'", place->storage->mount_point);
    return FALSE;
  }
  return !group_text || set_group(place->target_fd, group, error);
}

static void remove_local(const Grpc__Storage *storage, const char *target) {
  g_autoptr(GError) error = NULL;
  if (!safe_remove_tree(target, &error)) g_warning("%s", error->message);
}

const StorageDriver storage_ephemeral = {NULL, STORAGE_IS_OF_POD, check_ephemeral, mount_ephemeral, release_ephemeral};
const StorageDriver storage_local = {NULL, STORAGE_IS_OF_POD | STORAGE_IS_DIRECTORY, check_local, make_local,
                                     remove_local};
