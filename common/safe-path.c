// SPDX-License-Identifier: LGPL-2.1-or-later
#include "safe-path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"
#include "fds.h"

/* As many links as the kernel follows in one path. */
#define LINKS_MAX 40
/* A rename meanwhile makes openat2() fail with EAGAIN: asked again this often. */
#define RACES_MAX 64

static void set_path_error(GError **error, int errnum, const char *action, const char *path) {
  g_autofree char *shown = error_clean_text(path);
  error_set_errno(error, errnum, "cannot %s '%s'", action, shown);
}

gboolean safe_path_check(const char *path, const char *what, GError **error) {
  const char *reason = NULL;
  if (path == NULL || *path == '\0') {
    reason = "is empty";
  } else if (strnlen(path, PATH_MAX) >= PATH_MAX) {
    reason = "is longer than " G_STRINGIFY(PATH_MAX) " bytes";
  } else if (*path != '/') {
    reason = "is not absolute";
  } else {
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    if (g_strv_contains((const char *const *)parts, "..")) reason = "has a '..' in it";
  }
  if (reason == NULL) return TRUE;
  g_autofree char *shown = error_clean_text(path);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid %s: path '%s' %s", what, shown, reason);
  return FALSE;
}

/* ---- the way step by step: links are followed here, and ".." is never asked of the kernel ---- */

typedef struct {
  int root_fd;
  int at_fd;          /* the directory reached so far */
  GPtrArray *reached; /* its names from the root on, links resolved */
  GQueue *ahead;      /* names still to go */
  int n_links;
} Walk;

#define WALK_INIT(root) \
  { .root_fd = (root), .at_fd = -1, .reached = g_ptr_array_new_with_free_func(g_free), .ahead = g_queue_new() }
#define MODE_NONE ((mode_t)-1)

