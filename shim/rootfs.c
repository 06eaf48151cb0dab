// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/mount-options.h"
#include "common/safe-path.h"

#define LOWER "lowerdir="

/* ---- overlays of many layers ---- */

/* The part up to and with the last '/' that all paths have in common. */
static gsize common_prefix(char *const *paths) {
  gsize length = strlen(paths[0]);
  for (char *const *path = paths; *path != NULL; path++) {
    gsize i = 0;
    while (i < length && (*path)[i] == paths[0][i]) i++;
    length = i;
  }
  while (length > 0 && paths[0][length - 1] != '/') length--;
  return length;
}

/* An option's value may have escaped colons and commas; no snapshotter's paths do, and such data stays as it is. */
static char *shorten_lower(const char *value, char **ret_directory) {
  g_auto(GStrv) paths = g_strsplit(value, ":", -1);
  gsize length = strchr(value, '\\') == NULL && paths[0] != NULL ? common_prefix(paths) : 0;
  if (length <= 1) return g_strdup(value);
  GString *text = g_string_new(NULL);
  for (char **path = paths; *path != NULL; path++)
    g_string_append_printf(text, "%s%s", text->len > 0 ? ":" : "", (*path)[length] != '\0' ? *path + length : ".");
  *ret_directory = g_strndup(value, length);
  return g_string_free(text, FALSE);
}

char *rootfs_shorten_overlay(const char *data, char **ret_directory) {
  *ret_directory = NULL;
  g_auto(GStrv) words = g_strsplit(data, ",", -1);
  for (char **word = words; *word != NULL; word++) {
    if (!g_str_has_prefix(*word, LOWER)) continue;
    g_autofree char *lower = shorten_lower(*word + strlen(LOWER), ret_directory);
    g_free(*word);
    *word = g_strconcat(LOWER, lower, NULL);
    break;
  }
  return g_strjoinv(",", words);
}

/* ---- one mount ---- */

typedef struct {
  const Containerd__Types__Mount *mount;
  const char *place;
  const char *directory; /* where relative paths of data begin, or NULL */
  unsigned long flags;
  const char *data;
  int reason;
} Job;

static int mount_here(const Job *job) {
  const Containerd__Types__Mount *mount_ = job->mount;
  if (mount(mount_->source, job->place, mount_->type, job->flags, job->data) < 0) return errno;
  /* The kernel takes no other flags of a bind mount at once. */
  unsigned long others = job->flags & ~(unsigned long)(MS_BIND | MS_REC);
  if ((job->flags & MS_BIND) == 0 || others == 0) return 0;
  if (mount(NULL, job->place, NULL, MS_REMOUNT | job->flags, NULL) == 0) return 0;
  int reason = errno;
  umount2(job->place, MNT_DETACH);
  return reason;
}

/* A thread, since its working directory is its own. */
static gpointer mount_thread(gpointer user_data) {
  Job *job = user_data;
  if (unshare(CLONE_FS) < 0 || chdir(job->directory) < 0)
    job->reason = errno;
  else
    job->reason = mount_here(job);
  return NULL;
}

static gboolean run(Job *job, GError **error) {
  if (job->directory == NULL) {
    job->reason = mount_here(job);
  } else {
    GThread *thread = g_thread_try_new("mount", mount_thread, job, error);
    if (thread == NULL) return FALSE;
    g_thread_join(thread);
  }
  if (job->reason == 0) return TRUE;
  g_autofree char *source = error_clean_text(job->mount->source), *type = error_clean_text(job->mount->type);
  error_set_errno(error, job->reason, "cannot mount '%s' (type '%s') as the root file system", source, type);
  return FALSE;
}

static gboolean mount_at(const Containerd__Types__Mount *mount_, const char *place, GError **error) {
  g_autofree char *data = NULL, *directory = NULL;
  Job job = {.mount = mount_, .place = place};
  if (!mount_options_parse(mount_->options, mount_->n_options, &job.flags, &data, error)) return FALSE;
  if (data != NULL && strlen(data) > MOUNT_DATA_MAX && strcmp(mount_->type, "overlay") == 0) {
    char *shorter = rootfs_shorten_overlay(data, &directory);
    g_free(data);
    data = shorter;
  }
  if (data != NULL && strlen(data) > MOUNT_DATA_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "cannot mount the root file system: options of %" G_GSIZE_FORMAT " bytes, mount(2) takes %d",
                strlen(data), MOUNT_DATA_MAX);
    return FALSE;
  }
  job.directory = directory;
  job.data = data;
  return run(&job, error);
}

/* ---- all of them ---- */

static int open_place(int rootfs, const char *target, GError **error) {
  if (*target == '\0') target = "/";
  int place = safe_open(rootfs, target, O_PATH | O_NOFOLLOW, 0, error);
  if (place < 0) g_prefix_error(error, "a mount of the root file system: ");
  return place;
}

static gboolean mount_one(const char *rootfs, const Containerd__Types__Mount *mount_, GError **error) {
  /* Opened anew: the mount before it lies over what was there. */
  autofd int top = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top < 0) {
    error_set_errno(error, errno, "cannot open '%s'", rootfs);
    return FALSE;
  }
  autofd int place = open_place(top, mount_->target, error);
  if (place < 0) return FALSE;
  /* By its name: a second mount(2) must meet the first one, not what lies below it. */
  g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", place);
  g_autofree char *path = g_file_read_link(link, error);
  return path != NULL && mount_at(mount_, path, error);
}

gboolean rootfs_mount(const char *bundle, Containerd__Types__Mount *const *mounts, gsize n_mounts, GError **error) {
  g_autofree char *rootfs = g_build_filename(bundle, ROOTFS_DIRECTORY, NULL);
  if (mkdir(rootfs, 0711) < 0 && errno != EEXIST) {
    error_set_errno(error, errno, "cannot make the directory '%s'", rootfs);
    return FALSE;
  }
  for (gsize i = 0; i < n_mounts; i++) {
    if (mount_one(rootfs, mounts[i], error)) continue;
    rootfs_unmount(bundle, i);
    return FALSE;
  }
  return TRUE;
}

void rootfs_unmount(const char *bundle, gsize n_mounts) {
  g_autofree char *rootfs = g_build_filename(bundle, ROOTFS_DIRECTORY, NULL);
  /* Those with a target go with what they lie on, so there may be fewer. */
  for (gsize i = 0; i < n_mounts && umount2(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++) continue;
}
