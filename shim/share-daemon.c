// SPDX-License-Identifier: LGPL-2.1-or-later
/* The virtiofsd of a share. It outlives the owner and ends when QEMU closes the connection. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "common/spawn.h"
#include "shim/share-private.h"
#include "shim/vm.h"

/* What a guest can make virtiofsd say goes into memory of this size and no further. */
#define LOG_BYTES 16384
#define STOP_WAIT_MS 5000
#define COMMAND_LINE_BYTES (1024 * 1024)

/* A memory file that cannot grow: it fills no disk, breaks no pipe and outlives the owner with virtiofsd. */
static int make_log(GError **error) {
  autofd int fd = memfd_create("virtiofsd-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd >= 0 && ftruncate(fd, LOG_BYTES) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0)
    return fd_steal(&fd);
  error_set_errno(error, errno, "cannot make a log for virtiofsd");
  return -1;
}

/* Only QEMU's user may connect. */
static int listen_for_qemu(const char *path, GError **error) {
  uid_t uid;
  gid_t gid;
  if (!vm_get_user(&uid, &gid, error)) return -1;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot listen on '%s' for QEMU: the path is longer than %zu bytes", path, sizeof address.sun_path - 1);
    return -1;
  }
  autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  /* Mode and owner before listen(): nobody else gets in between. */
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0) {
    if (chmod(path, 0600) == 0 && chown(path, uid, gid) == 0 && listen(fd, 1) == 0) return fd_steal(&fd);
    int reason = errno;
    unlink(path);
    errno = reason;
  }
  error_set_errno(error, errno, "cannot listen on '%s' for QEMU", path);
  return -1;
}

static GPtrArray *make_command(const Share *share, const char *virtiofsd, int socket_fd,
                               const char *const *extra_args) {
  GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(argv, g_strdup(virtiofsd));
  g_ptr_array_add(argv, g_strdup_printf("--fd=%d", socket_fd));
  g_ptr_array_add(argv, g_strdup("-o"));
  /* A comma would begin another option. */
  g_ptr_array_add(argv, g_strdup_printf("source=%s", share->directory));
  static const char *const options[] = {"cache=auto",  "sandbox=namespace",  "xattr",
                                        "killpriv_v2", "announce_submounts", "log_level=warn"};
  for (gsize i = 0; i < G_N_ELEMENTS(options); i++) {
    g_ptr_array_add(argv, g_strdup("-o"));
    g_ptr_array_add(argv, g_strdup(options[i]));
  }
  for (; extra_args != NULL && *extra_args != NULL; extra_args++) g_ptr_array_add(argv, g_strdup(*extra_args));
  g_ptr_array_add(argv, NULL);
  return argv;
}

gboolean share_start_daemon(Share *share, const char *virtiofsd, const char *socket_path, const char *const *extra_args,
                            GError **error) {
  if (strchr(share->directory, ',') != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot share '%s': virtiofsd takes no path with a comma",
                share->directory);
    return FALSE;
  }
  autofd int log = make_log(error);
  autofd int listener = log >= 0 ? listen_for_qemu(socket_path, error) : -1;
  if (listener < 0) return FALSE;
  g_autoptr(GPtrArray) argv = make_command(share, virtiofsd, listener, extra_args);
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const *)argv->pdata;
  options.cwd = "/";
  options.stderr_fd = log;
  options.keep_fds = &listener;
  options.n_keep_fds = 1;
  options.new_session = TRUE;
  int pidfd = -1;
  pid_t pid = spawn_start(&options, &pidfd, error);
  if (pid < 0) {
    unlink(socket_path);
    return FALSE;
  }
  share->daemon_pid = pid;
  share->daemon_pidfd = pidfd;
  share->daemon_log = fd_steal(&log);
  return TRUE;
}

gboolean share_adopt_daemon(Share *share, pid_t pid, GError **error) {
  g_autofree char *wanted = g_strdup_printf("source=%s", share->directory);
  g_autofree char *command_path = g_strdup_printf("/proc/%d/cmdline", (int)pid);
  g_autofree char *log_path = g_strdup_printf("/proc/%d/fd/2", (int)pid);
  /* The descriptor first: what is read after it is about the process it means, if that still runs at the end. */
  autofd int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
  gsize length = 0;
  g_autofree char *text = pidfd >= 0 ? safe_read_file(command_path, COMMAND_LINE_BYTES, &length, NULL) : NULL;
  gboolean is_ours = text != NULL && memmem(text, length, wanted, strlen(wanted) + 1) != NULL &&
                     pidfd_send_signal(pidfd, 0, NULL, 0) == 0;
  if (!is_ours) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "cannot take over virtiofsd of '%s': process %d is not it",
                share->directory, (int)pid);
    return FALSE;
  }
  share->daemon_log = open(log_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  share->daemon_pid = pid;
  share->daemon_pidfd = fd_steal(&pidfd);
  return TRUE;
}

pid_t share_get_daemon_pid(const Share *share) { return share->daemon_pid; }

int share_get_daemon_pidfd(const Share *share) { return share->daemon_pidfd; }

char *share_dup_daemon_log(const Share *share) {
  char buffer[LOG_BYTES];
  ssize_t length = share->daemon_log >= 0 ? pread(share->daemon_log, buffer, sizeof buffer, 0) : 0;
  gsize used = length > 0 ? strnlen(buffer, (gsize)length) : 0;
  return used > 0 ? g_strchomp(g_utf8_make_valid(buffer, (gssize)used)) : NULL;
}

/* ---- the end ---- */

/* virtiofsd is two processes: the one we know waits for the one that serves, PID 1 of a namespace of its own. Told
 * by its parent's end to terminate, a server in the midst of a system call takes its time: it is killed too. */
static GArray *open_children(pid_t pid) {
  GArray *pidfds = g_array_new(FALSE, FALSE, sizeof(int));
  g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", (int)pid, (int)pid);
  g_autofree char *text = safe_read_file(path, 4096, NULL, NULL);
  g_auto(GStrv) pids = g_strsplit(text != NULL ? text : "", " ", -1);
  for (char **at = pids; *at != NULL; at++) {
    int pidfd = **at != '\0' ? pidfd_open((pid_t)g_ascii_strtoll(*at, NULL, 10), 0) : -1;
    if (pidfd >= 0) g_array_append_val(pidfds, pidfd);
  }
  return pidfds;
}

static void kill_and_wait(int pidfd) {
  pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
  struct pollfd ended = {.fd = pidfd, .events = POLLIN};
  int count;
  do count = poll(&ended, 1, STOP_WAIT_MS);
  while (count < 0 && errno == EINTR);
  siginfo_t info;
  waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
}

void share_stop_daemon(Share *share) {
  if (share->daemon_pidfd >= 0) {
    g_autoptr(GArray) children = open_children(share->daemon_pid);
    /* The servers first: the parent ends by itself then, and reaps them. */
    for (guint i = 0; i < children->len; i++) {
      autofd int child = g_array_index(children, int, i);
      kill_and_wait(child);
    }
    kill_and_wait(share->daemon_pidfd);
  }
  share->daemon_pid = 0;
  fd_clear(&share->daemon_pidfd);
  fd_clear(&share->daemon_log);
  share_unfollow_all(share);
  /* Nobody sees the tree any more. Mounts go, so that what removes the directory does not run into them. */
  umount2(share->directory, MNT_DETACH | UMOUNT_NOFOLLOW);
}
