/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount-point.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "error.h"
#include "fds.h"
#include "safe-path.h"

#define DIRECTORY_MODE 0755
#define FILE_MODE 0644

gboolean mount_has_option(const Grpc__Mount *mount, const char *option) {
  for (size_t i = 0; i < mount->n_options; i++)
    if (strcmp(mount->options[i], option) == 0) return TRUE;
  return FALSE;
}

gboolean mount_is_bind(const Grpc__Mount *mount) {
  return strcmp(mount->type, "bind") == 0 || mount_has_option(mount, "bind") || mount_has_option(mount, "rbind");
}

gboolean mount_is_beneath(const OciSpec *spec, gsize number, gboolean bind) {
  g_autofree char *place = g_canonicalize_filename(spec->mounts[number]->destination, "/");
  for (gsize i = 0; i < number; i++) {
    g_autofree char *other = g_canonicalize_filename(spec->mounts[i]->destination, "/");
    gsize length = strlen(other);
    if (mount_is_bind(spec->mounts[i]) == bind && strncmp(place, other, length) == 0 &&
        (place[length] == '/' || place[length] == '\0'))
      return TRUE;
  }
  return FALSE;
}

static gboolean make_file(int root_fd, const char *path, GError **error) {
  g_autofree char *folder = g_path_get_dirname(path);
  g_autofree char *name = g_path_get_basename(path);
  autofd int parent = safe_mkdirs(root_fd, folder, DIRECTORY_MODE, error);
  if (parent < 0) return FALSE;
  autofd int file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
  if (file >= 0 || errno == EEXIST) return TRUE;
  error_set_errno(error, errno, "cannot make the mount point '%s'", path);
  return FALSE;
}

int mount_point_open(int root_fd, const char *path, gboolean is_directory, GError **error) {
  int fd = safe_open(root_fd, path, O_PATH, 0, NULL);
  if (fd >= 0) return fd;
  if (is_directory) return safe_mkdirs(root_fd, path, DIRECTORY_MODE, error);
  return make_file(root_fd, path, error) ? safe_open(root_fd, path, O_PATH, 0, error) : -1;
}
