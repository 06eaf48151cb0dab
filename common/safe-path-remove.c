// SPDX-License-Identifier: LGPL-2.1-or-later
/* Removing a tree: one open directory at a time, however deep the tree is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fds.h"
#include "safe-path.h"

/* Somebody who goes on writing into the tree is not waited for longer. */
#define REFILLS_MAX 64

/* A directory left behind on the way down: to know it again on the way up. */
typedef struct {
  char *child; /* the name in it that was entered */
  dev_t device;
  ino_t inode;
} Level;

static void level_free(gpointer data) {
  Level *level = data;
  g_free(level->child);
  g_free(level);
}

/* Are both on one mount? A bind mount is another mount of the same device. */
static gboolean is_same_mount(int fd, int other_fd) {
  struct statx one, other;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &one) < 0) return FALSE;
  if (statx(other_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &other) < 0) return FALSE;
  if (one.stx_dev_major != other.stx_dev_major || one.stx_dev_minor != other.stx_dev_minor) return FALSE;
  /* Linux before 5.8 does not tell. */
  if ((one.stx_mask & other.stx_mask & STATX_MNT_ID) == 0) return TRUE;
  return one.stx_mnt_id == other.stx_mnt_id;
}

static int open_child(int parent_fd, const char *name) {
  autofd int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && !is_same_mount(parent_fd, fd)) {
    errno = EXDEV;
    return -1;
  }
  return fd_steal(&fd);
}

/* top, or something below it, cannot be removed. */
static void set_remove_error(GError **error, int errnum, const char *top, GPtrArray *levels, const char *name) {
  g_autoptr(GString) path = g_string_new(top);
  for (guint i = 0; levels != NULL && i < levels->len; i++) {
    g_string_append_printf(path, "/%s", ((Level *)levels->pdata[i])->child);
  }
  if (name != NULL) g_string_append_printf(path, "/%s", name);
  g_autofree char *shown = error_clean_text(path->str);
  if (errnum == EXDEV || errnum == EBUSY) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot remove '%s': it is a mount point; unmount it first",
                shown);
  } else {
    error_set_errno(error, errnum, "cannot remove '%s'", shown);
  }
}

/* Removes what is no directory. Returns the first directory's name, NULL if there is none, with *ret_errno set if
 * something could not be removed (its name is returned then). */
static char *remove_files(int fd, int *ret_errno) {
  *ret_errno = 0;
  autofd int list_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *list = list_fd >= 0 ? fdopendir(list_fd) : NULL;
  if (list == NULL) {
    *ret_errno = errno;
    return g_strdup(".");
  }
  fd_steal(&list_fd);
  char *found = NULL;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(list);
    if (entry == NULL) {
      if (errno != 0) *ret_errno = errno, found = g_strdup(".");
      break;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (entry->d_type != DT_DIR && (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)) continue;
    if (entry->d_type != DT_DIR && errno != EISDIR) *ret_errno = errno;
    found = g_strdup(entry->d_name);
    break;
  }
  closedir(list);
  return found;
}

/* From the empty directory at *fd to its parent, removing it. */
static gboolean go_up(int *fd, GPtrArray *levels, const char *top, int *n_refills, GError **error) {
  Level *level = levels->pdata[levels->len - 1];
  autofd int parent = openat(*fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  int reason = 0;
  if (parent < 0 || fstat(parent, &status) < 0) {
    reason = errno;
  } else if (status.st_dev != level->device || status.st_ino != level->inode) {
    reason = ESTALE; /* the tree was moved about meanwhile */
  } else if (unlinkat(parent, level->child, AT_REMOVEDIR) < 0 && errno != ENOENT) {
    reason = errno;
    /* Filled again since it was read: the next look finds it again. */
    if (reason == ENOTEMPTY && ++*n_refills <= REFILLS_MAX) reason = 0;
  }
  if (reason != 0) {
    set_remove_error(error, reason, top, levels, NULL);
    return FALSE;
  }
  g_ptr_array_set_size(levels, levels->len - 1);
  fd_clear(fd);
  *fd = fd_steal(&parent);
  return TRUE;
}

static gboolean go_down(int *fd, GPtrArray *levels, char *name, const char *top, GError **error) {
  g_autofree char *owned = name;
  struct stat status;
  autofd int child = open_child(*fd, name);
  if (child < 0 && errno == ENOENT) return TRUE;
  if (child < 0 || fstat(*fd, &status) < 0) {
    set_remove_error(error, errno, top, levels, name);
    return FALSE;
  }
  Level *level = g_new0(Level, 1);
  level->child = g_steal_pointer(&owned);
  level->device = status.st_dev;
  level->inode = status.st_ino;
  g_ptr_array_add(levels, level);
  fd_clear(fd);
  *fd = fd_steal(&child);
  return TRUE;
}

static gboolean empty_directory(int top_fd, const char *top, GError **error) {
  g_autoptr(GPtrArray) levels = g_ptr_array_new_with_free_func(level_free);
  autofd int fd = top_fd;
  int n_refills = 0;
  for (;;) {
    int reason;
    g_autofree char *name = remove_files(fd, &reason);
    if (reason != 0) {
      set_remove_error(error, reason, top, levels, name);
      return FALSE;
    }
    if (name != NULL) {
      if (!go_down(&fd, levels, g_steal_pointer(&name), top, error)) return FALSE;
    } else if (levels->len == 0) {
      return TRUE;
    } else if (!go_up(&fd, levels, top, &n_refills, error)) {
      return FALSE;
    }
  }
}

gboolean safe_remove_tree(const char *path, GError **error) {
  gsize length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  g_autofree char *stripped = g_strndup(path, length);
  g_autofree char *folder = g_path_get_dirname(stripped);
  g_autofree char *name = g_path_get_basename(stripped);
  if (*path == '\0' || strcmp(name, "/") == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
    g_autofree char *shown = error_clean_text(path);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot remove '%s': no directory's own name", shown);
    return FALSE;
  }
  autofd int parent = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (int n_refills = 0;; n_refills++) {
    autofd int fd = parent >= 0 ? open_child(parent, name) : -1;
    if (fd < 0 && errno == ENOENT) return TRUE;
    if (fd < 0) break;
    if (!empty_directory(fd_steal(&fd), stripped, error)) return FALSE;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return TRUE;
    if (errno != ENOTEMPTY || n_refills >= REFILLS_MAX) break;
  }
  set_remove_error(error, errno, stripped, NULL, NULL);
  return FALSE;
}
