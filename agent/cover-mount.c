/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/cover-mount.h"

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

/* The host answers, or does not. */
#define COVER_TIMEOUT_MS 10000

/* Of Container.covers. */
typedef struct {
  guint64 mount;
  char *path;
} Covered;

typedef struct {
  Sandbox *sandbox;
  char *container_id;
  char *bundle;
  pid_t pid;
  char *source;
  char *cover;
  guint64 before; /* the mount that an earlier call has made; 0: none */
  char *seen;     /* what it was a copy of, or NULL */
  ContainerFunc func;
  gpointer user_data;
} Cover;

static void cover_free(Cover *self) {
  g_free(self->container_id);
  g_free(self->bundle);
  g_free(self->source);
  g_free(self->cover);
  g_free(self->seen);
  g_free(self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cover, cover_free)

static void covered_free(gpointer data) {
  Covered *covered = data;
  g_free(covered->path);
  g_free(covered);
}

GHashTable *covers_new(void) { return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, covered_free); }

/* ---- in the helper ---- */

static char *find_destination(const Cover *self, GError **error) {
  gsize length = 0;
  g_autofree char *path = g_build_filename(self->bundle, "config.json", NULL);
  g_autofree char *text = safe_read_file(path, OCI_DOCUMENT_LIMIT, &length, error);
  g_autoptr(OciSpec) spec = text ? oci_spec_parse(text, length, "config.json", error) : NULL;
  if (!spec) return NULL;
  for (gsize i = 0; i < spec->n_mounts; i++)
    if (strcmp(spec->mounts[i]->source, self->source) == 0) return g_strdup(spec->mounts[i]->destination);
  g_autofree char *shown = error_clean_text(self->source);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "container '%s' has no mount of '%s'", self->container_id, shown);
  return NULL;
}

static guint64 get_mount(int fd) {
  struct statx status;
  gboolean is_known = statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) == 0 && (status.stx_mask & STATX_MNT_ID) != 0;
  return is_known ? status.stx_mnt_id : 0;
}

/* What the host does not show any more the guest itself lets go of when somebody looks there. */
static void let_go(const char *path) {
  autofd int fd = mount_open(path, O_PATH | O_DIRECTORY, NULL);
  (void)fd;
}

static int copy_cover(const Cover *self, GError **error) {
  autofd int fd = mount_open(self->cover, O_PATH | O_DIRECTORY, error);
  return fd < 0 ? -1 : mount_copy_tree(fd, MS_REC, error);
}

/* The root directory changes with the mounts. Returns the new one. */
static int enter(const Cover *self, GError **error) {
  g_autofree char *path = g_strdup_printf("/proc/%d/ns/mnt", (int)self->pid);
  autofd int namespace = open(path, O_RDONLY | O_CLOEXEC);
  autofd int root =
      namespace < 0 || setns(namespace, CLONE_NEWNS) < 0 ? -1 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) error_set_errno(error, errno, "cannot enter the mounts of container '%s'", self->container_id);
  return fd_steal(&root);
}

/* By the working directory: a container need not have a /proc. What it has mounted upon the cover itself stays. */
static gboolean uncover(const Cover *self, int root, const char *destination, GError **error) {
  autofd int place = safe_open(root, destination, O_PATH | O_DIRECTORY, 0, error);
  if (place < 0) return FALSE;
  if (get_mount(place) != self->before) {
    g_autofree char *shown = error_clean_text(destination);
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "another mount is at '%s' by now", shown);
    return FALSE;
  }
  if (fchdir(place) == 0 && umount2(".", MNT_DETACH) == 0 && fchdir(root) == 0) return TRUE;
  error_set_errno(error, errno, "cannot unmount what covers a volume");
  return FALSE;
}

static gboolean cover(gpointer data, GString *result, GError **error) {
  const Cover *self = data;
  g_autofree char *destination = find_destination(self, error);
  if (!destination) return FALSE;
  if (self->seen) let_go(self->seen);
  autofd int tree = *self->cover ? copy_cover(self, error) : -1;
  if (*self->cover && tree < 0) return FALSE;
  autofd int root = enter(self, error);
  if (root < 0 || (self->before && !uncover(self, root, destination, error))) return FALSE;
  if (tree < 0) return TRUE;
  autofd int place = safe_open(root, destination, O_PATH | O_DIRECTORY, 0, error);
  if (place < 0 || !mount_attach(tree, place, error)) return FALSE;
  g_string_append_printf(result, "%" G_GUINT64_FORMAT, get_mount(tree));
  return TRUE;
}

/* ---- in the main process ---- */

static void cover_done(const char *result, const GError *error, gpointer user_data) {
  g_autoptr(Cover) self = user_data;
  Container *container = sandbox_find_container(self->sandbox, self->container_id);
  if (!error && container) {
    Covered *covered = *self->cover ? g_new(Covered, 1) : NULL;
    if (covered) *covered = (Covered){g_ascii_strtoull(result, NULL, 10), g_strdup(self->cover)};
    if (covered)
      g_hash_table_insert(container->covers, g_strdup(self->source), covered);
    else
      g_hash_table_remove(container->covers, self->source);
  }
  self->func(error, self->user_data);
}

void cover_mount_start(Container *container, const char *source, const char *path, ContainerFunc func,
                       gpointer user_data) {
  const Covered *before = g_hash_table_lookup(container->covers, source);
  Cover *self = g_new0(Cover, 1);
  self->sandbox = container->sandbox;
  self->container_id = g_strdup(container->id);
  self->bundle = g_strdup(container->bundle);
  self->pid = container->init->pid;
  self->source = g_strdup(source);
  self->cover = g_strdup(path);
  self->before = before ? before->mount : 0;
  self->seen = before ? g_strdup(before->path) : NULL;
  self->func = func;
  self->user_data = user_data;
  TaskRequest task = {.work = cover, .data = self, .timeout_ms = COVER_TIMEOUT_MS};
  task_start(container->sandbox->reaper, &task, cover_done, self);
}
