// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/fds.h"
#include "shim-fixture.h"

/* ---- another process with mounts and a root of its own ---- */

typedef struct {
  pid_t pid;
  int stop_fd;
} Peer;

/* In directory/p the peer sees a tmpfs with "file", "inner/file" on another tmpfs and links, and has it as its root. */
static void be_peer(const char *directory, int ready_fd, int stop_fd) {
  g_autofree char *place = g_build_filename(directory, "p", NULL);
  if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) < 0 || mkdir(place, 0755) < 0 ||
      mount("peer", place, "tmpfs", 0, NULL) < 0 || chdir(place) < 0 || mkdir("inner", 0755) < 0 ||
      mount("inner", "inner", "tmpfs", 0, NULL) < 0 || symlink("/inner", "link") < 0 || mkfifo("fifo", 0600) < 0 ||
      !g_file_set_contents("file", "outer", -1, NULL) || !g_file_set_contents("inner/file", "inner", -1, NULL) ||
      chroot(".") < 0)
    _exit(1);
  char byte = 0;
  _exit(write(ready_fd, &byte, 1) == 1 && read(stop_fd, &byte, 1) >= 0 ? 0 : 1);
}

static Peer start_peer(const char *directory) {
  int ready[2], stop[2];
  CHECK(pipe2(ready, O_CLOEXEC) == 0 && pipe2(stop, O_CLOEXEC) == 0);
  Peer peer = {.pid = fork(), .stop_fd = stop[1]};
  if (peer.pid == 0) {
    close(stop[1]);
    be_peer(directory, ready[1], stop[0]);
  }
  close(ready[1]);
  close(stop[0]);
  char byte;
  CHECK(read(ready[0], &byte, 1) == 1);
  close(ready[0]);
  return peer;
}

static void stop_peer(Peer peer) {
  close(peer.stop_fd);
  int status = -1;
  CHECK(waitpid(peer.pid, &status, 0) == peer.pid && status == 0);
}

static gboolean file_says(const char *directory, const char *name, const char *expected) {
  g_autofree char *path = g_build_filename(directory, name, NULL);
  g_autofree char *text = NULL;
  return g_file_get_contents(path, &text, NULL, NULL) && strcmp(text, expected) == 0;
}

static Share *open_share(const char *directory, GError **error) {
  g_autofree char *path = g_build_filename(directory, "f", NULL);
  return share_new(path, error);
}

/* ---- namespaces ---- */

static void enters_a_namespace(const char *directory) {
  GError *error = NULL;
  CHECK(share_enter_namespace(TRUE, &error));
  CHECK_OK(error);
  CHECK(mount("test", directory, "tmpfs", 0, NULL) == 0);
  g_autofree char *parent = g_strdup_printf("%d", (int)getppid());
  CHECK(count_mounts("self", directory) == 1);
  CHECK(count_mounts(parent, directory) == 0);
  struct stat st;
  if (stat("/dev/kvm", &st) == 0) CHECK(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0 && st.st_size == 0);
  CHECK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
}

static gpointer idle_thread(gpointer data) {
  g_mutex_lock(data);
  g_mutex_unlock(data);
  return NULL;
}

static void refuses_with_threads(const char *directory) {
  GMutex mutex;
  g_mutex_init(&mutex);
  g_mutex_lock(&mutex);
  GThread *thread = g_thread_new("idle", idle_thread, &mutex);
  GError *error = NULL;
  CHECK(!share_enter_namespace(FALSE, &error));
  CHECK_ERROR(error, KATA_ERR_INTERNAL);
  CHECK(!share_join_namespace(getppid(), &error));
  CHECK_ERROR(error, KATA_ERR_INTERNAL);
  g_mutex_unlock(&mutex);
  g_thread_join(thread);
  g_mutex_clear(&mutex);
}

