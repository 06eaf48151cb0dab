// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/loopback.h"

/* asm-generic/socket.h */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define OWN "/proc/self/"

/* ---- a thread for each step into another namespace ---- */

typedef struct {
  int netns; /* -1: a new one */
  NetFunc func;
  gpointer data;
  gboolean done;
  GError *error;
} Job;

static gpointer job_thread(gpointer data) {
  Job *job = data;
  int failed = job->netns >= 0 ? setns(job->netns, CLONE_NEWNET) : unshare(CLONE_NEWNET);
  if (failed != 0)
    error_set_errno(&job->error, errno,
                    job->netns >= 0 ? "cannot enter a network namespace" : "cannot make a network namespace");
  else
    job->done = job->func(job->data, &job->error);
  return NULL;
}

static gboolean run_job(Job *job, GError **error) {
  GThread *thread = g_thread_try_new("net", job_thread, job, error);
  if (thread == NULL) return FALSE;
  g_thread_join(thread);
  if (job->error != NULL) g_propagate_error(error, job->error);
  return job->done;
}

gboolean net_namespace_run(int netns, NetFunc func, gpointer data, GError **error) {
  Job job = {.netns = netns, .func = func, .data = data};
  return run_job(&job, error);
}

/* ---- finding one ---- */

static gboolean check_kind(int fd, const char *path, GError **error) {
  /* Any other file refuses the call; other kinds of namespaces answer with their own number. */
  if (ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "'%s' is not a network namespace", path);
  return FALSE;
}

typedef struct {
  pid_t peer;
  const char *path;
  int fd;
  GError *error;
} OpenJob;

/* Where peer's "/" is; the thread's root is its own (unshare). */
static gboolean see_as_peer(pid_t peer) {
  g_autofree char *root_path = g_strdup_printf("/proc/%d/root", (int)peer);
  g_autofree char *mounts_path = g_strdup_printf("/proc/%d/ns/mnt", (int)peer);
  autofd int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  autofd int mounts = open(mounts_path, O_RDONLY | O_CLOEXEC);
  return root >= 0 && mounts >= 0 && unshare(CLONE_FS) == 0 && setns(mounts, CLONE_NEWNS) == 0 && fchdir(root) == 0 &&
         chroot(".") == 0;
}

static gpointer open_thread(gpointer data) {
  OpenJob *job = data;
  g_autofree char *own = NULL;
  if (job->peer > 0 && g_str_has_prefix(job->path, OWN))
    own = g_strdup_printf("/proc/%d/%s", (int)job->peer, job->path + strlen(OWN));
  const char *path = own != NULL ? own : job->path;
  /* Not safe_open(): namespaces are found through links of /proc, which lead out of any root. */
  autofd int fd =
      job->peer <= 0 || see_as_peer(job->peer) ? open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
  if (fd < 0)
    error_set_errno(&job->error, errno, "cannot open the network namespace '%s'", job->path);
  else if (check_kind(fd, job->path, &job->error))
    job->fd = fd_steal(&fd);
  return NULL;
}

int net_namespace_open(pid_t peer, const char *path, GError **error) {
  if (!g_path_is_absolute(path)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot open the network namespace '%s': its path is not absolute", path);
    return -1;
  }
  OpenJob job = {.peer = peer, .path = path, .fd = -1};
  GThread *thread = g_thread_try_new("netns", open_thread, &job, error);
  if (thread == NULL) return -1;
  g_thread_join(thread);
  if (job.error != NULL) g_propagate_error(error, job.error);
  return job.fd;
}

int net_namespace_open_of(pid_t pid, GError **error) {
  g_autofree char *path = g_strdup_printf("/proc/%d/ns/net", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) error_set_errno(error, errno, "cannot open the network namespace of process %d", (int)pid);
  return fd;
}

int net_namespace_open_machine(pid_t pid, const char *mount, GError **error) {
  return *mount != '\0' ? net_namespace_open(pid, mount, error) : net_namespace_open_of(pid, error);
}

gboolean net_namespace_mount(int netns, const char *path, GError **error) {
  autofd int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  g_autofree char *source = g_strdup_printf("/proc/self/fd/%d", netns);
  if (file >= 0 && mount(source, path, NULL, MS_BIND, NULL) == 0) return TRUE;
  error_set_errno(error, errno, "cannot mount the network namespace at '%s'", path);
  return FALSE;
}

/* ---- a new one ---- */

static gboolean take_own(gpointer data, GError **error) {
  int *ret = data;
  if (!loopback_set_up(error)) return FALSE;
  *ret = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (*ret < 0) error_set_errno(error, errno, "cannot open a new network namespace");
  return *ret >= 0;
}

int net_namespace_new(GError **error) {
  int fd = -1;
  Job job = {.netns = -1, .func = take_own, .data = &fd};
  return run_job(&job, error) ? fd : -1;
}

/* ---- which one it is ---- */

gboolean net_namespace_is_same(int one, int other) {
  struct stat a, b;
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

gboolean net_namespace_is_host(int netns) {
  autofd int host = net_namespace_open_of(1, NULL); /* not where process 1 lets nobody look */
  autofd int own = net_namespace_open_of(getpid(), NULL);
  return (host >= 0 && net_namespace_is_same(netns, host)) || own < 0 || net_namespace_is_same(netns, own);
}

static gboolean read_cookie(gpointer data, GError **error) {
  autofd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  socklen_t size = sizeof(guint64);
  return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, data, &size) == 0;
}

guint64 net_namespace_get_cookie(int netns) {
  guint64 cookie = 0;
  return net_namespace_run(netns, read_cookie, &cookie, NULL) ? cookie : 0;
}
