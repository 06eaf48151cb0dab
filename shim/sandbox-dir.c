// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/sandbox-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/safe-path.h"
#include "lib/paths.h"
#include "shim/cgroup.h"
#include "shim/net.h"
#include "shim/store.h"
#include "shim/vm.h"

static gboolean make_directory(const char *path, GError **error) {
  /* 0711: QEMU's user passes through to its sockets and sees no names. */
  if (mkdir(path, 0711) == 0 || errno == EEXIST) return TRUE;
  error_set_errno(error, errno, "cannot make the directory '%s'", path);
  return FALSE;
}

static void set_exists(const char *sandbox_id, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "sandbox '%s' already exists", sandbox_id);
}

/* ---- a directory elsewhere ---- */

/* Access lists are not looked at: at worst a sandbox lies outside that need not. */
static gboolean can_pass(const char *directory, uid_t uid, gid_t gid) {
  g_autofree char *path = g_strdup(directory);
  for (;;) {
    struct stat status;
    if (stat(path, &status) < 0) return FALSE;
    mode_t needed = status.st_uid == uid ? S_IXUSR : status.st_gid == gid ? S_IXGRP : S_IXOTH;
    if ((status.st_mode & needed) == 0) return FALSE;
    if (strcmp(path, "/") == 0) return TRUE;
    char *parent = g_path_get_dirname(path);
    g_free(path);
    path = parent;
  }
}

/* Of the path without links, since passing leads through what they stand for. */
static gboolean is_open_to_qemu(const char *root) {
  uid_t uid;
  gid_t gid;
  if (!vm_get_user(&uid, &gid, NULL)) return TRUE; /* the start itself will complain */
  char *real = realpath(root, NULL);
  gboolean is_open = real != NULL && can_pass(real, uid, gid);
  free(real);
  return is_open;
}

/* Whoever makes or removes a directory elsewhere and its link holds this. */
static int lock_outside(GError **error) {
  if (g_mkdir_with_parents(PATHS_OUTSIDE, 0711) < 0) {
    error_set_errno(error, errno, "cannot make the directory '%s'", PATHS_OUTSIDE);
    return -1;
  }
  autofd int fd = open(PATHS_OUTSIDE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && flock(fd, LOCK_EX) == 0) return fd_steal(&fd);
  error_set_errno(error, errno, "cannot lock '%s'", PATHS_OUTSIDE);
  return -1;
}

/* The link to a directory elsewhere: noted there, since one that stood by has no name of the sandbox's. */
static gboolean make_link(const char *directory, const char *link, GError **error) {
  g_autofree char *note = g_build_filename(directory, PATHS_LINK, NULL);
  if (!safe_write_file(note, link, -1, 0600, FALSE, error)) return FALSE;
  if (symlink(directory, link) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make the link '%s'", link);
  return FALSE;
}

static gboolean is_elsewhere(const char *directory) {
  return g_str_has_prefix(directory, PATHS_OUTSIDE "/") || g_str_has_prefix(directory, PATHS_POOL "/");
}

/* What stands for a sandbox's directory in its root: the directory itself, or the link to it. */
static char *find_place(const char *directory) {
  g_autofree char *note = g_build_filename(directory, PATHS_LINK, NULL);
  char *link = is_elsewhere(directory) ? safe_read_file(note, PATH_MAX, NULL, NULL) : NULL;
  return link != NULL ? link : g_strdup(directory);
}

/* Its name in the root. */
static char *find_key(const char *directory) {
  g_autofree char *place = find_place(directory);
  return g_path_get_basename(place);
}

/* Removes what an owner has left whose link somebody took away. */
static gboolean make_anew(const char *directory, GError **error) {
  vm_kill_strays(directory);
  return safe_remove_tree(directory, error) && make_directory(directory, error);
}

static char *create_outside(const char *root, const char *link, const char *sandbox_id, GError **error) {
  autofd int lock = lock_outside(error);
  if (lock < 0) return NULL;
  if (access(link, F_OK) == 0) {
    set_exists(sandbox_id, error);
    return NULL;
  }
  unlink(link); /* one that leads nowhere */
  g_autofree char *root_key = id_key(root);
  g_autofree char *folder = g_build_filename(PATHS_OUTSIDE, root_key, NULL);
  g_autofree char *key = g_path_get_basename(link);
  g_autofree char *directory = g_build_filename(folder, key, NULL);
  if (!make_directory(folder, error) || !make_anew(directory, error)) return NULL;
  if (make_link(directory, link, error)) return g_steal_pointer(&directory);
  safe_remove_tree(directory, NULL);
  rmdir(folder);
  return NULL;
}

static gboolean remove_outside(const char *directory, GError **error) {
  autofd int lock = lock_outside(error);
  g_autofree char *link = find_place(directory);
  if (lock < 0 || !safe_remove_tree(directory, error)) return FALSE;
  g_autofree char *folder = g_path_get_dirname(directory);
  /* Another may lead to a sandbox of that name that has come since. */
  g_autofree char *target = g_file_read_link(link, NULL);
  if (g_strcmp0(target, directory) == 0) unlink(link);
  rmdir(folder); /* the last of its root */
  return TRUE;
}

/* ---- the directory ---- */

char *sandbox_dir_find(const char *root, const char *sandbox_id) {
  g_autofree char *path = paths_sandbox_dir(root, sandbox_id);
  char *target = g_file_read_link(path, NULL);
  return target != NULL ? target : g_steal_pointer(&path);
}

static gboolean make_root(const char *root, GError **error) {
  g_autofree char *sandboxes = g_build_filename(root, PATHS_SANDBOXES, NULL);
  g_autofree char *containers = g_build_filename(root, PATHS_CONTAINERS, NULL);
  if (g_mkdir_with_parents(root, 0711) == 0)
    return make_directory(sandboxes, error) && make_directory(containers, error);
  error_set_errno(error, errno, "cannot make the directory '%s'", root);
  return FALSE;
}

gboolean sandbox_dir_move_in(const char *root, const char *sandbox_id, const char *directory, GError **error) {
  autofd int lock = make_root(root, error) ? lock_outside(error) : -1;
  if (lock < 0) return FALSE;
  g_autofree char *link = paths_sandbox_dir(root, sandbox_id);
  if (access(link, F_OK) == 0) {
    set_exists(sandbox_id, error);
    return FALSE;
  }
  unlink(link); /* one that leads nowhere */
  return make_link(directory, link, error);
}

/* A link to a directory elsewhere that is gone, left by one who was killed between the two. */
static void drop_dead_link(const char *path) {
  autofd int lock = lock_outside(NULL);
  struct stat st;
  if (lock >= 0 && lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && access(path, F_OK) < 0 && errno == ENOENT)
    unlink(path);
}

char *sandbox_dir_create(const char *root, const char *sandbox_id, GError **error) {
  if (!make_root(root, error)) return NULL;
  g_autofree char *sandboxes = g_build_filename(root, PATHS_SANDBOXES, NULL);
  g_autofree char *path = paths_sandbox_dir(root, sandbox_id);
  if (!is_open_to_qemu(sandboxes)) return create_outside(root, path, sandbox_id, error);
  if (mkdir(path, 0711) == 0) return g_steal_pointer(&path);
  if (errno == EEXIST) {
    drop_dead_link(path);
    if (mkdir(path, 0711) == 0) return g_steal_pointer(&path);
  }
  if (errno == EEXIST)
    set_exists(sandbox_id, error);
  else
    error_set_errno(error, errno, "cannot make the directory '%s'", path);
  return NULL;
}

int sandbox_dir_lock(const char *sandbox_dir, GError **error) {
  g_autofree char *path = g_build_filename(sandbox_dir, PATHS_OWNER_PID, NULL);
  autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) {
    error_set_errno(error, errno, "cannot open '%s'", path);
    return -1;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd_steal(&fd);
  if (errno == EWOULDBLOCK)
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "'%s' is held by an owner", path);
  else
    error_set_errno(error, errno, "cannot lock '%s'", path);
  return -1;
}

