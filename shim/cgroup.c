// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/mount-table.h"
#include "common/safe-path.h"
#include "lib/paths.h"

#define PROC_FILE_LIMIT (1u << 20)
#define VALUE_LIMIT (64u << 10)
/* A process that was told to end is out of its cgroup within this time. */
#define REMOVE_WAIT_MS 2000
#define REMOVE_POLL_MS 5

/* ---- paths ---- */

/* "a-b.slice" lies in "a.slice"; "-.slice" is the root. */
static char *expand_slice(const char *slice, GError **error) {
  const char *name = *slice != '\0' ? slice : "system.slice";
  gsize length = strlen(name);
  if (!g_str_has_suffix(name, ".slice") || strchr(name, '/') != NULL || strstr(name, "--") != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid slice name: '%s' in cgroupsPath", slice);
    return NULL;
  }
  if (strcmp(name, "-.slice") == 0) return g_strdup("/");
  GString *path = g_string_new("/");
  for (const char *dash = strchr(name, '-'); dash != NULL; dash = strchr(dash + 1, '-'))
    g_string_append_printf(path, "%.*s.slice/", (int)(dash - name), name);
  g_string_append_len(path, name, (gssize)length);
  return g_string_free(path, FALSE);
}

static gboolean leads_out(const char *path) {
  g_auto(GStrv) parts = g_strsplit(path, "/", -1);
  return g_strv_contains((const char *const *)parts, "..");
}

char *cgroup_expand_path(const char *cgroups_path, GError **error) {
  g_auto(GStrv) words = g_strsplit(cgroups_path, ":", -1);
  gboolean is_systemd = g_strv_length(words) == 3 && *cgroups_path != '/' && *words[2] != '\0';
  g_autofree char *path = NULL;
  if (is_systemd) {
    g_autofree char *slice = expand_slice(words[0], error);
    if (slice == NULL) return NULL;
    gboolean is_slice = g_str_has_suffix(words[2], ".slice");
    g_autofree char *unit =
        is_slice ? g_strdup(words[2]) : g_strconcat(words[1], *words[1] != '\0' ? "-" : "", words[2], ".scope", NULL);
    path = g_build_filename(slice, unit, NULL);
  } else {
    path = g_strdup(cgroups_path);
  }
  if (!leads_out(path)) return g_steal_pointer(&path);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cgroupsPath '%s' leads out of the cgroup tree",
              cgroups_path);
  return NULL;
}

/* ---- hierarchies ---- */

typedef struct {
  const char *mount_point;
  const char *controllers; /* as in /proc/PID/cgroup; "" for version 2 */
} Hierarchy;

/* A version 1 mount's options name its controllers among others; /proc/PID/cgroup names just these. */
static gboolean has_controllers(const MountEntry *entry, const char *controllers) {
  g_auto(GStrv) wanted = g_strsplit(controllers, ",", -1);
  for (char **name = wanted; *name != NULL; name++)
    if (!mount_entry_has_option(entry, *name)) return FALSE;
  return TRUE;
}

static const char *find_mount(const GPtrArray *mounts, const char *controllers) {
  for (guint i = 0; i < mounts->len; i++) {
    const MountEntry *entry = mounts->pdata[i];
    gboolean matches = *controllers == '\0' ? strcmp(entry->type, "cgroup2") == 0
                                            : strcmp(entry->type, "cgroup") == 0 && has_controllers(entry, controllers);
    if (matches) return entry->point;
  }
  return NULL;
}

typedef void (*HierarchyFunc)(const Hierarchy *hierarchy, const char *path, gpointer user_data);

/* For each hierarchy that is mounted, with the process's own path in it. */
static void for_each(pid_t pid, HierarchyFunc func, gpointer user_data) {
  g_autofree char *file = g_strdup_printf("/proc/%d/cgroup", (int)pid);
  g_autofree char *memberships = safe_read_file(file, PROC_FILE_LIMIT, NULL, NULL);
  g_autoptr(GPtrArray) mounts = mount_table_read(0, NULL);
  if (memberships == NULL || mounts == NULL) return;
  g_auto(GStrv) lines = g_strsplit(memberships, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    g_auto(GStrv) fields = g_strsplit(*line, ":", 3);
    if (g_strv_length(fields) != 3) continue;
    Hierarchy hierarchy = {find_mount(mounts, fields[1]), fields[1]};
    if (hierarchy.mount_point != NULL) func(&hierarchy, fields[2], user_data);
  }
}

static void add_own(const Hierarchy *hierarchy, const char *path, gpointer user_data) {
  g_ptr_array_add(user_data, g_build_filename(hierarchy->mount_point, path, NULL));
}

static char **end_list(GPtrArray *list) {
  g_ptr_array_add(list, NULL);
  return (char **)g_ptr_array_free(list, FALSE);
}

char **cgroup_find(pid_t pid) {
  GPtrArray *list = g_ptr_array_new();
  for_each(pid, add_own, list);
  return end_list(list);
}

/* ---- making ---- */

static gboolean write_value(const char *directory, const char *file, const char *value) {
  g_autofree char *path = g_build_filename(directory, file, NULL);
  autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
  return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
}

