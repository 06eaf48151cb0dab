/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/shared-mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/mount.h"
#include "agent/task.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

#define ANNOTATION_NAME "io.kubernetes.cri.container-name"
/* Either container may serve a file system that its path leads through, and never answer. */
#define SHARE_TIMEOUT_MS 30000

/* For the helper: its processes are children of ours that nobody has waited for, so no other has their numbers. */
typedef struct {
  const Grpc__SharedMount *mount;
  pid_t source;
  pid_t target;
} Copy;

typedef struct {
  GArray *copies;
  ContainerFunc func;
  gpointer user_data;
} Sharing;

char *shared_mounts_get_name(const OciSpec *spec) { return g_strdup(oci_spec_get_annotation(spec, ANNOTATION_NAME)); }

gboolean shared_mounts_check(const Grpc__CreateContainerRequest *request, GError **error) {
  if (request->n_shared_mounts > SHARED_MOUNTS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "container '%s' asks for more than %d shared mounts",
                request->container_id, SHARED_MOUNTS_MAX);
    return FALSE;
  }
  for (gsize i = 0; i < request->n_shared_mounts; i++)
    if (!safe_path_check(request->shared_mounts[i]->src_path, "source of a shared mount", error) ||
        !safe_path_check(request->shared_mounts[i]->dst_path, "destination of a shared mount", error))
      return FALSE;
  return TRUE;
}

/* ---- in the helper ---- */

/* The root directory changes with the mounts. Returns the new one. */
static int enter(int namespace_fd, GError **error) {
  autofd int root = setns(namespace_fd, CLONE_NEWNS) < 0 ? -1 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) error_set_errno(error, errno, "cannot enter a container's mounts");
  return fd_steal(&root);
}

static int copy_source(int namespace_fd, const char *path, gboolean *ret_is_directory, GError **error) {
  struct stat info;
  autofd int root = enter(namespace_fd, error);
  autofd int fd = root < 0 ? -1 : safe_open(root, path, O_PATH, 0, error);
  if (fd < 0) return -1;
  *ret_is_directory = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
  return mount_copy_tree(fd, MS_REC, error);
}

static int open_target(int root, const char *path, gboolean is_directory, GError **error) {
  if (is_directory) return safe_mkdirs(root, path, 0755, error);
  g_autofree char *parent = g_path_get_dirname(path);
  autofd int directory = safe_mkdirs(root, parent, 0755, error);
  autofd int made = directory < 0 ? -1 : safe_open(root, path, O_CREAT | O_WRONLY | O_NONBLOCK | O_NOCTTY, 0644, error);
  return made < 0 ? -1 : safe_open(root, path, O_PATH, 0, error);
}

static int open_namespace(pid_t pid, GError **error) {
  g_autofree char *path = g_strdup_printf("/proc/%d/ns/mnt", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) error_set_errno(error, errno, "cannot open '%s'", path);
  return fd;
}

static gboolean copy_one(const Copy *copy, int home, GError **error) {
  gboolean is_directory = FALSE;
  /* Before the first move: /proc is the container's afterwards. */
  autofd int source = open_namespace(copy->source, error);
  autofd int target = source < 0 ? -1 : open_namespace(copy->target, error);
  autofd int tree = target < 0 ? -1 : copy_source(source, copy->mount->src_path, &is_directory, error);
  autofd int root = tree < 0 ? -1 : enter(target, error);
  autofd int place = root < 0 ? -1 : open_target(root, copy->mount->dst_path, is_directory, error);
  gboolean is_done = place >= 0 && mount_attach(tree, place, error);
  if (is_done && setns(home, CLONE_NEWNS) < 0) {
    error_set_errno(error, errno, "cannot come back from a container's mounts");
    is_done = FALSE;
  }
  if (!is_done) g_prefix_error(error, "cannot share mount '%s': ", copy->mount->name);
  return is_done;
}

static gboolean copy_all(gpointer data, GString *result, GError **error) {
  const GArray *copies = data;
  autofd int home = open_namespace(getpid(), error);
  for (guint i = 0; home >= 0 && i < copies->len; i++)
    if (!copy_one(&g_array_index(copies, Copy, i), home, error)) return FALSE;
  return home >= 0;
}

/* ---- in the main process ---- */

static gboolean is_called(const Container *container, const char *name) {
  return strcmp(container->id, name) == 0 || g_strcmp0(container->name, name) == 0;
}

/* By id, or by the name that Kubernetes gave it. */
static Container *find_source(const Container *target, const char *name) {
  GHashTableIter iter;
  gpointer value = NULL;
  Container *found = sandbox_find_container(target->sandbox, name);
  g_hash_table_iter_init(&iter, target->sandbox->containers);
  while (!found && g_hash_table_iter_next(&iter, NULL, &value))
    if (value != target && is_called(value, name)) found = value;
  return found;
}

static gboolean add_copy(GArray *copies, const Container *target, const Grpc__SharedMount *mount, GError **error) {
  g_autofree char *shown = error_clean_text(mount->name);
  if (*mount->dst_ctr && !is_called(target, mount->dst_ctr)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot share mount '%s': it is for another container than '%s'", shown, target->id);
    return FALSE;
  }
  const Container *source = find_source(target, mount->src_ctr);
  if (!source || !source->init || !process_is_alive(source->init)) {
    g_autofree char *name = error_clean_text(mount->src_ctr);
    g_set_error(error, KATA_ERROR, source ? KATA_ERR_INVALID_STATE : KATA_ERR_NOT_FOUND,
                "cannot share mount '%s': %s '%s'", shown,
                source ? "nothing runs in container" : "there is no container", name);
    return FALSE;
  }
  Copy copy = {mount, source->init->pid, target->init->pid};
  g_array_append_val(copies, copy);
  return TRUE;
}

static void copied(const char *result, const GError *error, gpointer user_data) {
  g_autofree Sharing *sharing = user_data;
  g_array_unref(sharing->copies);
  sharing->func(error, sharing->user_data);
}

void shared_mounts_start(Container *container, const Grpc__CreateContainerRequest *request, ContainerFunc func,
                         gpointer user_data) {
  g_autoptr(GArray) copies = g_array_new(FALSE, FALSE, sizeof(Copy));
  g_autoptr(GError) error = NULL;
  for (gsize i = 0; i < request->n_shared_mounts && !error; i++)
    add_copy(copies, container, request->shared_mounts[i], &error);
  if (error || copies->len == 0) {
    func(error, user_data);
    return;
  }
  Sharing *sharing = g_new(Sharing, 1);
  *sharing = (Sharing){g_steal_pointer(&copies), func, user_data};
  TaskRequest task = {.work = copy_all, .data = sharing->copies, .timeout_ms = SHARE_TIMEOUT_MS};
  task_start(container->sandbox->reaper, &task, copied, sharing);
}
