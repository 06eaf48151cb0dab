/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* What a process may take to stop; one in the middle of a read of a slow file does not before that ends. */
#define FREEZE_MS 500

/* Cgroups may be nested by containers; deeper ones than this are left to rmdir's failure. */
#define DEPTH_MAX 32

static char *file_path(const char *path, const char *file) { return g_strconcat(CGROUP_ROOT, path, "/", file, NULL); }

static gboolean write_file(const char *path, const char *file, const char *text) {
  g_autofree char *name = file_path(path, file);
  autofd int fd = open(name, O_WRONLY | O_CLOEXEC);
  return fd >= 0 && fd_write_all(fd, text, strlen(text));
}

gboolean cgroup_write(const char *path, const char *file, const char *text, GError **error) {
  if (write_file(path, file, text)) return TRUE;
  error_set_errno(error, errno, "cannot write '%s' to '%s' of cgroup '%s'", text, file, path);
  return FALSE;
}

char *cgroup_read(const char *path, const char *file) {
  g_autofree char *name = file_path(path, file);
  return safe_read_file(name, CGROUP_FILE_MAX, NULL, NULL);
}

typedef void (*ChildFunc)(const char *path, guint depth, gpointer user_data);

static void for_each_child(const char *path, guint depth, ChildFunc func, gpointer user_data) {
  g_autofree char *directory = g_strconcat(CGROUP_ROOT, path, NULL);
  g_autoptr(GDir) children = depth < DEPTH_MAX ? g_dir_open(directory, 0, NULL) : NULL;
  const char *name = NULL;
  while (children && (name = g_dir_read_name(children))) {
    g_autofree char *child = g_strconcat(path, "/", name, NULL);
    g_autofree char *full = g_strconcat(CGROUP_ROOT, child, NULL);
    if (g_file_test(full, G_FILE_TEST_IS_DIR)) func(child, depth + 1, user_data);
  }
}

typedef struct {
  GArray *pids;
  guint max;
} Listing;

static void list_tree(const char *path, guint depth, gpointer user_data) {
  Listing *listing = user_data;
  g_autofree char *text = cgroup_read(path, "cgroup.procs");
  for (const char *at = text; at && *at && listing->pids->len < listing->max;) {
    char *end = NULL;
    guint64 number = g_ascii_strtoull(at, &end, 10);
    pid_t pid = (pid_t)number;
    /* 0: one that this pid namespace does not see. */
    if (number > 1 && number <= G_MAXINT) g_array_append_val(listing->pids, pid);
    at = *end ? end + 1 : end;
  }
  for_each_child(path, depth, list_tree, listing);
}

GArray *cgroup_list(const char *path, guint max) {
  Listing listing = {.pids = g_array_new(FALSE, FALSE, sizeof(pid_t)), .max = max};
  list_tree(path, 0, &listing);
  return listing.pids;
}

static void signal_tree(const char *path, int signal_number) {
  g_autoptr(GArray) pids = cgroup_list(path, G_MAXUINT);
  for (guint i = 0; i < pids->len; i++) kill(g_array_index(pids, pid_t, i), signal_number);
}

static gboolean is_frozen(int events) {
  char text[256];
  ssize_t length = pread(events, text, sizeof text - 1, 0);
  if (length < 0) return TRUE; /* removed: there is nobody left to wait for */
  text[length] = '\0';
  return strstr(text, "frozen 1") != NULL;
}

/* The kernel freezes one after the other, and tells of the last. */
static void wait_frozen(const char *path) {
  g_autofree char *name = file_path(path, "cgroup.events");
  autofd int events = open(name, O_RDONLY | O_CLOEXEC);
  gint64 deadline = g_get_monotonic_time() + FREEZE_MS * G_TIME_SPAN_MILLISECOND;
  while (events >= 0 && !is_frozen(events)) {
    gint64 left = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
    struct pollfd changed = {.fd = events, .events = POLLPRI};
    if (left <= 0) return;
    poll(&changed, 1, (int)left);
  }
}

/* Frozen ones cannot fork away meanwhile. Those of a container that is paused stay so. */
gboolean cgroup_signal(const char *path, int signal_number, GError **error) {
  g_autofree char *before = cgroup_read(path, "cgroup.freeze");
  gboolean freezes = before && *before == '0' && write_file(path, "cgroup.freeze", "1");
  if (freezes) wait_frozen(path);
  signal_tree(path, signal_number);
  if (!freezes || write_file(path, "cgroup.freeze", "0")) return TRUE;
  error_set_errno(error, errno, "cannot thaw the cgroup '%s'", path);
  return FALSE;
}

gboolean cgroup_kill(const char *path, GError **error) {
  if (write_file(path, "cgroup.kill", "1")) return TRUE;
  g_autofree char *directory = g_strconcat(CGROUP_ROOT, path, NULL);
  if (access(directory, F_OK) < 0 && errno == ENOENT) return TRUE;
  /* Kernels before 5.14. */
  return cgroup_signal(path, SIGKILL, error);
}

static void remove_tree(const char *path, guint depth, gpointer user_data) {
  for_each_child(path, depth, remove_tree, NULL);
  g_autofree char *directory = g_strconcat(CGROUP_ROOT, path, NULL);
  rmdir(directory);
}

gboolean cgroup_remove(const char *path) {
  remove_tree(path, 0, NULL);
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

gboolean cgroup_has_file(const char *file) {
  g_autofree char *directory = g_strdup_printf(CGROUP_ROOT "/kata-agent-look-%d", (int)getpid());
  if (mkdir(directory, 0755) < 0) return FALSE;
  g_autofree char *path = g_build_filename(directory, file, NULL);
  gboolean there = access(path, F_OK) == 0;
  rmdir(directory);
  return there;
}
