/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small tree made like another, so that whoever looks at the copy sees what happened to the original. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage-watch.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* Deep enough for a config map, which has two. */
#define LEVELS_MAX 16
#define DIRECTORIES_MAX 64
/* In the copy only, and never longer than one step takes. */
#define TEMPORARY_NAME ".kata-agent-new"

typedef struct {
  guint n_entries; /* files and links */
  guint n_directories;
  guint64 n_bytes;
  guint level;
} Size;

typedef struct {
  char *name;
  struct stat info;
} Item;

static void item_free(gpointer data) {
  Item *item = data;
  g_free(item->name);
  g_free(item);
}

/* Directories first, then files, then links: a link that is turned to a new directory finds it complete. */
static int rank(const Item *item) { return S_ISDIR(item->info.st_mode) ? 0 : S_ISREG(item->info.st_mode) ? 1 : 2; }

static gint compare_items(gconstpointer a, gconstpointer b) {
  const Item *const *one = a;
  const Item *const *other = b;
  int difference = rank(*one) - rank(*other);
  return difference ? difference : strcmp((*one)->name, (*other)->name);
}

/* Directories, files and links; other things are not copied. NULL with error. */
static GPtrArray *list_directory(int directory, GError **error) {
  g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(item_free);
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (!entries) {
    error_set_errno(error, errno, "cannot list a watched directory");
    fd_clear(&fd);
    return NULL;
  }
  for (const struct dirent *entry; (entry = readdir(entries)) && items->len < STORAGE_WATCH_ENTRIES_MAX * 8;) {
    struct stat info;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) continue;
    Item *item = g_new(Item, 1);
    *item = (Item){g_strdup(entry->d_name), info};
    g_ptr_array_add(items, item);
  }
  closedir(entries);
  g_ptr_array_sort(items, compare_items);
  return g_steal_pointer(&items);
}

/* ---- is it small enough? ---- */

static gboolean measure_item(Size *size, int directory, const Item *item, GError **error);

static gboolean measure_below(Size *size, int directory, GError **error) {
  g_autoptr(GPtrArray) items = list_directory(directory, error);
  if (!items) return FALSE;
  for (guint i = 0; i < items->len; i++)
    if (!measure_item(size, directory, g_ptr_array_index(items, i), error)) return FALSE;
  return TRUE;
}

static gboolean measure_item(Size *size, int directory, const Item *item, GError **error) {
  gboolean is_directory = S_ISDIR(item->info.st_mode);
  size->n_directories += is_directory ? 1 : 0;
  size->n_entries += is_directory ? 0 : 1;
  size->n_bytes += S_ISREG(item->info.st_mode) ? (guint64)item->info.st_size : 0;
  if (size->n_entries > STORAGE_WATCH_ENTRIES_MAX || size->n_bytes > STORAGE_WATCH_BYTES_MAX ||
      size->n_directories > DIRECTORIES_MAX || size->level >= LEVELS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                "it has more than %d files or %u bytes, too much to be watched", STORAGE_WATCH_ENTRIES_MAX,
                STORAGE_WATCH_BYTES_MAX);
    return FALSE;
  }
  if (!is_directory) return TRUE;
  autofd int fd = openat(directory, item->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return TRUE;
  size->level++;
  gboolean is_fine = measure_below(size, fd, error);
  size->level--;
  return is_fine;
}

/* ---- copying ---- */

static gboolean is_same_file(const struct stat *one, const struct stat *other) {
  return one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
         one->st_mtim.tv_nsec == other->st_mtim.tv_nsec && one->st_mode == other->st_mode &&
         one->st_uid == other->st_uid && one->st_gid == other->st_gid;
}

static gboolean copy_attributes(int fd, const struct stat *info) {
  const struct timespec times[2] = {info->st_atim, info->st_mtim};
  return fchown(fd, info->st_uid, info->st_gid) == 0 && fchmod(fd, info->st_mode & 07777) == 0 &&
         futimens(fd, times) == 0;
}

/* Up to the limit: the file may grow meanwhile. The time is the one it had before, so that a change meanwhile is seen
 * the next time. */
static gboolean copy_content(int from, int to, const struct stat *info) {
  g_autofree char *bytes = g_malloc(STORAGE_WATCH_BYTES_MAX);
  ssize_t length = fd_read_all(from, bytes, STORAGE_WATCH_BYTES_MAX);
  return length >= 0 && ftruncate(to, 0) == 0 && fd_write_all(to, bytes, (gsize)length) && copy_attributes(to, info);
}

