/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* ---- options ---- */

gboolean mount_parse_options(char *const *options, gsize n_options, unsigned long *ret_flags, char **ret_data,
                             GError **error) {
  g_autofree char *data = NULL;
  if (!mount_options_parse(options, n_options, ret_flags, &data, error)) return FALSE;
  if (data != NULL && strlen(data) > MOUNT_DATA_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "mount options of %" G_GSIZE_FORMAT " bytes are more than %d", strlen(data), MOUNT_DATA_MAX);
    return FALSE;
  }
  *ret_data = g_steal_pointer(&data);
  return TRUE;
}

/* ---- trees of mounts ---- */

int mount_copy_tree(int fd, unsigned long flags, GError **error) {
  unsigned int how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | ((flags & MS_REC) ? AT_RECURSIVE : 0);
  int tree = open_tree(fd, "", how);
  if (tree < 0) error_set_errno(error, errno, "cannot copy a mount");
  return tree;
}

static guint64 to_attributes(unsigned long flags) {
  static const struct {
    unsigned long flag;
    guint64 attribute;
  } pairs[] = {
      {MS_RDONLY, MOUNT_ATTR_RDONLY},
      {MS_NOSUID, MOUNT_ATTR_NOSUID},
      {MS_NODEV, MOUNT_ATTR_NODEV},
      {MS_NOEXEC, MOUNT_ATTR_NOEXEC},
      {MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
      {MS_NOATIME, MOUNT_ATTR_NOATIME},
      {MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
  };
  guint64 attributes = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++)
    if (flags & pairs[i].flag) attributes |= pairs[i].attribute;
  return attributes;
}

gboolean mount_set_attributes(int tree, unsigned long flags, unsigned long propagation, GError **error) {
  struct mount_attr attributes = {.attr_set = to_attributes(flags),
                                  .propagation = propagation & ~(unsigned long)MS_REC};
  /* The three ways to keep access times are one field. */
  if (flags & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME)) attributes.attr_clr = MOUNT_ATTR__ATIME;
  if (!attributes.attr_set && !attributes.attr_clr && !attributes.propagation) return TRUE;
  unsigned int how = AT_EMPTY_PATH | (((flags | propagation) & MS_REC) ? AT_RECURSIVE : 0);
  if (mount_setattr(tree, "", how, &attributes, sizeof attributes) == 0) return TRUE;
  error_set_errno(error, errno, "cannot set the options of a mount");
  return FALSE;
}

gboolean mount_attach(int tree, int target, GError **error) {
  if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0) return TRUE;
  error_set_errno(error, errno, "cannot put a mount in its place");
  return FALSE;
}

gboolean mount_bind(const char *source, const char *target, GError **error) {
  autofd int fd = mount_open(source, O_PATH | O_DIRECTORY, error);
  if (fd < 0) return FALSE;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  if (mount(path, target, "none", MS_BIND | MS_REC, NULL) == 0) return TRUE;
  error_set_errno(error, errno, "cannot bind '%s' on '%s'", source, target);
  return FALSE;
}

/* ---- paths ---- */

static const char *path_below(const char *path, const char *root) {
  return g_str_has_prefix(path, root) && path[strlen(root)] == '/' ? path + strlen(root) + 1 : NULL;
}

int mount_open_root(const char *path, const char **ret_below, GError **error) {
  const char *root = MOUNT_SHARE;
  const char *below = path_below(path, root);
  if (!below || !*below) below = path_below(path, root = MOUNT_ROOT);
  if (!below || !*below) {
    g_autofree char *shown = error_clean_text(path);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "path '%s' is not below '%s'", shown, MOUNT_ROOT);
    return -1;
  }
  int fd = g_mkdir_with_parents(root, 0755) < 0 ? -1 : open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    error_set_errno(error, errno, "cannot open '%s'", root);
  else
    *ret_below = below;
  return fd;
}

int mount_open(const char *path, int flags, GError **error) {
  const char *below = path;
  autofd int root = mount_open_root(path, &below, NULL);
  if (root < 0) root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd = safe_open(root, below, flags, 0, error);
  /* That names only what is below. */
  if (fd < 0) {
    g_autofree char *shown = error_clean_text(path);
    g_prefix_error(error, "'%s': ", shown);
  }
  return fd;
}