static void walk_clear(Walk *walk) {
  fd_clear(&walk->at_fd);
  g_clear_pointer(&walk->reached, g_ptr_array_unref);
  if (walk->ahead != NULL) g_queue_free_full(walk->ahead, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Walk, walk_clear)

static void walk_prepend(Walk *walk, const char *path) {
  g_auto(GStrv) parts = g_strsplit(path, "/", -1);
  for (guint i = g_strv_length(parts); i > 0; i--) g_queue_push_head(walk->ahead, g_strdup(parts[i - 1]));
}

/* Back to the root, and to the names that were reached before. */
static gboolean walk_restart(Walk *walk, guint n_names) {
  autofd int fd = openat(walk->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (guint i = 0; fd >= 0 && i < n_names; i++) {
    int next = openat(fd, walk->reached->pdata[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    fd_clear(&fd);
    fd = next;
  }
  if (fd < 0) return FALSE;
  g_ptr_array_set_size(walk->reached, (gint)n_names);
  fd_clear(&walk->at_fd);
  walk->at_fd = fd_steal(&fd);
  return TRUE;
}

static gboolean walk_follow(Walk *walk, int link_fd) {
  char text[PATH_MAX];
  ssize_t length = readlinkat(link_fd, "", text, sizeof text);
  if (length < 0) return FALSE;
  if ((gsize)length >= sizeof text || ++walk->n_links > LINKS_MAX) {
    errno = ELOOP;
    return FALSE;
  }
  text[length] = '\0';
  walk_prepend(walk, text);
  return *text != '/' || walk_restart(walk, 0);
}

/* One name further; a directory that is not there is made, unless mode is MODE_NONE. FALSE with errno. */
static gboolean walk_step(Walk *walk, const char *name, mode_t mode) {
  if (*name == '\0' || strcmp(name, ".") == 0) return TRUE;
  if (strcmp(name, "..") == 0) return walk_restart(walk, walk->reached->len > 0 ? walk->reached->len - 1 : 0);
  autofd int fd = openat(walk->at_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT && mode != MODE_NONE) {
    if (mkdirat(walk->at_fd, name, mode) < 0 && errno != EEXIST) return FALSE;
    fd = openat(walk->at_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  }
  struct stat status;
  if (fd < 0 || fstat(fd, &status) < 0) return FALSE;
  if (S_ISLNK(status.st_mode)) return walk_follow(walk, fd);
  if (!S_ISDIR(status.st_mode)) {
    errno = ENOTDIR;
    return FALSE;
  }
  g_ptr_array_add(walk->reached, g_strdup(name));
  fd_clear(&walk->at_fd);
  walk->at_fd = fd_steal(&fd);
  return TRUE;
}

/* Goes on until only the last name is ahead, or none if it leads to a directory by itself ("", ".", ".."). */
static gboolean walk_to_last(Walk *walk) {
  while (!g_queue_is_empty(walk->ahead)) {
    const char *next = g_queue_peek_head(walk->ahead);
    gboolean is_name = *next != '\0' && strcmp(next, ".") != 0 && strcmp(next, "..") != 0;
    if (is_name && g_queue_get_length(walk->ahead) == 1) break;
    g_autofree char *name = g_queue_pop_head(walk->ahead);
    if (!walk_step(walk, name, MODE_NONE)) return FALSE;
  }
  return TRUE;
}

/* What openat2() does, for kernels that have none. */
static int open_by_walking(int root_fd, const char *path, int flags, mode_t mode) {
  g_auto(Walk) walk = WALK_INIT(root_fd);
  if (*path == '\0') {
    errno = ENOENT;
    return -1;
  }
  walk_prepend(&walk, path);
  if (!walk_restart(&walk, 0)) return -1;
  for (;;) {
    if (!walk_to_last(&walk)) return -1;
    g_autofree char *name = g_queue_pop_head(walk.ahead);
    if (name == NULL) return openat(walk.at_fd, ".", flags | O_CLOEXEC, mode);
    autofd int link_fd = openat(walk.at_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    gboolean is_link = link_fd >= 0 && fstat(link_fd, &status) == 0 && S_ISLNK(status.st_mode);
    if (!is_link || (flags & O_NOFOLLOW) != 0 || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
      return openat(walk.at_fd, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    }
    if (!walk_follow(&walk, link_fd)) return -1;
  }
}

static int open_in_root(int root_fd, const char *path, int flags, mode_t mode) {
  struct open_how how = {
      .flags = (guint64)(guint)flags | O_CLOEXEC,
      .mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? mode : 0,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  };
  int fd = -1;
  for (int i = 0; i < RACES_MAX; i++) {
    fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  /* Linux before 5.6, and valgrind. */
  return fd < 0 && errno == ENOSYS ? open_by_walking(root_fd, path, flags, mode) : fd;
}

int safe_open(int root_fd, const char *path, int flags, mode_t mode, GError **error) {
  int fd = open_in_root(root_fd, path, flags, mode);
  if (fd < 0) set_path_error(error, errno, "open", path);
  return fd;
}

int safe_mkdirs(int root_fd, const char *path, mode_t mode, GError **error) {
  g_auto(Walk) walk = WALK_INIT(root_fd);
  walk_prepend(&walk, path);
  gboolean is_fine = walk_restart(&walk, 0);
  while (is_fine && !g_queue_is_empty(walk.ahead)) {
    g_autofree char *name = g_queue_pop_head(walk.ahead);
    is_fine = walk_step(&walk, name, mode);
  }
  if (!is_fine) {
    set_path_error(error, errno, "make directory", path);
    return -1;
  }
  return fd_steal(&walk.at_fd);
}

/* ---- whole files ---- */

char *safe_read_file(const char *path, gsize limit, gsize *ret_length, GError **error) {
  g_autofree char *shown = error_clean_text(path);
  /* Not blocking, or a FIFO would hold us at the door. */
  autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) < 0) {
    error_set_errno(error, errno, "cannot open '%s'", shown);
    return NULL;
  }
  if (!S_ISREG(status.st_mode)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot read '%s': not a regular file", shown);
    return NULL;
  }
  g_autoptr(GByteArray) content = g_byte_array_new();
  /* One byte more than allowed tells a file that is too long; /proc's files say they are empty. */
  gsize chunk = CLAMP((gsize)status.st_size, 4096, limit) + 1;
  for (;;) {
    gsize length = content->len;
    g_byte_array_set_size(content, length + chunk);
    ssize_t n_read = read(fd, content->data + length, chunk);
    g_byte_array_set_size(content, length + MAX(n_read, 0));
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read < 0) {
      error_set_errno(error, errno, "cannot read '%s'", shown);
      return NULL;
    }
    if (n_read == 0) break;
    if (content->len > limit) {
      g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                  "cannot read '%s': longer than the %" G_GSIZE_FORMAT " bytes allowed", shown, limit);
      return NULL;
    }
  }
  if (ret_length != NULL) *ret_length = content->len;
  g_byte_array_append(content, (const guint8 *)"", 1);
  return (char *)g_byte_array_free(g_steal_pointer(&content), FALSE);
}

static gboolean sync_directory(const char *path) {
  autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 && fsync(fd) == 0;
}

gboolean safe_write_file(const char *path, const char *text, gssize length, mode_t mode, gboolean durable,
                         GError **error) {
  g_autofree char *folder = g_path_get_dirname(path);
  g_autofree char *name = g_path_get_basename(path);
  g_autofree char *temporary = g_strdup_printf("%s/.%s.XXXXXX", folder, name);
  autofd int fd = g_mkstemp_full(temporary, O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) {
    set_path_error(error, errno, "make a temporary file beside", path);
    return FALSE;
  }
  gboolean is_written = fd_write_all(fd, text, length >= 0 ? (gsize)length : strlen(text)) && fchmod(fd, mode) == 0 &&
                        (!durable || fsync(fd) == 0) && rename(temporary, path) == 0;
  if (!is_written) {
    int reason = errno;
    unlink(temporary);
    set_path_error(error, reason, "write", path);
    return FALSE;
  }
  if (durable && !sync_directory(folder)) {
    set_path_error(error, errno, "sync the directory of", path);
    return FALSE;
  }
  return TRUE;
}
