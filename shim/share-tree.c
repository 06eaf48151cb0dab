// SPDX-License-Identifier: LGPL-2.1-or-later
/* Trees and files as another process sees them. No caller's thread changes its namespace: a helper thread does. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "shim/share.h"

/* "/" as peer sees it. */
static int open_root(pid_t peer, GError **error) {
  g_autofree char *path = peer > 0 ? g_strdup_printf("/proc/%d/root", (int)peer) : g_strdup("/");
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) error_set_errno(error, errno, "cannot look into the root directory of process %d", (int)peer);
  return fd;
}

/* Joins peer's mount namespace; only to be called by a thread that shares its file system state with no other. */
static gboolean join_mounts(pid_t peer, GError **error) {
  g_autofree char *path = g_strdup_printf("/proc/%d/ns/mnt", (int)peer);
  autofd int theirs = open(path, O_RDONLY | O_CLOEXEC);
  struct stat their_status, our_status;
  if (theirs < 0 || fstat(theirs, &their_status) < 0 || stat("/proc/thread-self/ns/mnt", &our_status) < 0) {
    error_set_errno(error, errno, "cannot look at the mount namespace of process %d", (int)peer);
    return FALSE;
  }
  if (their_status.st_ino == our_status.st_ino && their_status.st_dev == our_status.st_dev) return TRUE;
  if (setns(theirs, CLONE_NEWNS) == 0) return TRUE;
  error_set_errno(error, errno, "cannot join the mount namespace of process %d", (int)peer);
  return FALSE;
}

typedef struct {
  pid_t peer;
  const char *path;
  unsigned depth;       /* AT_RECURSIVE or 0 */
  unsigned propagation; /* MS_PRIVATE: what is mounted in the copy later stays out of the original, and vice versa */
  unsigned how;
  GError *error;
} CloneJob;

static gboolean is_same_mount(int one, int other) {
  struct statx first, second;
  return statx(one, "", AT_EMPTY_PATH, STATX_MNT_ID, &first) == 0 && (first.stx_mask & STATX_MNT_ID) != 0 &&
         statx(other, "", AT_EMPTY_PATH, STATX_MNT_ID, &second) == 0 && first.stx_mnt_id == second.stx_mnt_id;
}

static gboolean set_propagation(const CloneJob *job, int tree, gboolean is_top_private) {
  struct mount_attr attributes = {.propagation = job->propagation}, of_top = {.propagation = MS_PRIVATE};
  return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) == 0 &&
         (!is_top_private || mount_setattr(tree, "", AT_EMPTY_PATH, &of_top, sizeof of_top) == 0);
}

static int clone_tree(const CloneJob *job, GError **error) {
  pid_t peer = job->peer;
  autofd int root = open_root(peer, error);
  if (root < 0 || (peer > 0 && !join_mounts(peer, error))) return -1;
  autofd int place = safe_open(root, job->path, O_PATH, 0, error);
  if (place < 0) return -1;
  autofd int tree = open_tree(place, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | job->depth | OPEN_TREE_CLOEXEC);
  gboolean is_top_private =
      (job->how & SHARE_TOP_PRIVATE) != 0 || ((job->how & SHARE_ROOT_PRIVATE) != 0 && is_same_mount(root, place));
  if (tree >= 0 && set_propagation(job, tree, is_top_private)) return fd_steal(&tree);
  error_set_errno(error, errno, "cannot copy the mounts at '%s' as process %d sees them", job->path, (int)peer);
  return -1;
}

static gpointer clone_thread(gpointer data) {
  CloneJob *job = data;
  int fd = -1;
  /* Parts the root and working directory from the other threads', without which setns() is refused. */
  if (unshare(CLONE_FS) < 0)
    error_set_errno(&job->error, errno, "cannot part a thread's root directory from the others'");
  else
    fd = clone_tree(job, &job->error);
  return GINT_TO_POINTER(fd);
}

static int clone_in_thread(CloneJob job, GError **error) {
  GThread *thread = g_thread_try_new("clone-tree", clone_thread, &job, error);
  if (thread == NULL) return -1;
  int fd = GPOINTER_TO_INT(g_thread_join(thread));
  if (fd >= 0) return fd;
  g_propagate_prefixed_error(error, job.error, "cannot share '%.4096s': ", job.path);
  return -1;
}

int share_clone_tree(pid_t peer, const char *path, GError **error) {
  return clone_in_thread((CloneJob){.peer = peer, .path = path, .depth = AT_RECURSIVE, .propagation = MS_PRIVATE},
                         error);
}

int share_clone_mount(pid_t peer, const char *path, GError **error) {
  return clone_in_thread((CloneJob){.peer = peer, .path = path, .propagation = MS_PRIVATE}, error);
}

int share_clone_slave(pid_t peer, const char *path, unsigned how, GError **error) {
  unsigned depth = (how & SHARE_FLAT) != 0 ? 0 : AT_RECURSIVE;
  return clone_in_thread((CloneJob){.peer = peer, .path = path, .depth = depth, .propagation = MS_SLAVE, .how = how},
                         error);
}

int share_open_file(pid_t peer, const char *path, GError **error) {
  autofd int root = open_root(peer, error);
  if (root < 0) return -1;
  /* Neither a FIFO nor a device may hold the owner up. */
  autofd int fd = safe_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, error);
  if (fd < 0) return -1;
  struct stat st;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd_steal(&fd);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot read '%s': not a regular file", path);
  return -1;
}

char *share_read_file(pid_t peer, const char *path, gsize limit, gsize *ret_length, GError **error) {
  autofd int fd = share_open_file(peer, path, error);
  if (fd < 0) return NULL;
  struct stat st = {0};
  fstat(fd, &st);
  if (st.st_size > 0 && (gsize)st.st_size > limit) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                "cannot read '%s': it has %" G_GINT64_FORMAT " bytes, the limit is %" G_GSIZE_FORMAT, path,
                (gint64)st.st_size, limit);
    return NULL;
  }
  g_autofree char *text = g_malloc(limit + 1);
  ssize_t length = fd_read_all(fd, text, limit + 1);
  if (length < 0) {
    error_set_errno(error, errno, "cannot read '%s'", path);
    return NULL;
  }
  if ((gsize)length > limit) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                "cannot read '%s': it has more than %" G_GSIZE_FORMAT " bytes", path, limit);
    return NULL;
  }
  text[length] = '\0';
  if (ret_length != NULL) *ret_length = (gsize)length;
  return g_realloc(g_steal_pointer(&text), (gsize)length + 1);
}