pid_t sandbox_dir_read_owner(const char *sandbox_dir) {
  g_autofree char *path = g_build_filename(sandbox_dir, PATHS_OWNER_PID, NULL);
  g_autofree char *text = safe_read_file(path, 64, NULL, NULL);
  return text != NULL ? (pid_t)g_ascii_strtoll(text, NULL, 10) : 0;
}

gboolean sandbox_dir_link(const char *root, const char *sandbox_dir, const char *container_id, GError **error) {
  g_autofree char *link = paths_container_link(root, container_id);
  g_autofree char *key = find_key(sandbox_dir);
  g_autofree char *target = g_build_filename("..", "s", key, NULL);
  if (symlink(target, link) == 0) return TRUE;
  if (errno == EEXIST)
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "container with given ID already exists: '%s'",
                container_id);
  else
    error_set_errno(error, errno, "cannot make the link '%s'", link);
  return FALSE;
}

void sandbox_dir_unlink(const char *root, const char *container_id) {
  g_autofree char *link = paths_container_link(root, container_id);
  unlink(link);
}

/* Links that lead to this sandbox: read from the directory, since the owner that knew them may be gone. */
static void remove_links(const char *root, const char *sandbox_dir) {
  g_autofree char *containers = g_build_filename(root, "c", NULL);
  g_autofree char *key = find_key(sandbox_dir);
  g_autoptr(GDir) dir = g_dir_open(containers, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *link = g_build_filename(containers, name, NULL);
    char target[PATH_MAX];
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length <= 0) continue;
    target[length] = '\0';
    g_autofree char *target_key = g_path_get_basename(target);
    if (strcmp(target_key, key) == 0) unlink(link);
  }
}

/* Found while QEMU still lives in it, since often nothing else names it. */
static Net *find_network(const char *sandbox_dir) {
  Kata__V1__SandboxState *state = store_load(sandbox_dir, NULL);
  if (state == NULL) return NULL;
  pid_t qemu = state->qemu_pid != 0 && vm_is_ours((pid_t)state->qemu_pid, sandbox_dir) ? (pid_t)state->qemu_pid : 0;
  Net *net = state->network != NULL ? net_find_stray(state->network, qemu, state->netns_mount) : NULL;
  protobuf_c_message_free_unpacked(&state->base, NULL);
  return net;
}

gboolean sandbox_dir_remove(const char *root, const char *sandbox_dir, GError **error) {
  g_autoptr(Net) net = find_network(sandbox_dir);
  guint killed = vm_kill_strays(sandbox_dir);
  if (killed > 0) g_warning("'%s': ended %u processes that an earlier owner left", sandbox_dir, killed);
  if (net != NULL) net_disconnect(net);
  remove_links(root, sandbox_dir);
  cgroup_remove_noted(sandbox_dir);
  return is_elsewhere(sandbox_dir) ? remove_outside(sandbox_dir, error) : safe_remove_tree(sandbox_dir, error);
}
