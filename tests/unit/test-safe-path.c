// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every test runs twice: with openat2(2), and with a kernel that claims to have none. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

typedef struct {
  char *folder;  /* a new directory */
  char *root;    /* folder/root: what must not be left */
  char *outside; /* folder/outside: holds "secret" */
  int root_fd;
} Fixture;

static char *beneath(const char *folder, const char *name) { return g_build_filename(folder, name, NULL); }

static void make_file(const char *folder, const char *name, const char *text) {
  g_autofree char *path = beneath(folder, name);
  assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void make_folder(const char *folder, const char *name) {
  g_autofree char *path = beneath(folder, name);
  assert_int_equal(g_mkdir_with_parents(path, 0755), 0);
}

static void make_link(const char *folder, const char *name, const char *target) {
  g_autofree char *path = beneath(folder, name);
  assert_int_equal(symlink(target, path), 0);
}

static gboolean exists(const char *folder, const char *name) {
  g_autofree char *path = beneath(folder, name);
  struct stat status;
  return lstat(path, &status) == 0;
}

static int set_up(void **state) {
  Fixture *fixture = g_new0(Fixture, 1);
  fixture->folder = g_dir_make_tmp("safe-path-XXXXXX", NULL);
  fixture->root = beneath(fixture->folder, "root");
  fixture->outside = beneath(fixture->folder, "outside");
  make_folder(fixture->folder, "root");
  make_folder(fixture->folder, "outside");
  make_file(fixture->outside, "secret", "secret");
  fixture->root_fd = open(fixture->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  *state = fixture;
  return fixture->root_fd >= 0 ? 0 : -1;
}

static int tear_down(void **state) {
  Fixture *fixture = *state;
  fd_clear(&fixture->root_fd);
  gboolean is_removed = safe_remove_tree(fixture->folder, NULL);
  g_free(fixture->folder);
  g_free(fixture->root);
  g_free(fixture->outside);
  g_free(fixture);
  return is_removed ? 0 : -1;
}

/* ---- safe_open ---- */

static void check_opens(const Fixture *fixture, const char *path, const char *text) {
  g_autoptr(GError) error = NULL;
  autofd int fd = safe_open(fixture->root_fd, path, O_RDONLY, 0, &error);
  if (fd < 0) fail_msg("%s", error->message);
  assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
  char content[64] = "";
  assert_true(read(fd, content, sizeof content - 1) >= 0);
  assert_string_equal(content, text);
}

static void check_refuses(const Fixture *fixture, const char *path, int flags, kata_error_code code) {
  g_autoptr(GError) error = NULL;
  assert_int_equal(safe_open(fixture->root_fd, path, flags, 0600, &error), -1);
  assert_non_null(error);
  assert_int_equal(error_get_code(error), code);
}

static void test_open_stays_inside(void **state) {
  const Fixture *fixture = *state;
  make_file(fixture->root, "file", "inside");
  make_folder(fixture->root, "a/b");
  make_file(fixture->root, "a/b/deep", "deep");
  make_link(fixture->root, "absolute", "/file");
  make_link(fixture->root, "up", "../../../../../../../../file");
  make_link(fixture->root, "a/b/two-up", "../../file");
  make_link(fixture->root, "folder-link", "/a/b");
  make_link(fixture->root, "chain", "folder-link/two-up");
  check_opens(fixture, "file", "inside");
  check_opens(fixture, "/file", "inside");
  check_opens(fixture, "//file", "inside");
  check_opens(fixture, "./a/.././file", "inside");
  check_opens(fixture, "../file", "inside");
  check_opens(fixture, "/../../../../../../file", "inside");
  check_opens(fixture, "a/b/../../../../file", "inside");
  check_opens(fixture, "absolute", "inside");
  check_opens(fixture, "up", "inside");
  check_opens(fixture, "chain", "inside");
  check_opens(fixture, "folder-link/deep", "deep");
  check_opens(fixture, "folder-link/../b/deep", "deep");
}

static void test_open_does_not_get_out(void **state) {
  const Fixture *fixture = *state;
  g_autofree char *secret = beneath(fixture->outside, "secret");
  make_link(fixture->root, "absolute", secret);
  make_link(fixture->root, "relative", "../outside/secret");
  make_link(fixture->root, "folder", fixture->outside);
  check_refuses(fixture, "absolute", O_RDONLY, KATA_ERR_NOT_FOUND);
  check_refuses(fixture, "relative", O_RDONLY, KATA_ERR_NOT_FOUND);
  check_refuses(fixture, "folder/secret", O_RDONLY, KATA_ERR_NOT_FOUND);
  check_refuses(fixture, "folder/new", O_WRONLY | O_CREAT, KATA_ERR_NOT_FOUND);
  check_refuses(fixture, "../outside/secret", O_RDONLY, KATA_ERR_NOT_FOUND);
  check_refuses(fixture, secret, O_RDONLY, KATA_ERR_NOT_FOUND);
  assert_false(exists(fixture->outside, "new"));
}

static void test_open_odd_paths(void **state) {
  const Fixture *fixture = *state;
  make_file(fixture->root, "file", "x");
  make_link(fixture->root, "loop", "loop");
  make_link(fixture->root, "ping", "pong");
  make_link(fixture->root, "pong", "ping");
  make_link(fixture->root, "link", "file");
  g_autofree char *huge = g_strnfill(100000, 'x');
  g_autofree char *long_name = g_strnfill(NAME_MAX + 1, 'x');
  check_refuses(fixture, "", O_RDONLY, KATA_ERR_NOT_FOUND);
  check_refuses(fixture, "nothing", O_RDONLY, KATA_ERR_NOT_FOUND);
  check_refuses(fixture, "nothing/at/all", O_RDONLY, KATA_ERR_NOT_FOUND);
  check_refuses(fixture, "file/below", O_RDONLY, KATA_ERR_INVALID_ARGUMENT);
  check_refuses(fixture, "file/", O_RDONLY, KATA_ERR_INVALID_ARGUMENT);
  check_refuses(fixture, "loop", O_RDONLY, KATA_ERR_INVALID_ARGUMENT);
  check_refuses(fixture, "ping/x", O_RDONLY, KATA_ERR_INVALID_ARGUMENT);
  check_refuses(fixture, "link", O_RDONLY | O_NOFOLLOW, KATA_ERR_INVALID_ARGUMENT);
  check_refuses(fixture, huge, O_RDONLY, KATA_ERR_INVALID_ARGUMENT);
  check_refuses(fixture, long_name, O_RDONLY, KATA_ERR_INVALID_ARGUMENT);
  check_refuses(fixture, "file", O_WRONLY | O_CREAT | O_EXCL, KATA_ERR_ALREADY_EXISTS);
  check_refuses(fixture, "loop", O_WRONLY | O_CREAT | O_EXCL, KATA_ERR_ALREADY_EXISTS);
  autofd int root = safe_open(fixture->root_fd, "/", O_RDONLY | O_DIRECTORY, 0, NULL);
  assert_true(root >= 0);
  autofd int same = safe_open(fixture->root_fd, "..", O_RDONLY | O_DIRECTORY, 0, NULL);
  struct stat one, other;
  assert_int_equal(fstat(root, &one), 0);
  assert_int_equal(fstat(same, &other), 0);
  assert_true(one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

static void test_open_creates(void **state) {
  const Fixture *fixture = *state;
  make_link(fixture->root, "dangling", "/target");
  mode_t old = umask(0);
  autofd int fd = safe_open(fixture->root_fd, "new", O_WRONLY | O_CREAT | O_EXCL, 0640, NULL);
  autofd int by_link = safe_open(fixture->root_fd, "dangling", O_WRONLY | O_CREAT, 0600, NULL);
  umask(old);
  struct stat status;
  assert_true(fd >= 0);
  assert_int_equal(fstat(fd, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0640);
  assert_true(by_link >= 0);
  assert_true(exists(fixture->root, "target"));
}

static void test_error_text(void **state) {
  const Fixture *fixture = *state;
  g_autoptr(GError) error = NULL;
  assert_int_equal(safe_open(fixture->root_fd, "no\nsuch\x01", O_RDONLY, 0, &error), -1);
  assert_string_equal(error->message, "cannot open 'no\\x0asuch\\x01': No such file or directory");
}

/* ---- safe_mkdirs ---- */

static void check_makes(const Fixture *fixture, const char *path, const char *made) {
  g_autoptr(GError) error = NULL;
  autofd int fd = safe_mkdirs(fixture->root_fd, path, 0755, &error);
  if (fd < 0) fail_msg("%s", error->message);
  assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
  g_autofree char *expected = beneath(fixture->root, made);
  struct stat one, other;
  assert_int_equal(fstat(fd, &one), 0);
  assert_int_equal(lstat(expected, &other), 0);
  assert_true(S_ISDIR(other.st_mode));
  assert_true(one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

static void test_mkdirs(void **state) {
  const Fixture *fixture = *state;
  make_folder(fixture->root, "there");
  make_link(fixture->root, "link", "/there");
  make_link(fixture->root, "dangling", "/made/by-link");
  make_link(fixture->root, "there/up", "../../../..");
  check_makes(fixture, "/a/b/c", "a/b/c");
  check_makes(fixture, "/a/b/c", "a/b/c");
  check_makes(fixture, "a//b/./d/", "a/b/d");
  check_makes(fixture, "/", ".");
  check_makes(fixture, "", ".");
  check_makes(fixture, "../../x", "x");
  check_makes(fixture, "/a/b/../e", "a/e");
  check_makes(fixture, "link/below", "there/below");
  check_makes(fixture, "dangling/deep", "made/by-link/deep");
  check_makes(fixture, "there/up/y", "y");
}

static void test_mkdirs_does_not_get_out(void **state) {
  const Fixture *fixture = *state;
  make_link(fixture->root, "absolute", fixture->outside);
  make_link(fixture->root, "relative", "../outside");
  g_autofree char *lookalike = g_build_filename(fixture->outside, "new", NULL);
  check_makes(fixture, "absolute/new", lookalike);
  check_makes(fixture, "relative/new", "outside/new");
  assert_false(exists(fixture->outside, "new"));
}

static void test_mkdirs_failures(void **state) {
  const Fixture *fixture = *state;
  make_file(fixture->root, "file", "x");
  make_link(fixture->root, "loop", "loop");
  g_autoptr(GError) error = NULL;
  assert_int_equal(safe_mkdirs(fixture->root_fd, "file/below", 0755, &error), -1);
  assert_string_equal(error->message, "cannot make directory 'file/below': Not a directory");
  g_clear_error(&error);
  assert_int_equal(safe_mkdirs(fixture->root_fd, "file", 0755, &error), -1);
  g_clear_error(&error);
  assert_int_equal(safe_mkdirs(fixture->root_fd, "a/loop/../../loop/x", 0755, &error), -1);
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
}

/* ---- safe_path_check ---- */

static void test_path_check(void **state) {
  const char *const good[] = {"/", "/a", "/a/b/", "//a", "/a/./b", "/..a/b..", "/...", "/a\nb"};
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) assert_true(safe_path_check(good[i], "source", NULL));
  g_autofree char *huge = g_strnfill(PATH_MAX, '/');
  const char *const bad[] = {NULL, "", "a", "./a", "..", "/..", "/../a", "/a/..", "/a/../b", "a/b", huge};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_false(safe_path_check(bad[i], "source", &error));
    assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT));
    assert_true(g_str_has_prefix(error->message, "invalid source: path '"));
  }
  huge[PATH_MAX - 1] = '\0';
  assert_true(safe_path_check(huge, "source", NULL));
}

/* ---- safe_remove_tree ---- */

static void test_remove(void **state) {
  const Fixture *fixture = *state;
  g_autofree char *tree = beneath(fixture->folder, "tree");
  make_folder(tree, "a/b/c");
  make_folder(tree, "a/d");
  make_file(tree, "a/b/file", "x");
  make_link(tree, "a/out", fixture->outside);
  make_link(tree, "secret", "../outside/secret");
  g_autofree char *fifo = beneath(tree, "a/d/fifo");
  assert_int_equal(mkfifo(fifo, 0600), 0);
  for (int i = 0; i < 3000; i++) {
    g_autofree char *name = g_strdup_printf("a/d/%d", i);
    make_link(tree, name, "x");
  }
  g_autofree char *with_slash = g_strconcat(tree, "/", NULL);
  g_autoptr(GError) error = NULL;
  if (!safe_remove_tree(with_slash, &error)) fail_msg("%s", error->message);
  assert_false(exists(fixture->folder, "tree"));
  assert_true(exists(fixture->outside, "secret"));
  /* Again: it is gone already. */
  assert_true(safe_remove_tree(tree, NULL));
  g_autofree char *nowhere = beneath(tree, "no/such");
  assert_true(safe_remove_tree(nowhere, NULL));
}

#define DEPTH 3000

/* Deeper than paths and descriptors go. */
static void test_remove_deep(void **state) {
  const Fixture *fixture = *state;
  g_autofree char *tree = beneath(fixture->folder, "tree");
  make_folder(fixture->folder, "tree");
  autofd int at = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < DEPTH; i++) {
    assert_int_equal(mkdirat(at, "one-level-more", 0755), 0);
    int next = openat(at, "one-level-more", O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd_clear(&at);
    at = next;
  }
  struct rlimit old, few;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  few = old;
  few.rlim_cur = 32;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
  g_autoptr(GError) error = NULL;
  gboolean is_removed = safe_remove_tree(tree, &error);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
  if (!is_removed) fail_msg("%s", error->message);
  assert_false(exists(fixture->folder, "tree"));
}

static gint is_over;

static gpointer refill_thread(gpointer user_data) {
  while (!g_atomic_int_get(&is_over)) {
    autofd int fd = open(user_data, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) break;
  }
  return NULL;
}

/* Others may still make files in it. */
static void test_remove_while_it_fills(void **state) {
  const Fixture *fixture = *state;
  g_autofree char *tree = beneath(fixture->folder, "tree"), *file = beneath(tree, "file");
  for (int i = 0; i < 20; i++) {
    make_folder(fixture->folder, "tree");
    GThread *thread = g_thread_new("refill", refill_thread, file);
    while (access(file, F_OK) < 0) g_thread_yield();
    g_autoptr(GError) error = NULL;
    gboolean is_removed = safe_remove_tree(tree, &error);
    if (!is_removed) g_atomic_int_set(&is_over, 1);
    g_thread_join(thread);
    if (!is_removed) fail_msg("%s", error->message);
    assert_false(exists(fixture->folder, "tree"));
  }
}

static void test_remove_refuses(void **state) {
  const Fixture *fixture = *state;
  make_link(fixture->root, "link", "../outside");
  make_file(fixture->root, "file", "x");
  g_autofree char *link_path = beneath(fixture->root, "link");
  g_autofree char *file = beneath(fixture->root, "file");
  g_autofree char *dots = beneath(fixture->root, "..");
  const char *const bad[] = {"", "/", ".", dots, link_path, file};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_false(safe_remove_tree(bad[i], &error));
    assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
  }
  assert_true(exists(fixture->outside, "secret"));
  assert_true(exists(fixture->root, "file"));
}

/* Another mount namespace for the rest of this process, once. */
static gboolean can_mount(void) {
  static int answer = -1;
  if (answer < 0) {
    answer = unshare(CLONE_NEWNS) == 0 && mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0;
    if (!answer) print_message("mounting needs root\n");
  }
  return answer == 1;
}

static void check_mount_is_named(const char *tree, const char *mount_point) {
  g_autoptr(GError) error = NULL;
  assert_false(safe_remove_tree(tree, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_STATE);
  g_autofree char *expected = g_strdup_printf("cannot remove '%s': it is a mount point; unmount it first", mount_point);
  assert_string_equal(error->message, expected);
}

static void test_remove_stops_at_mounts(void **state) {
  const Fixture *fixture = *state;
  if (!can_mount()) skip();
  g_autofree char *tree = beneath(fixture->folder, "tree");
  make_folder(tree, "a/mounted");
  g_autofree char *mounted = beneath(tree, "a/mounted");
  /* A bind mount of the same file system, a tmpfs, a mounted file, and the top itself. */
  assert_int_equal(mount(fixture->outside, mounted, "", MS_BIND, NULL), 0);
  check_mount_is_named(tree, mounted);
  check_mount_is_named(mounted, mounted);
  assert_true(exists(fixture->outside, "secret"));
  assert_int_equal(umount(mounted), 0);

  assert_int_equal(mount("tmpfs", mounted, "tmpfs", 0, NULL), 0);
  make_file(mounted, "kept", "x");
  check_mount_is_named(tree, mounted);
  assert_true(exists(mounted, "kept"));
  assert_int_equal(umount(mounted), 0);

  make_file(tree, "a/file", "x");
  g_autofree char *file = beneath(tree, "a/file");
  g_autofree char *secret = beneath(fixture->outside, "secret");
  assert_int_equal(rmdir(mounted), 0);
  assert_int_equal(mount(secret, file, "", MS_BIND, NULL), 0);
  check_mount_is_named(tree, file);
  assert_true(exists(fixture->outside, "secret"));
  assert_int_equal(umount(file), 0);

  assert_true(safe_remove_tree(tree, NULL));
  assert_false(exists(fixture->folder, "tree"));
}

/* ---- whole files ---- */

static void test_read_file(void **state) {
  const Fixture *fixture = *state;
  g_autofree char *path = beneath(fixture->root, "file");
  assert_true(g_file_set_contents(path, "a\0bc", 4, NULL));
  gsize length = 0;
  g_autofree char *text = safe_read_file(path, 4, &length, NULL);
  assert_non_null(text);
  assert_int_equal(length, 4);
  assert_memory_equal(text, "a\0bc", 5);
  g_autoptr(GError) error = NULL;
  assert_null(safe_read_file(path, 3, &length, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_RESOURCE_EXHAUSTED);
  assert_int_equal(length, 4);

  make_file(fixture->root, "file", "");
  g_autofree char *empty = safe_read_file(path, 100, &length, NULL);
  assert_string_equal(empty, "");
  assert_int_equal(length, 0);

  /* Says that it is empty, and is not. */
  g_autofree char *status = safe_read_file("/proc/self/status", 1u << 16, NULL, NULL);
  assert_true(g_str_has_prefix(status, "Name:\t"));
}

static void test_read_file_refuses(void **state) {
  const Fixture *fixture = *state;
  g_autofree char *fifo = beneath(fixture->root, "fifo");
  assert_int_equal(mkfifo(fifo, 0600), 0);
  const struct {
    const char *path;
    kata_error_code code;
  } bad[] = {
      {"/no/such/file", KATA_ERR_NOT_FOUND},    {"", KATA_ERR_NOT_FOUND},
      {fifo, KATA_ERR_INVALID_ARGUMENT},        {fixture->root, KATA_ERR_INVALID_ARGUMENT},
      {"/dev/zero", KATA_ERR_INVALID_ARGUMENT},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    assert_null(safe_read_file(bad[i].path, 100, NULL, &error));
    assert_int_equal(error_get_code(error), bad[i].code);
  }
  if (geteuid() == 0) return;
  g_autofree char *path = beneath(fixture->root, "closed");
  make_file(fixture->root, "closed", "x");
  assert_int_equal(chmod(path, 0), 0);
  g_autoptr(GError) error = NULL;
  assert_null(safe_read_file(path, 100, NULL, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_PERMISSION_DENIED);
}

static int count_entries(const char *folder) {
  g_autoptr(GDir) list = g_dir_open(folder, 0, NULL);
  int n_entries = 0;
  while (g_dir_read_name(list) != NULL) n_entries++;
  return n_entries;
}

static void test_write_file(void **state) {
  const Fixture *fixture = *state;
  g_autofree char *path = beneath(fixture->root, "file");
  mode_t old = umask(0777);
  assert_true(safe_write_file(path, "one", -1, 0644, FALSE, NULL));
  assert_true(safe_write_file(path, "t\0wo", 4, 0640, TRUE, NULL));
  umask(old);
  gsize length;
  g_autofree char *text = safe_read_file(path, 100, &length, NULL);
  assert_int_equal(length, 4);
  assert_memory_equal(text, "t\0wo", 4);
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0640);
  assert_int_equal(count_entries(fixture->root), 1);

  /* A link is replaced, not followed. */
  make_link(fixture->root, "link", "../outside/secret");
  g_autofree char *link_path = beneath(fixture->root, "link");
  assert_true(safe_write_file(link_path, "new", -1, 0600, FALSE, NULL));
  g_autofree char *secret = beneath(fixture->outside, "secret");
  g_autofree char *untouched = safe_read_file(secret, 100, NULL, NULL);
  assert_string_equal(untouched, "secret");
}

static void test_write_file_failures(void **state) {
  const Fixture *fixture = *state;
  g_autoptr(GError) error = NULL;
  assert_false(safe_write_file("/no/such/folder/file", "x", -1, 0600, TRUE, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_NOT_FOUND);
  g_clear_error(&error);
  /* A directory is in its place. */
  make_folder(fixture->root, "taken");
  g_autofree char *taken = beneath(fixture->root, "taken");
  assert_false(safe_write_file(taken, "x", -1, 0600, TRUE, &error));
  assert_true(g_str_has_prefix(error->message, "cannot write '"));
  assert_int_equal(count_entries(fixture->root), 1);
}

/* A full disk leaves the old content and no temporary file. */
static void test_write_file_on_a_full_disk(void **state) {
  const Fixture *fixture = *state;
  if (!can_mount()) skip();
  assert_int_equal(mount("tmpfs", fixture->root, "tmpfs", 0, "size=64k"), 0);
  g_autofree char *path = beneath(fixture->root, "file");
  g_autofree char *big = g_strnfill(1u << 20, 'x');
  g_autoptr(GError) error = NULL;
  assert_true(safe_write_file(path, "old", -1, 0600, TRUE, NULL));
  assert_false(safe_write_file(path, big, -1, 0600, TRUE, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_RESOURCE_EXHAUSTED);
  assert_int_equal(count_entries(fixture->root), 1);
  g_autofree char *text = safe_read_file(path, 100, NULL, NULL);
  assert_string_equal(text, "old");
  assert_int_equal(umount(fixture->root), 0);
}

static gboolean forbid_openat2(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = G_N_ELEMENTS(code), .filter = code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_open_stays_inside),
      TEST(test_open_does_not_get_out),
      TEST(test_open_odd_paths),
      TEST(test_open_creates),
      TEST(test_error_text),
      TEST(test_mkdirs),
      TEST(test_mkdirs_does_not_get_out),
      TEST(test_mkdirs_failures),
      TEST(test_path_check),
      TEST(test_remove),
      TEST(test_remove_deep),
      TEST(test_remove_while_it_fills),
      TEST(test_remove_refuses),
      TEST(test_remove_stops_at_mounts),
      TEST(test_read_file),
      TEST(test_read_file_refuses),
      TEST(test_write_file),
      TEST(test_write_file_failures),
      TEST(test_write_file_on_a_full_disk),
  };
  int n_failed = cmocka_run_group_tests_name("with openat2", tests, NULL, NULL);
  if (!forbid_openat2()) {
    print_message("no seccomp: not run without openat2\n");
    return n_failed;
  }
  return n_failed + cmocka_run_group_tests_name("without openat2", tests, NULL, NULL);
}