static void joins_a_namespace(const char *directory) {
  Peer peer = start_peer(directory);
  g_autofree char *place = g_build_filename(directory, "p", NULL);
  GError *error = NULL;
  CHECK(!file_says(place, "file", "outer"));
  CHECK(share_join_namespace(peer.pid, &error));
  CHECK_OK(error);
  CHECK(file_says(place, "file", "outer"));
  CHECK(!share_join_namespace(0x7ffffff0, &error));
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
  stop_peer(peer);
}

/* ---- trees ---- */

static void clones_what_a_peer_sees(const char *directory) {
  GError *error = NULL;
  Peer peer = start_peer(directory);
  CHECK(share_enter_namespace(FALSE, &error));
  g_autoptr(Share) share = open_share(directory, &error);
  CHECK_OK(error);
  g_autofree char *f = g_build_filename(directory, "f", NULL);

  int tree = share_clone_tree(peer.pid, "/", &error);
  CHECK_OK(error);
  CHECK(tree >= 0 && (fcntl(tree, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(share_add(share, "all", tree, FALSE, &error));
  CHECK(file_says(f, "all/file", "outer") && file_says(f, "all/inner/file", "inner"));
  CHECK(share_add(share, "link", share_clone_tree(peer.pid, "/link", &error), FALSE, &error));
  CHECK(file_says(f, "link/file", "inner"));
  CHECK(share_add(share, "relative", share_clone_tree(peer.pid, "inner/../../../inner", &error), FALSE, &error));
  CHECK(file_says(f, "relative/file", "inner"));
  CHECK(share_add(share, "single", share_clone_tree(peer.pid, "/file", &error), FALSE, &error));
  CHECK(file_says(f, "single", "outer"));
  CHECK_OK(error);

  CHECK(share_clone_tree(peer.pid, "/no/such", &error) == -1);
  CHECK(strstr(error->message, "'/no/such'") != NULL);
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
  CHECK(share_clone_tree(0x7ffffff0, "/", &error) == -1);
  CHECK(strstr(error->message, "2147483632") != NULL);
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
  /* This thread and process stay where they were. */
  CHECK(file_says(f, "single", "outer"));

  stop_peer(peer);
  /* The copies live on without their maker. */
  CHECK(file_says(f, "all/inner/file", "inner"));
  share_stop_daemon(share);
}

static void clones_what_the_owner_sees(const char *directory) {
  GError *error = NULL;
  CHECK(share_enter_namespace(FALSE, &error));
  g_autofree char *source = g_build_filename(directory, "source", NULL);
  g_autofree char *below = g_build_filename(source, "below", NULL);
  CHECK(mkdir(source, 0755) == 0 && mkdir(below, 0755) == 0);
  g_autoptr(Share) share = open_share(directory, &error);
  CHECK(share_add(share, "source", share_clone_tree(0, source, &error), FALSE, &error));
  CHECK_OK(error);
  /* A later mount does not show. */
  CHECK(mount("later", below, "tmpfs", 0, NULL) == 0);
  g_autofree char *late = g_build_filename(below, "late", NULL);
  CHECK(g_file_set_contents(late, "late", -1, NULL));
  CHECK(!file_says(directory, "f/source/below/late", "late"));
  share_stop_daemon(share);
}

/* In directory: "source", a mount that is shared as the host's are, and "f/NAME", which follows it. */
static Share *open_following(const char *directory, const char *name, gboolean read_only) {
  GError *error = NULL;
  g_autofree char *source = g_build_filename(directory, "source", NULL);
  g_autofree char *below = g_build_filename(source, "below", NULL);
  CHECK(share_enter_namespace(FALSE, &error));
  CHECK(mkdir(source, 0755) == 0 && mount("source", source, "tmpfs", 0, NULL) == 0);
  CHECK(mount("", source, "", MS_SHARED, NULL) == 0 && mkdir(below, 0755) == 0);
  Share *share = open_share(directory, &error);
  CHECK(share_add(share, name, share_clone_tree(0, source, &error), read_only, &error));
  CHECK(!share_follows(share));
  CHECK(share_follow(share, name, share_clone_slave(0, source, 0, &error), read_only, &error));
  CHECK_OK(error);
  CHECK(share_follows(share));
  return share;
}

static void mount_with_file(const char *directory, const char *name) {
  g_autofree char *path = g_build_filename(directory, name, NULL);
  g_autofree char *file = g_build_filename(path, "file", NULL);
  CHECK(mount("late", path, "tmpfs", 0, NULL) == 0 && g_file_set_contents(file, "late", -1, NULL));
}

static int unmount(const char *directory, const char *name) {
  g_autofree char *path = g_build_filename(directory, name, NULL);
  return umount2(path, 0);
}

/* What was unmounted, in one word each. */
static char *catch_up(Share *share) {
  g_autoptr(GHashTable) covers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(GPtrArray) gone = share_catch_up(share, covers);
  g_ptr_array_add(gone, NULL);
  return g_strjoinv(" ", (char **)gone->pdata);
}

static void follows_mounts(const char *directory) {
  g_autoptr(Share) share = open_following(directory, "v", FALSE);
  g_autofree char *inner = g_build_filename(directory, "source/below/inner", NULL);
  mount_with_file(directory, "source/below");
  CHECK(!file_says(directory, "f/v/below/file", "late"));
  g_autofree char *none = catch_up(share);
  CHECK(*none == '\0' && file_says(directory, "f/v/below/file", "late"));
  CHECK(mkdir(inner, 0755) == 0);
  mount_with_file(directory, "source/below/inner");
  g_autofree char *more = catch_up(share), *nothing = catch_up(share);
  CHECK(*more == '\0' && *nothing == '\0' && file_says(directory, "f/v/below/inner/file", "late"));

  /* Whoever has a file open there does not keep the host from unmounting, and nothing goes the other way. */
  g_autofree char *seen = g_build_filename(directory, "f/v/below/inner/file", NULL);
  autofd int open_file = open(seen, O_RDONLY | O_CLOEXEC);
  CHECK(open_file >= 0);
  CHECK(unmount(directory, "source/below/inner") == 0 && unmount(directory, "source/below") == 0);
  g_autofree char *gone = catch_up(share);
  CHECK(strcmp(gone, "v/below/inner v/below") == 0);
  CHECK(!file_says(directory, "f/v/below/file", "late"));
  mount_with_file(directory, "f/v/below");
  CHECK(!file_says(directory, "source/below/file", "late"));

  share_remove(share, "v");
  CHECK(!share_follows(share));
  share_stop_daemon(share);
}

static void follows_read_only(const char *directory) {
  g_autoptr(Share) share = open_following(directory, "v", TRUE);
  mount_with_file(directory, "source/below");
  g_autofree char *gone = catch_up(share);
  g_autofree char *file = g_build_filename(directory, "f/v/below/file", NULL);
  CHECK(file_says(directory, "f/v/below/file", "late"));
  CHECK(open(file, O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
  /* One in the place of another. */
  CHECK(unmount(directory, "source/below") == 0);
  mount_with_file(directory, "source/below");
  g_autofree char *other = g_build_filename(directory, "source/below/other", NULL);
  CHECK(g_file_set_contents(other, "other", -1, NULL));
  g_autofree char *exchanged = catch_up(share);
  CHECK(strcmp(exchanged, "v/below") == 0 && file_says(directory, "f/v/below/other", "other"));

  /* A later owner goes on, and the end leaves no mount. */
  GError *error = NULL;
  g_autoptr(Share) later = open_share(directory, &error);
  CHECK(share_follows(later));
  share_stop_daemon(later);
  g_autofree char *copies = g_build_filename(directory, "m", NULL);
  CHECK(access(copies, F_OK) < 0 && count_mounts("self", copies) == 0);
  CHECK(unmount(directory, "source/below") == 0 && unmount(directory, "source") == 0);
}

/* What covers v: its name in the share, "" if nothing does any more, NULL if nothing has changed. */
static char *catch_up_top(Share *share) {
  g_autoptr(GHashTable) covers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(GPtrArray) gone = share_catch_up(share, covers);
  return g_strdup(g_hash_table_lookup(covers, "v"));
}

static void follows_on_top(const char *directory) {
  GError *error = NULL;
  g_autoptr(Share) share = open_following(directory, "v", TRUE);
  g_autofree char *at_first = catch_up_top(share);
  CHECK(at_first == NULL);
  mount_with_file(directory, "source");
  g_autofree char *covered = catch_up_top(share), *again = catch_up_top(share);
  CHECK(g_strcmp0(covered, "v,top") == 0 && again == NULL && file_says(directory, "f/v,top/file", "late"));
  g_autofree char *file = g_build_filename(directory, "f/v,top/file", NULL);
  CHECK(open(file, O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
  /* A later owner cannot know whether the guest has been told. */
  g_autoptr(Share) later = open_share(directory, &error);
  g_autofree char *told_again = catch_up_top(later);
  CHECK(g_strcmp0(told_again, "v,top") == 0);
  /* Below it, and upon it: the last one is seen. */
  g_autofree char *below = g_build_filename(directory, "source/deep", NULL);
  CHECK(mkdir(below, 0755) == 0);
  mount_with_file(directory, "source/deep");
  g_autofree char *same = catch_up_top(share);
  CHECK(same == NULL && file_says(directory, "f/v,top/deep/file", "late"));
  mount_with_file(directory, "source");
  g_autofree char *exchanged = catch_up_top(share);
  CHECK(g_strcmp0(exchanged, "v,top") == 0 && !file_says(directory, "f/v,top/deep/file", "late"));
  CHECK(unmount(directory, "source") == 0);
  g_autofree char *back = catch_up_top(share);
  CHECK(g_strcmp0(back, "v,top") == 0 && file_says(directory, "f/v,top/deep/file", "late"));
  CHECK(unmount(directory, "source/deep") == 0 && unmount(directory, "source") == 0);
  g_autofree char *uncovered = catch_up_top(share);
  CHECK(g_strcmp0(uncovered, "") == 0);
  g_autofree char *place = g_build_filename(directory, "f/v,top", NULL);
  CHECK(access(place, F_OK) < 0 && errno == ENOENT);

  /* It goes with the tree. */
  mount_with_file(directory, "source");
  g_autofree char *last = catch_up_top(share);
  CHECK(g_strcmp0(last, "v,top") == 0);
  share_remove(share, "v");
  CHECK(access(place, F_OK) < 0 && errno == ENOENT);
  share_stop_daemon(share);
  CHECK(unmount(directory, "source") == 0 && unmount(directory, "source") == 0);
}

static void reads_as_a_peer(const char *directory) {
  GError *error = NULL;
  Peer peer = start_peer(directory);
  gsize length = 0;
  g_autofree char *text = share_read_file(peer.pid, "/link/file", 5, &length, &error);
  CHECK_OK(error);
  CHECK(length == 5 && strcmp(text, "inner") == 0);
  CHECK(share_read_file(peer.pid, "/file", 4, &length, &error) == NULL && length == 5);
  CHECK_ERROR(error, KATA_ERR_RESOURCE_EXHAUSTED);
  CHECK(share_read_file(peer.pid, "/fifo", 100, NULL, &error) == NULL);
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
  CHECK(share_read_file(peer.pid, "/inner", 100, NULL, &error) == NULL);
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
  CHECK(share_read_file(peer.pid, "/etc/passwd", 100000, NULL, &error) == NULL);
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
  stop_peer(peer);
  g_autofree char *own = share_read_file(0, "/proc/self/comm", 100, NULL, &error);
  CHECK_OK(error);
  CHECK(own != NULL);
}

/* ---- the share ---- */

static int clone_of(const char *directory, const char *name) {
  g_autofree char *path = g_build_filename(directory, name, NULL);
  g_mkdir_with_parents(path, 0755);
  GError *error = NULL;
  int fd = share_clone_tree(0, path, &error);
  CHECK_OK(error);
  return fd;
}

static gboolean can_write(const char *directory, const char *name) {
  g_autofree char *path = g_build_filename(directory, name, NULL);
  int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return FALSE;
  close(fd);
  return TRUE;
}

static void adds_and_removes(const char *directory) {
  GError *error = NULL;
  CHECK(share_enter_namespace(FALSE, &error));
  g_autoptr(Share) share = open_share(directory, &error);
  CHECK_OK(error);
  static const char *const bad[] = {"", ".", "..", "a/b", "/", "../x"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    CHECK(!share_add(share, bad[i], clone_of(directory, "source"), FALSE, &error));
    CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
    share_remove(share, bad[i]);
  }
  g_autofree char *long_name = g_strnfill(256, 'n');
  CHECK(!share_add(share, long_name, clone_of(directory, "source"), FALSE, &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
  CHECK(!share_add(share, "none", -1, FALSE, &error) && error != NULL);
  g_clear_error(&error);

  g_autofree char *sub = g_build_filename(directory, "source", "sub", NULL);
  CHECK(mkdir(sub, 0755) == 0 && mount("sub", sub, "tmpfs", 0, NULL) == 0);
  CHECK(share_add(share, "rw", clone_of(directory, "source"), FALSE, &error));
  CHECK(!share_add(share, "rw", clone_of(directory, "source"), FALSE, &error));
  CHECK_ERROR(error, KATA_ERR_ALREADY_EXISTS);
  CHECK(share_add(share, "ro", clone_of(directory, "source"), TRUE, &error));
  CHECK_OK(error);
  CHECK(can_write(directory, "f/rw/x") && can_write(directory, "f/rw/sub/x"));
  CHECK(!can_write(directory, "f/ro/y") && errno == EROFS);
  CHECK(!can_write(directory, "f/ro/sub/y") && errno == EROFS);
  CHECK(!can_write(directory, "f/y") && errno == EROFS);

  share_remove(share, "rw");
  share_remove(share, "rw");
  share_remove(share, "never");
  g_autofree char *rw = g_build_filename(directory, "f", "rw", NULL);
  g_autofree char *kept = g_build_filename(directory, "source", "x", NULL);
  CHECK(!g_file_test(rw, G_FILE_TEST_EXISTS) && g_file_test(kept, G_FILE_TEST_EXISTS));
  CHECK(share_add(share, "rw", clone_of(directory, "source"), FALSE, &error));

  /* The next owner finds it as it is. */
  g_autoptr(Share) again = open_share(directory, &error);
  CHECK_OK(error);
  CHECK(can_write(directory, "f/rw/z"));
  share_remove(again, "rw");
  CHECK(!can_write(directory, "f/rw/z"));
  share_stop_daemon(again);
  g_autofree char *f = g_build_filename(directory, "f", NULL);
  CHECK(count_mounts("self", f) == 0);
}

/* ---- the daemon ---- */

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_strlcpy(address.sun_path, path, sizeof address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
  return fd;
}

static pid_t wait_for_child(pid_t pid) {
  g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", (int)pid, (int)pid);
  for (int i = 0; i < 500; i++) {
    g_autofree char *text = NULL;
    CHECK(g_file_get_contents(path, &text, NULL, NULL));
    if (*text != '\0') return (pid_t)atoi(text);
    g_usleep(10000);
  }
  return 0;
}

/* Looked for until virtiofsd's server has gone into the share. */
static gboolean server_sees(pid_t server, const char *name, const char *expected) {
  g_autofree char *root = g_strdup_printf("/proc/%d/root", (int)server);
  for (int i = 0; i < 500; i++) {
    if (file_says(root, name, expected)) return TRUE;
    g_usleep(10000);
  }
  return FALSE;
}

static Share *start_daemon(const char *directory, const char *const *extra_args, char **ret_socket) {
  GError *error = NULL;
  CHECK(share_enter_namespace(FALSE, &error));
  Share *share = open_share(directory, &error);
  CHECK_OK(error);
  *ret_socket = g_build_filename(directory, "virtiofs.sock", NULL);
  CHECK(share_start_daemon(share, VIRTIOFSD, *ret_socket, extra_args, &error));
  CHECK_OK(error);
  return share;
}

static void daemon_sees_later_mounts(const char *directory) {
  GError *error = NULL;
  g_autofree char *socket_path = NULL;
  g_autoptr(Share) share = start_daemon(directory, NULL, &socket_path);
  struct stat st;
  uid_t uid;
  gid_t gid;
  CHECK(vm_get_user(&uid, &gid, NULL));
  CHECK(stat(socket_path, &st) == 0 && st.st_uid == uid && (st.st_mode & 0777) == 0600);

  int client = connect_to(socket_path);
  pid_t server = wait_for_child(share_get_daemon_pid(share));
  CHECK(server > 0);
  g_autofree char *source = g_build_filename(directory, "source", NULL);
  g_autofree char *file = g_build_filename(source, "file", NULL);
  int tree = clone_of(directory, "source");
  CHECK(g_file_set_contents(file, "late", -1, NULL));
  CHECK(share_add(share, "tree", tree, FALSE, &error));
  CHECK(server_sees(server, "tree/file", "late"));
  share_remove(share, "tree");
  g_autofree char *gone = g_strdup_printf("/proc/%d/root/tree", (int)server);
  CHECK(!g_file_test(gone, G_FILE_TEST_EXISTS) && !has_ended(share_get_daemon_pidfd(share), 0));

  /* QEMU's end is its end. */
  close(client);
  CHECK(has_ended(share_get_daemon_pidfd(share), 5000));
  share_stop_daemon(share);
  CHECK(share_get_daemon_pid(share) == 0 && share_get_daemon_pidfd(share) == -1);
}

/* An owner that ends at once; virtiofsd stays. Its pid is left in a file. */
static void start_and_leave(const char *directory) {
  g_autofree char *socket_path = NULL;
  int extra = open("/dev/null", O_RDONLY); /* not close-on-exec on purpose */
  CHECK(extra >= 0);
  g_autoptr(Share) share = start_daemon(directory, NULL, &socket_path);
  g_autofree char *path = g_build_filename(directory, "pid", NULL);
  g_autofree char *text = g_strdup_printf("%d", (int)share_get_daemon_pid(share));
  CHECK(g_file_set_contents(path, text, -1, NULL));
}

/* Its sockets, /dev/null and the log: nothing of the owner's. */
static gboolean has_only_own_files(pid_t pid) {
  g_autofree char *folder = g_strdup_printf("/proc/%d/fd", (int)pid);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  guint n_null = 0;
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *target = g_file_read_link(path, NULL);
    if (g_strcmp0(target, "/dev/null") == 0)
      n_null++;
    else if (target == NULL || !(g_str_has_prefix(target, "socket:") || g_str_has_prefix(target, "/memfd:virtiofsd") ||
                                 g_str_has_prefix(target, "anon_inode:")))
      return FALSE;
  }
  return n_null == 2;
}

static void takes_a_daemon_over(const char *directory) {
  GError *error = NULL;
  CHECK(run_body(start_and_leave, directory) == 0);
  g_autofree char *path = g_build_filename(directory, "pid", NULL);
  g_autofree char *text = NULL;
  CHECK(g_file_get_contents(path, &text, NULL, NULL));
  pid_t pid = atoi(text);
  CHECK(has_only_own_files(pid));
  CHECK(getsid(pid) == pid);
  CHECK(share_join_namespace(pid, &error));
  g_autoptr(Share) share = open_share(directory, &error);
  CHECK_OK(error);
  CHECK(!share_adopt_daemon(share, getpid(), &error));
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
  CHECK(!share_adopt_daemon(share, 0, &error));
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
  CHECK(share_adopt_daemon(share, pid, &error));
  CHECK_OK(error);
  CHECK(share_get_daemon_pid(share) == pid && !has_ended(share_get_daemon_pidfd(share), 0));
  share_stop_daemon(share);
}

static void stops_a_serving_daemon(const char *directory) {
  g_autofree char *socket_path = NULL;
  g_autoptr(Share) share = start_daemon(directory, NULL, &socket_path);
  int client = connect_to(socket_path);
  pid_t server = wait_for_child(share_get_daemon_pid(share));
  CHECK(server > 0);
  gint64 begin = g_get_monotonic_time();
  share_stop_daemon(share);
  share_stop_daemon(share);
  CHECK(g_get_monotonic_time() - begin < G_USEC_PER_SEC);
  CHECK(kill(server, 0) < 0 && errno == ESRCH);
  close(client);
}

static void says_why_it_ended(const char *directory) {
  const char *const extra_args[] = {"--no-such-option", NULL};
  g_autofree char *socket_path = NULL;
  g_autoptr(Share) share = start_daemon(directory, extra_args, &socket_path);
  CHECK(has_ended(share_get_daemon_pidfd(share), 5000));
  g_autofree char *words = share_dup_daemon_log(share);
  CHECK(words != NULL && strstr(words, "no-such-option") != NULL);
  share_stop_daemon(share);
}

static void refuses_to_start(const char *directory) {
  GError *error = NULL;
  CHECK(share_enter_namespace(FALSE, &error));
  g_autoptr(Share) share = open_share(directory, &error);
  g_autofree char *socket_path = g_build_filename(directory, "virtiofs.sock", NULL);
  CHECK(!share_start_daemon(share, "/no/such/virtiofsd", socket_path, NULL, &error));
  CHECK(strstr(error->message, "/no/such/virtiofsd") != NULL);
  g_clear_error(&error);
  CHECK(!g_file_test(socket_path, G_FILE_TEST_EXISTS));
  g_autofree char *long_name = g_strnfill(120, 's');
  g_autofree char *long_path = g_build_filename(directory, long_name, NULL);
  CHECK(!share_start_daemon(share, VIRTIOFSD, long_path, NULL, &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
  CHECK(share_dup_daemon_log(share) == NULL);
  g_autofree char *comma = g_build_filename(directory, "a,b", NULL);
  g_autoptr(Share) other = share_new(comma, &error);
  CHECK_OK(error);
  CHECK(!share_start_daemon(other, VIRTIOFSD, socket_path, NULL, &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
  share_stop_daemon(other);
  share_stop_daemon(share);
}

#define TEST(body) \
  static void test_##body(void **state) { run_alone(body); }
TEST(enters_a_namespace)
TEST(refuses_with_threads)
TEST(joins_a_namespace)
TEST(clones_what_a_peer_sees)
TEST(clones_what_the_owner_sees)
TEST(follows_mounts)
TEST(follows_read_only)
TEST(follows_on_top)
TEST(reads_as_a_peer)
TEST(adds_and_removes)
TEST(daemon_sees_later_mounts)
TEST(takes_a_daemon_over)
TEST(stops_a_serving_daemon)
TEST(says_why_it_ended)
TEST(refuses_to_start)

int main(void) {
  skip_unless_possible(FALSE);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_enters_a_namespace),
      cmocka_unit_test(test_refuses_with_threads),
      cmocka_unit_test(test_joins_a_namespace),
      cmocka_unit_test(test_clones_what_a_peer_sees),
      cmocka_unit_test(test_clones_what_the_owner_sees),
      cmocka_unit_test(test_follows_mounts),
      cmocka_unit_test(test_follows_read_only),
      cmocka_unit_test(test_follows_on_top),
      cmocka_unit_test(test_reads_as_a_peer),
      cmocka_unit_test(test_adds_and_removes),
      cmocka_unit_test(test_daemon_sees_later_mounts),
      cmocka_unit_test(test_takes_a_daemon_over),
      cmocka_unit_test(test_stops_a_serving_daemon),
      cmocka_unit_test(test_says_why_it_ended),
      cmocka_unit_test(test_refuses_to_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