/* A new cpuset of version 1 is empty and takes no process until it has got CPUs and nodes. */
static void inherit(const char *directory, const char *file) {
  g_autofree char *parent = g_path_get_dirname(directory);
  g_autofree char *own_path = g_build_filename(directory, file, NULL),
                  *parents_path = g_build_filename(parent, file, NULL);
  g_autofree char *own = safe_read_file(own_path, VALUE_LIMIT, NULL, NULL);
  g_autofree char *parents = safe_read_file(parents_path, VALUE_LIMIT, NULL, NULL);
  if (own != NULL && *g_strstrip(own) == '\0' && parents != NULL) write_value(directory, file, g_strstrip(parents));
}

/* In version 2 a cgroup has the controllers that those above it pass on; which there are differs. */
static void pass_on_controllers(const char *parent) {
  static const char *const controllers[] = {"+cpuset", "+cpu", "+io", "+memory", "+hugetlb", "+pids"};
  for (gsize i = 0; i < G_N_ELEMENTS(controllers); i++) write_value(parent, "cgroup.subtree_control", controllers[i]);
}

static gboolean make_level(const char *directory) {
  g_autofree char *parent = g_path_get_dirname(directory);
  pass_on_controllers(parent);
  if (mkdir(directory, 0755) < 0 && errno != EEXIST) return FALSE;
  inherit(directory, "cpuset.cpus");
  inherit(directory, "cpuset.mems");
  return TRUE;
}

typedef struct {
  const char *path;
  GPtrArray *made;
  char *failed; /* the first that could not be made */
  int reason;
} Making;

static void make_in(const Hierarchy *hierarchy, const char *own_path, gpointer user_data) {
  Making *making = user_data;
  const char *base = *making->path == '/' ? "/" : own_path;
  g_autofree char *directory = g_build_filename(hierarchy->mount_point, base, making->path, NULL);
  gsize root = strlen(hierarchy->mount_point);
  gboolean made = TRUE;
  for (char *end = directory + root; made && end != NULL;) {
    end = strchr(end + 1, '/');
    if (end != NULL) *end = '\0';
    made = make_level(directory);
    if (end != NULL) *end = '/';
  }
  if (!made) {
    if (making->failed == NULL) making->reason = errno;
    if (making->failed == NULL) making->failed = g_steal_pointer(&directory);
    return;
  }
  g_ptr_array_add(making->made, g_steal_pointer(&directory));
}

char **cgroup_make(const char *path, pid_t parent, GError **error) {
  Making making = {.path = path, .made = g_ptr_array_new()};
  for_each(parent, make_in, &making);
  g_autofree char *failed = making.failed;
  g_auto(GStrv) made = end_list(making.made);
  if (made[0] != NULL) {
    if (failed != NULL) g_warning("cannot make the cgroup '%s': %s", failed, g_strerror(making.reason));
    return g_steal_pointer(&made);
  }
  if (failed != NULL)
    error_set_errno(error, making.reason, "cannot make the cgroup '%s' (config.json: linux.cgroupsPath)", failed);
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST,
                "cannot make the cgroup '%s' (config.json: linux.cgroupsPath): no cgroup hierarchy is mounted", path);
  return NULL;
}

gboolean cgroup_add(char *const *directories, pid_t pid, GError **error) {
  g_autofree char *text = g_strdup_printf("%d", (int)pid);
  const char *failed = NULL;
  int reason = 0, n_joined = 0;
  for (char *const *directory = directories; *directory != NULL; directory++) {
    if (write_value(*directory, "cgroup.procs", text)) {
      n_joined++;
    } else if (failed == NULL) {
      reason = errno;
      failed = *directory;
    }
  }
  if (failed == NULL || n_joined > 0) {
    if (failed != NULL) g_warning("cannot move process %s into '%s': %s", text, failed, g_strerror(reason));
    return TRUE;
  }
  error_set_errno(error, reason, "cannot move process %s into the cgroup '%s'", text, failed);
  return FALSE;
}

/* ---- removing ---- */

gboolean cgroup_is_same(char *const *directories, char *const *others) {
  return directories != NULL && others != NULL &&
         g_strv_equal((const char *const *)directories, (const char *const *)others);
}

void cgroup_remove(char *const *directories) {
  gint64 deadline = g_get_monotonic_time() + REMOVE_WAIT_MS * G_TIME_SPAN_MILLISECOND;
  for (char *const *directory = directories; directory != NULL && *directory != NULL; directory++) {
    while (rmdir(*directory) < 0 && errno == EBUSY && g_get_monotonic_time() < deadline)
      g_usleep(REMOVE_POLL_MS * 1000);
  }
}

gboolean cgroup_note(const char *sandbox_dir, char *const *directories, GError **error) {
  g_autofree char *path = g_build_filename(sandbox_dir, PATHS_CGROUPS, NULL);
  g_autofree char *lines = g_strjoinv("\n", (char **)directories);
  g_autofree char *text = g_strconcat(lines, "\n", NULL);
  autofd int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0 && fd_write_all(fd, text, strlen(text))) return TRUE;
  error_set_errno(error, errno, "cannot write '%s'", path);
  return FALSE;
}

void cgroup_remove_noted(const char *sandbox_dir) {
  g_autofree char *path = g_build_filename(sandbox_dir, PATHS_CGROUPS, NULL);
  g_autofree char *text = safe_read_file(path, PROC_FILE_LIMIT, NULL, NULL);
  if (text == NULL) return;
  g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
  cgroup_remove(lines);
}
