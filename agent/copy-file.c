/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/copy-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/mount.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/safe-path.h"

/* Names of files that are not complete yet begin so; the end is a digest of the name. */
#define TEMPORARY_PREFIX ".kata-copy-"

typedef struct {
  const Grpc__CopyFileRequest *request;
  int directory; /* that the file is in */
  char *name;
} Copy;

static void copy_clear(Copy *copy) {
  fd_clear(&copy->directory);
  g_free(copy->name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Copy, copy_clear)

static gboolean fail(const Copy *copy, int errnum, GError **error) {
  g_autofree char *shown = error_clean_text(copy->request->path);
  error_set_errno(error, errnum, "cannot copy to '%s'", shown);
  return FALSE;
}

static gboolean refuse(const Grpc__CopyFileRequest *request, const char *reason, GError **error) {
  g_autofree char *shown = error_clean_text(request->path);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot copy to '%s': %s", shown, reason);
  return FALSE;
}

/* ---- checks ---- */

static mode_t type_of(const Grpc__CopyFileRequest *request) {
  mode_t type = request->file_mode & S_IFMT;
  return type ? type : S_IFREG;
}

static gboolean check_numbers(const Grpc__CopyFileRequest *request, GError **error) {
  if (request->uid < -1 || request->gid < -1) return refuse(request, "uid and gid must not be negative", error);
  if (type_of(request) != S_IFREG) return TRUE;
  if (request->file_size < 0 || request->offset < 0)
    return refuse(request, "file_size and offset must not be negative", error);
  if ((guint64)request->offset + request->data.len > (guint64)request->file_size)
    return refuse(request, "the piece ends behind file_size", error);
  return TRUE;
}

static gboolean check_request(const Grpc__CopyFileRequest *request, GError **error) {
  if (!safe_path_check(request->path, "path of a file to copy", error)) return FALSE;
  g_autofree char *normal = g_canonicalize_filename(request->path, "/");
  if (!g_str_has_prefix(normal, MOUNT_SHARE "/")) return refuse(request, "it is not below '" MOUNT_SHARE "'", error);
  mode_t type = type_of(request);
  if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK)
    return refuse(request, "only files, directories and links can be copied, not devices, sockets or pipes", error);
  if (type == S_IFLNK &&
      (request->data.len == 0 || request->data.len >= PATH_MAX || memchr(request->data.data, '\0', request->data.len)))
    return refuse(request, "the target of a link must be a path", error);
  return check_numbers(request, error);
}

/* ---- the place ---- */

static gboolean own(int fd, const char *name, const Grpc__CopyFileRequest *request) {
  return fchownat(fd, name, (uid_t)request->uid, (gid_t)request->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0;
}

static gboolean open_directory(Copy *copy, GError **error) {
  const char *below = NULL;
  g_autofree char *normal = g_canonicalize_filename(copy->request->path, "/");
  autofd int root = mount_open_root(normal, &below, error);
  if (root < 0) return FALSE;
  g_autofree char *parent = g_path_get_dirname(below);
  copy->name = g_path_get_basename(below);
  copy->directory = safe_mkdirs(root, parent, copy->request->dir_mode & 0777, error);
  if (copy->directory < 0) return FALSE;
  /* The shared tree itself belongs to nobody's file. */
  return strcmp(parent, ".") == 0 || own(copy->directory, "", copy->request) || fail(copy, errno, error);
}

/* What is there and is no file goes, with all below it. */
static gboolean make_room(const Copy *copy, GError **error) {
  struct stat info;
  if (fstatat(copy->directory, copy->name, &info, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(info.st_mode)) return TRUE;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d/%s", copy->directory, copy->name);
  return safe_remove_tree(path, error);
}

static char *temporary_name(const Copy *copy) {
  g_autofree char *key = id_key(copy->name);
  return g_strconcat(TEMPORARY_PREFIX, key, NULL);
}

/* ---- the three kinds ---- */

static gboolean take_directory(const Copy *copy, GError **error) {
  if (mkdirat(copy->directory, copy->name, 0700) < 0 && errno != EEXIST) return fail(copy, errno, error);
  autofd int fd = openat(copy->directory, copy->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && own(fd, "", copy->request) && fchmod(fd, copy->request->file_mode & 07777) == 0) return TRUE;
  return fail(copy, errno, error);
}

static gboolean take_link(const Copy *copy, GError **error) {
  g_autofree char *temporary = temporary_name(copy);
  g_autofree char *target = g_strndup((const char *)copy->request->data.data, copy->request->data.len);
  if (!make_room(copy, error)) return FALSE;
  unlinkat(copy->directory, temporary, 0);
  if (symlinkat(target, copy->directory, temporary) == 0 && own(copy->directory, temporary, copy->request) &&
      renameat(copy->directory, temporary, copy->directory, copy->name) == 0)
    return TRUE;
  fail(copy, errno, error);
  unlinkat(copy->directory, temporary, 0);
  return FALSE;
}

static gboolean write_piece(const Copy *copy, int fd) {
  const Grpc__CopyFileRequest *request = copy->request;
  return lseek(fd, request->offset, SEEK_SET) >= 0 && fd_write_all(fd, request->data.data, request->data.len);
}

static gboolean finish_file(const Copy *copy, int fd, const char *temporary, GError **error) {
  const Grpc__CopyFileRequest *request = copy->request;
  if (!make_room(copy, error)) return FALSE;
  return (own(fd, "", request) && fchmod(fd, request->file_mode & 07777) == 0 &&
          renameat(copy->directory, temporary, copy->directory, copy->name) == 0) ||
         fail(copy, errno, error);
}

static gboolean take_file(const Copy *copy, GError **error) {
  const Grpc__CopyFileRequest *request = copy->request;
  g_autofree char *temporary = temporary_name(copy);
  int how = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (request->offset == 0 ? O_CREAT | O_TRUNC : 0);
  struct stat info;
  autofd int fd = openat(copy->directory, temporary, how, 0600);
  if (fd < 0 && errno == ENOENT) return refuse(request, "its beginning did not come", error);
  if (fd < 0 || fstat(fd, &info) < 0) return fail(copy, errno, error);
  if (request->offset > info.st_size) return refuse(request, "a piece before this one did not come", error);
  gboolean is_fine = write_piece(copy, fd) || fail(copy, errno, error);
  gboolean is_last =
      MAX((guint64)info.st_size, (guint64)request->offset + request->data.len) >= (guint64)request->file_size;
  if (is_fine && is_last) is_fine = finish_file(copy, fd, temporary, error);
  if (!is_fine) unlinkat(copy->directory, temporary, 0);
  return is_fine;
}

gboolean copy_file_take(const Grpc__CopyFileRequest *request, GError **error) {
  g_auto(Copy) copy = {.request = request, .directory = -1};
  if (!check_request(request, error) || !open_directory(&copy, error)) return FALSE;
  switch (type_of(request)) {
    case S_IFDIR:
      return take_directory(&copy, error);
    case S_IFLNK:
      return take_link(&copy, error);
    default:
      return take_file(&copy, error);
  }
}
