// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/share.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/share-private.h"

/* ---- the owner's namespace ---- */

/* A namespace is a thread's own: with other threads about they would stay behind. */
static gboolean check_single_threaded(GError **error) {
  g_autoptr(GDir) tasks = g_dir_open("/proc/self/task", 0, error);
  if (tasks == NULL) return FALSE;
  guint count = 0;
  while (g_dir_read_name(tasks) != NULL) count++;
  if (count == 1) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL,
              "cannot change the mount namespace: the process has %u threads already", count);
  return FALSE;
}

/*
 * Puts an empty file of mode 0 over /dev/kvm. Neither libvirt (which looks as QEMU's user) nor its probe of
 * QEMU (which runs with root's right to open anything) takes that for a KVM, so that their answers agree and
 * the capability cache stays valid. It lies on a tmpfs that has no other place than this one.
 */
static gboolean cover_kvm(GError **error) {
  struct stat st;
  if (stat("/dev/kvm", &st) < 0) return TRUE;
  /* Nobody who needs /dev is in this namespace: it may be something else for a moment. */
  if (mount("kata", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=4k,nr_inodes=4,mode=0700") < 0) {
    error_set_errno(error, errno, "cannot hide '/dev/kvm': cannot mount a tmpfs");
    return FALSE;
  }
  autofd int file = open("/dev/kvm", O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0);
  autofd int cover = file >= 0 ? open_tree(AT_FDCWD, "/dev/kvm", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) : -1;
  int reason = cover < 0 ? errno : 0;
  if (umount2("/dev", MNT_DETACH) < 0 && reason == 0) reason = errno;
  if (reason == 0 && move_mount(cover, "", AT_FDCWD, "/dev/kvm", MOVE_MOUNT_F_EMPTY_PATH) < 0) reason = errno;
  if (reason == 0) return TRUE;
  error_set_errno(error, reason, "cannot hide '/dev/kvm'");
  return FALSE;
}

static int outer_namespace = -1;

int share_get_outer_namespace(void) { return outer_namespace; }

static void remember_namespace(void) {
  fd_clear(&outer_namespace);
  outer_namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

gboolean share_enter_namespace(gboolean hide_kvm, GError **error) {
  if (!check_single_threaded(error)) return FALSE;
  remember_namespace();
  if (unshare(CLONE_NEWNS) < 0) {
    error_set_errno(error, errno, "cannot make a mount namespace (root is needed)");
    return FALSE;
  }
  if (mount("", "/", "", MS_REC | MS_SLAVE, NULL) < 0) {
    error_set_errno(error, errno, "cannot part the mount namespace from the host's");
    return FALSE;
  }
  return !hide_kvm || cover_kvm(error);
}

/* What is there otherwise is a device, which may be a mount as well: a container's that it was given. */
static gboolean is_kvm_covered(void) {
  struct stat st;
  return stat("/dev/kvm", &st) == 0 && S_ISREG(st.st_mode);
}

gboolean share_change_kvm(gboolean hide_kvm, GError **error) {
  if (is_kvm_covered() == hide_kvm) return TRUE;
  if (hide_kvm) return cover_kvm(error);
  if (umount2("/dev/kvm", MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return TRUE;
  error_set_errno(error, errno, "cannot show '/dev/kvm' again");
  return FALSE;
}

gboolean share_join_namespace(pid_t pid, GError **error) {
  if (!check_single_threaded(error)) return FALSE;
  g_autofree char *path = g_strdup_printf("/proc/%d/ns/mnt", (int)pid);
  autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
  remember_namespace();
  if (fd < 0 || setns(fd, CLONE_NEWNS) < 0) {
    error_set_errno(error, errno, "cannot join the mount namespace of process %d", (int)pid);
    return FALSE;
  }
  return TRUE;
}

/* ---- the tree ---- */

static gboolean is_mount_point(const char *path) {
  struct statx status;
  return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/*
 * A peer group of its own, so that what is mounted below later reaches virtiofsd's namespace and nobody else's.
 * Read-only: the guest must not fill the host's memory through the bare directory; the mounts below it
 * are as writable as they are.
 */
static gboolean make_mount_point(const char *directory, GError **error) {
  if (g_mkdir_with_parents(directory, 0711) < 0) {
    error_set_errno(error, errno, "cannot make the shared directory '%s'", directory);
    return FALSE;
  }
  if (is_mount_point(directory)) return TRUE; /* an earlier owner's */
  if (mount(directory, directory, "", MS_BIND, NULL) == 0) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
    if (mount_setattr(AT_FDCWD, directory, 0, &attributes, sizeof attributes) == 0 &&
        mount("", directory, "", MS_SHARED, NULL) == 0)
      return TRUE;
    int reason = errno;
    umount2(directory, MNT_DETACH);
    errno = reason;
  }
  error_set_errno(error, errno, "cannot make the shared directory '%s' a mount point", directory);
  return FALSE;
}

static int open_plain(const char *directory, GError **error) {
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
  autofd int fd = open_tree(AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (fd >= 0 && mount_setattr(fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) return fd_steal(&fd);
  error_set_errno(error, errno, "cannot open the shared directory '%s'", directory);
  return -1;
}

Share *share_new(const char *directory, GError **error) {
  if (!make_mount_point(directory, error)) return NULL;
  int plain_fd = open_plain(directory, error);
  if (plain_fd < 0) return NULL;
  Share *share = g_new0(Share, 1);
  share->directory = g_strdup(directory);
  share->plain_fd = plain_fd;
  share->daemon_pidfd = -1;
  share->daemon_log = -1;
  return share;
}

void share_free(Share *share) {
  if (share == NULL) return;
  fd_clear(&share->plain_fd);
  fd_clear(&share->daemon_pidfd);
  fd_clear(&share->daemon_log);
  g_free(share->directory);
  g_free(share);
}

/* ---- what is in it ---- */

static gboolean check_name(const char *name, GError **error) {
  if (*name != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strchr(name, '/') == NULL &&
      strlen(name) <= NAME_MAX)
    return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot share a tree as '%.300s': not a single file's name",
              name);
  return FALSE;
}

static gboolean make_target(Share *share, const char *name, int tree_fd, gboolean *ret_is_directory, GError **error) {
  struct stat st;
  int reason = 0;
  if (fstat(tree_fd, &st) < 0) {
    reason = errno;
  } else if (S_ISDIR(st.st_mode)) {
    if (mkdirat(share->plain_fd, name, 0711) < 0) reason = errno;
  } else {
    autofd int file = openat(share->plain_fd, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) reason = errno;
  }
  *ret_is_directory = reason == 0 && S_ISDIR(st.st_mode);
  if (reason == 0) return TRUE;
  error_set_errno(error, reason, "cannot make the mount point '%s/%s'", share->directory, name);
  return FALSE;
}

gboolean share_make_place(Share *share, const char *name, GError **error) {
  if (!check_name(name, error)) return FALSE;
  if (mkdirat(share->plain_fd, name, 0711) == 0 || errno == EEXIST) return TRUE;
  error_set_errno(error, errno, "cannot make the directory '%s/%s'", share->directory, name);
  return FALSE;
}

gboolean share_add(Share *share, const char *name, int tree_fd, gboolean read_only, GError **error) {
  autofd int tree = tree_fd;
  gboolean is_directory;
  if (!check_name(name, error) || !make_target(share, name, tree, &is_directory, error)) return FALSE;
  g_autofree char *path = g_build_filename(share->directory, name, NULL);
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  gboolean is_ready =
      !read_only || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) == 0;
  if (is_ready && move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0) return TRUE;
  error_set_errno(error, errno, "cannot mount a tree at '%s'%s", path, is_ready ? "" : " read-only");
  unlinkat(share->plain_fd, name, is_directory ? AT_REMOVEDIR : 0);
  return FALSE;
}

void share_remove(Share *share, const char *name) {
  if (!check_name(name, NULL)) return;
  share_unfollow(share, name);
  g_autofree char *path = g_build_filename(share->directory, name, NULL);
  umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
  if (unlinkat(share->plain_fd, name, 0) < 0 && errno == EISDIR) unlinkat(share->plain_fd, name, AT_REMOVEDIR);
}
