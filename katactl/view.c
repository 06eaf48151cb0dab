// SPDX-License-Identifier: LGPL-2.1-or-later
#include "view.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/mount-point.h"
#include "common/safe-path.h"

typedef struct {
  char *destination;
  int tree_fd;
  gboolean is_directory;
} Part;

struct View {
  int root_fd;
  GPtrArray *parts; /* of Part, in the order of mounting */
};

static void part_free(Part *part) {
  fd_clear(&part->tree_fd);
  g_free(part->destination);
  g_free(part);
}

void view_free(View *view) {
  if (view == NULL) return;
  fd_clear(&view->root_fd);
  g_ptr_array_unref(view->parts);
  g_free(view);
}

/* A detached copy of the mounts at path. */
static int clone_tree(const char *path, gboolean read_only, gboolean recursive, GError **error) {
  unsigned depth = recursive ? AT_RECURSIVE : 0;
  autofd int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth);
  struct mount_attr attributes = {.attr_set = read_only ? MOUNT_ATTR_RDONLY : 0, .propagation = MS_PRIVATE};
  if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) == 0)
    return fd_steal(&tree);
  error_set_errno(error, errno, "cannot copy the mounts at '%s'", path);
  return -1;
}

static int make_tmpfs(void) {
  autofd int filesystem = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (filesystem < 0 || fsconfig(filesystem, FSCONFIG_SET_STRING, "mode", "755", 0) < 0 ||
      fsconfig(filesystem, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
    return -1;
  return fsmount(filesystem, FSMOUNT_CLOEXEC, 0);
}

/* The host does not look into a disk that the guest has as its root: what is mounted there is all there is to see. */
static int open_root(const char *path, GError **error) {
  struct stat status;
  if (stat(path, &status) < 0 || S_ISDIR(status.st_mode)) return clone_tree(path, FALSE, TRUE, error);
  int root = make_tmpfs();
  if (root < 0) error_set_errno(error, errno, "cannot make a directory for '%s'", path);
  return root;
}

static gboolean add_part(View *view, const Grpc__Mount *mount, const char *bundle, GError **error) {
  g_autofree char *source = g_canonicalize_filename(mount->source, bundle);
  autofd int tree = clone_tree(source, mount_has_option(mount, "ro"), mount_has_option(mount, "rbind"), error);
  struct stat status;
  if (tree < 0) return FALSE;
  if (fstat(tree, &status) < 0) {
    error_set_errno(error, errno, "cannot look at '%s'", source);
    return FALSE;
  }
  Part *part = g_new0(Part, 1);
  part->destination = g_canonicalize_filename(mount->destination, "/");
  part->is_directory = S_ISDIR(status.st_mode);
  part->tree_fd = fd_steal(&tree);
  g_ptr_array_add(view->parts, part);
  return TRUE;
}

View *view_new(const OciSpec *spec, const char *bundle, GError **error) {
  g_autoptr(View) view = g_new0(View, 1);
  view->root_fd = -1;
  view->parts = g_ptr_array_new_with_free_func((GDestroyNotify)part_free);
  g_autofree char *root = g_canonicalize_filename(spec->root->path, bundle);
  view->root_fd = open_root(root, error);
  if (view->root_fd < 0) {
    g_prefix_error(error, "config.json: root.path: ");
    return NULL;
  }
  for (gsize i = 0; i < spec->n_mounts; i++) {
    /* Below a mount that only the guest has there is no place for it. */
    if (!mount_is_bind(spec->mounts[i]) || mount_is_beneath(spec, i, FALSE)) continue;
    if (add_part(view, spec->mounts[i], bundle, error)) continue;
    g_prefix_error(error, "config.json: mounts: ");
    return NULL;
  }
  return g_steal_pointer(&view);
}

static gboolean mount_part(const View *view, const Part *part, GError **error) {
  autofd int place = mount_point_open(view->root_fd, part->destination, part->is_directory, error);
  if (place < 0) return FALSE;
  if (move_mount(part->tree_fd, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0) return TRUE;
  error_set_errno(error, errno, "cannot mount at '%s'", part->destination);
  return FALSE;
}

/* Shows a file or directory of the host's /proc in another. */
static gboolean show_entry(int proc, const char *entry, const char *name) {
  g_autofree char *path = g_build_filename("/proc", entry, NULL);
  autofd int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  struct stat status;
  if (tree < 0 || fstat(tree, &status) < 0) return FALSE;
  mode_t type = status.st_mode & S_IFMT;
  int made = S_ISDIR(type) ? mkdirat(proc, name, 0555) : mknodat(proc, name, S_IFREG | 0444, 0);
  return made == 0 && move_mount(tree, "", proc, name, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

/* Who lists the processes of a container finds this one, and none of the host's others. */
static gboolean show_self(const View *view, GError **error) {
  static const char *const figures[] = {"stat", "uptime", "meminfo", NULL}; /* of the whole machine, for ps */
  autofd int place = safe_open(view->root_fd, "/proc", O_PATH | O_DIRECTORY, 0, NULL);
  if (place < 0) return TRUE;
  g_autofree char *name = g_strdup_printf("%d", (int)getpid());
  autofd int proc = make_tmpfs();
  gboolean is_done = proc >= 0 &&
                     move_mount(proc, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0 &&
                     show_entry(proc, "self", name);
  for (const char *const *figure = figures; is_done && *figure != NULL; figure++)
    is_done = show_entry(proc, *figure, *figure);
  if (!is_done) error_set_errno(error, errno, "cannot mount a '/proc' with process %s alone", name);
  return is_done;
}

gboolean view_enter(const View *view, GError **error) {
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
    error_set_errno(error, errno, "cannot make a mount namespace");
    return FALSE;
  }
  /* Over the root of the namespace, which is where joining leads to; this process's own root is what lies below. */
  if (move_mount(view->root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0) {
    error_set_errno(error, errno, "cannot mount the container's root file system in a namespace");
    return FALSE;
  }
  for (guint i = 0; i < view->parts->len; i++)
    if (!mount_part(view, view->parts->pdata[i], error)) return FALSE;
  /* Only now: the root may have to get mount points for the others. */
  return show_self(view, error);
}
