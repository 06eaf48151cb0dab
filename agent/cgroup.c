/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* Cgroups may be nested by containers; deeper ones than this are left to rmdir's failure. */
#define DEPTH_MAX 32

static char *file_path(const char *path, const char *file) { return g_strconcat(CGROUP_ROOT, path, "/", file, NULL); }

static gboolean write_file(const char *path, const char *file, const char *text) {
  g_autofree char *name = file_path(path, file);
  autofd int fd = open(name, O_WRONLY | O_CLOEXEC);
  return fd >= 0 && fd_write_all(fd, text, strlen(text));
}

char *cgroup_read(const char *path, const char *file) {
  g_autofree char *name = file_path(path, file);
  return safe_read_file(name, CGROUP_FILE_MAX, NULL, NULL);
}

static void kill_listed(const char *path) {
  g_autofree char *text = cgroup_read(path, "cgroup.procs");
  g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
  for (char **line = lines; *line; line++) {
    guint64 pid = 0;
    if (g_ascii_string_to_unsigned(*line, 10, 2, G_MAXINT, &pid, NULL)) kill((pid_t)pid, SIGKILL);
  }
}

static void for_each_child(const char *path, guint depth, void (*func)(const char *path, guint depth)) {
  g_autofree char *directory = g_strconcat(CGROUP_ROOT, path, NULL);
  g_autoptr(GDir) children = depth < DEPTH_MAX ? g_dir_open(directory, 0, NULL) : NULL;
  const char *name = NULL;
  while (children && (name = g_dir_read_name(children))) {
    g_autofree char *child = g_strconcat(path, "/", name, NULL);
    g_autofree char *full = g_strconcat(CGROUP_ROOT, child, NULL);
    if (g_file_test(full, G_FILE_TEST_IS_DIR)) func(child, depth + 1);
  }
}

static void kill_tree(const char *path, guint depth) {
  kill_listed(path);
  for_each_child(path, depth, kill_tree);
}

gboolean cgroup_kill(const char *path, GError **error) {
  if (write_file(path, "cgroup.kill", "1")) return TRUE;
  g_autofree char *directory = g_strconcat(CGROUP_ROOT, path, NULL);
  if (access(directory, F_OK) < 0 && errno == ENOENT) return TRUE;
  /* Kernels before 5.14: hold them still so that none can fork away. */
  gboolean frozen = write_file(path, "cgroup.freeze", "1");
  kill_tree(path, 0);
  if (!frozen || write_file(path, "cgroup.freeze", "0")) return TRUE;
  error_set_errno(error, errno, "cannot thaw the cgroup '%s'", path);
  return FALSE;
}

static void remove_tree(const char *path, guint depth) {
  for_each_child(path, depth, remove_tree);
  g_autofree char *directory = g_strconcat(CGROUP_ROOT, path, NULL);
  rmdir(directory);
}

gboolean cgroup_remove(const char *path) {
  remove_tree(path, 0);
  g_autofree char *own = g_strconcat(CGROUP_ROOT, path, NULL);
  if (access(own, F_OK) == 0) return FALSE;
  g_autofree char *parent = g_path_get_dirname(path);
  while (strcmp(parent, "/") != 0 && strcmp(parent, ".") != 0) {
    g_autofree char *directory = g_strconcat(CGROUP_ROOT, parent, NULL);
    if (rmdir(directory) < 0 && errno != ENOENT) break;
    char *next = g_path_get_dirname(parent);
    g_free(parent);
    parent = next;
  }
  return TRUE;
}