/* In place if the file is there: containers may have it mounted, or watch it. */
static gboolean sync_file(int source, int target, const Item *item, const struct stat *old) {
  if (old && is_same_file(&item->info, old)) return TRUE;
  struct stat info;
  autofd int from = openat(source, item->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (from < 0 || fstat(from, &info) < 0) return errno == ENOENT;
  if (old) {
    autofd int to = openat(target, item->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    return to >= 0 && copy_content(from, to, &info);
  }
  autofd int to = openat(target, TEMPORARY_NAME, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
  return to >= 0 && copy_content(from, to, &info) && renameat(target, TEMPORARY_NAME, target, item->name) == 0;
}

static gboolean sync_link(int source, int target, const Item *item, gboolean is_there) {
  char wanted[PATH_MAX] = "";
  char current[PATH_MAX] = "";
  if (readlinkat(source, item->name, wanted, sizeof wanted - 1) < 0) return errno == ENOENT;
  if (is_there && readlinkat(target, item->name, current, sizeof current - 1) >= 0 && strcmp(wanted, current) == 0)
    return TRUE;
  return symlinkat(wanted, target, TEMPORARY_NAME) == 0 && renameat(target, TEMPORARY_NAME, target, item->name) == 0;
}

static gboolean remove_item(int directory, const char *name, GError **error) {
  if (unlinkat(directory, name, 0) == 0 || errno == ENOENT) return TRUE;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d/%s", directory, name);
  return safe_remove_tree(path, error);
}

static gboolean sync_below(int source, int target, GError **error);

static gboolean sync_item(int source, int target, const Item *item, GError **error) {
  struct stat old;
  gboolean is_there = fstatat(target, item->name, &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (is_there && (old.st_mode & S_IFMT) != (item->info.st_mode & S_IFMT)) {
    if (!remove_item(target, item->name, error)) return FALSE;
    is_there = FALSE;
  }
  gboolean is_fine = TRUE;
  if (S_ISREG(item->info.st_mode)) {
    is_fine = sync_file(source, target, item, is_there ? &old : NULL);
  } else if (S_ISLNK(item->info.st_mode)) {
    is_fine = sync_link(source, target, item, is_there);
  } else {
    is_fine = is_there || mkdirat(target, item->name, 0700) == 0;
    autofd int from = openat(source, item->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    autofd int to = openat(target, item->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from >= 0 && to >= 0) {
      if (!sync_below(from, to, error)) return FALSE;
      is_fine = copy_attributes(to, &item->info);
    }
  }
  if (!is_fine) error_set_errno(error, errno, "cannot copy '%s'", item->name);
  return is_fine;
}

static gboolean has_item(const GPtrArray *items, const char *name) {
  for (guint i = 0; i < items->len; i++)
    if (strcmp(((const Item *)g_ptr_array_index(items, i))->name, name) == 0) return TRUE;
  return FALSE;
}

static gboolean sync_below(int source, int target, GError **error) {
  g_autoptr(GPtrArray) wanted = list_directory(source, error);
  if (!wanted || !remove_item(target, TEMPORARY_NAME, error)) return FALSE;
  for (guint i = 0; i < wanted->len; i++)
    if (!sync_item(source, target, g_ptr_array_index(wanted, i), error)) return FALSE;
  g_autoptr(GPtrArray) there = list_directory(target, error);
  if (!there) return FALSE;
  for (guint i = 0; i < there->len; i++) {
    const Item *item = g_ptr_array_index(there, i);
    if (!has_item(wanted, item->name) && !remove_item(target, item->name, error)) return FALSE;
  }
  return TRUE;
}

static gboolean sync_single(int source_fd, int target_fd, GError **error) {
  struct stat info;
  struct stat old;
  g_autofree char *from_path = g_strdup_printf("/proc/self/fd/%d", source_fd);
  g_autofree char *to_path = g_strdup_printf("/proc/self/fd/%d", target_fd);
  autofd int from = open(from_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (from >= 0 && fstat(from, &info) == 0 && fstat(target_fd, &old) == 0) {
    if (info.st_size > STORAGE_WATCH_BYTES_MAX) {
      g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "it has more than %u bytes, too much to be watched",
                  STORAGE_WATCH_BYTES_MAX);
      return FALSE;
    }
    if (is_same_file(&info, &old)) return TRUE;
    autofd int to = open(to_path, O_WRONLY | O_CLOEXEC);
    if (to >= 0 && copy_content(from, to, &info)) return TRUE;
  }
  error_set_errno(error, errno, "cannot copy a watched file");
  return FALSE;
}

gboolean storage_watch_sync(int source_fd, int target_fd, GError **error) {
  struct stat info;
  Size size = {0};
  if (fstat(source_fd, &info) < 0) {
    error_set_errno(error, errno, "cannot look at what is watched");
    return FALSE;
  }
  if (S_ISREG(info.st_mode)) return sync_single(source_fd, target_fd, error);
  if (!measure_below(&size, source_fd, error) || !sync_below(source_fd, target_fd, error)) return FALSE;
  autofd int target = openat(target_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (target >= 0 && copy_attributes(target, &info)) return TRUE;
  error_set_errno(error, errno, "cannot set the mode of the copy");
  return FALSE;
}
