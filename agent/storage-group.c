/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A volume's files given to a group: Kubernetes' fsGroup. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/storage-private.h"
#include "common/error.h"
#include "common/fds.h"

/* Each level of a tree takes a descriptor. */
#define LEVELS_MAX 1000

typedef struct {
  gid_t group;
  mode_t mode; /* added to every file's; directories get more */
  dev_t device;
  guint level;
} Rule;

#define DIRECTORY_MODE ((mode_t)(S_ISGID | 0110))

static mode_t wanted_mode(const Rule *rule, const struct stat *info) {
  return (info->st_mode & 07777) | rule->mode | (S_ISDIR(info->st_mode) ? DIRECTORY_MODE : 0);
}

/* fd: O_PATH, so that no link is followed and no device opened. FALSE with errno. */
static gboolean give(const Rule *rule, int fd, const struct stat *info) {
  char path[64];
  if (info->st_gid != rule->group && fchownat(fd, "", (uid_t)-1, rule->group, AT_EMPTY_PATH) < 0) return FALSE;
  if (S_ISLNK(info->st_mode)) return TRUE;
  /* The change of the group took the set-id bits away. */
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return chmod(path, wanted_mode(rule, info)) == 0;
}

static gboolean give_below(Rule *rule, int directory, GError **error);

static gboolean give_one(Rule *rule, int parent, const char *name, GError **error) {
  struct stat info;
  autofd int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &info) < 0) {
    /* Somebody was faster. */
    if (errno == ENOENT) return TRUE;
    error_set_errno(error, errno, "cannot look at '%s' in the volume", name);
    return FALSE;
  }
  if (info.st_dev != rule->device) return TRUE;
  if (!give(rule, fd, &info)) {
    error_set_errno(error, errno, "cannot give '%s' in the volume to group %u", name, rule->group);
    return FALSE;
  }
  return !S_ISDIR(info.st_mode) || give_below(rule, fd, error);
}

static gboolean give_below(Rule *rule, int directory, GError **error) {
  if (rule->level >= LEVELS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "the volume has more than %d levels of directories",
                LEVELS_MAX);
    return FALSE;
  }
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (!entries) {
    error_set_errno(error, errno, "cannot list a directory of the volume");
    fd_clear(&fd);
    return FALSE;
  }
  gboolean is_fine = TRUE;
  rule->level++;
  for (const struct dirent *entry; is_fine && (entry = readdir(entries));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      is_fine = give_one(rule, fd, entry->d_name, error);
  rule->level--;
  closedir(entries);
  return is_fine;
}

gboolean storage_set_group(const Grpc__Storage *storage, int fd, GError **error) {
  if (!storage->fs_group) return TRUE;
  struct stat info;
  Rule rule = {.group = storage->fs_group->group_id, .mode = storage_has_option(storage, "ro") ? 0440 : 0660};
  if (fstat(fd, &info) < 0) {
    error_set_errno(error, errno, "cannot look at the volume '%s'", storage->mount_point);
    return FALSE;
  }
  /* Nothing can be changed then; Kubernetes itself leaves such volumes as they are. */
  struct statvfs system;
  if (fstatvfs(fd, &system) == 0 && (system.f_flag & ST_RDONLY)) {
    g_info("volume '%s' is read-only and keeps its group", storage->mount_point);
    return TRUE;
  }
  rule.device = info.st_dev;
  gboolean matches = info.st_gid == rule.group && (info.st_mode & 07777) == wanted_mode(&rule, &info);
  if (matches && storage->fs_group->group_change_policy == TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch) return TRUE;
  /* The root last: it says that all the rest is done. */
  if (S_ISDIR(info.st_mode) && !give_below(&rule, fd, error)) {
    g_prefix_error(error, "cannot set the group of '%s': ", storage->mount_point);
    return FALSE;
  }
  if (give(&rule, fd, &info)) return TRUE;
  error_set_errno(error, errno, "cannot give the volume '%s' to group %u", storage->mount_point, rule.group);
  return FALSE;
}
