// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/copy-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/agent-link.h"
#include "shim/guest-spec.h"
#include "shim/share.h"

/* The guest has it in its memory. */
#define BYTES_MAX (64u << 20)
#define ENTRIES_MAX 4096u
#define DEPTH_MAX 32u
#define PIECE_BYTES (1u << 20)

struct CopyTree {
  int tree;
  char *host_path;
  char *name;
  GHashTable *known; /* guest path -> what it looked like when it was sent */
};

typedef struct {
  CopyTree *copy;
  TtrpcClient *agent;
  guint64 bytes;
  guint entries;
} Walk;

CopyTree *copy_tree_new(int tree_fd, const char *host_path, const char *name) {
  CopyTree *copy = g_new0(CopyTree, 1);
  copy->tree = tree_fd;
  copy->host_path = g_strdup(host_path);
  copy->name = g_strdup(name);
  copy->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return copy;
}

void copy_tree_free(CopyTree *copy) {
  if (copy == NULL) return;
  fd_clear(&copy->tree);
  g_hash_table_unref(copy->known);
  g_free(copy->host_path);
  g_free(copy->name);
  g_free(copy);
}

Kata__V1__CopyState *copy_tree_to_state(const CopyTree *copy) {
  Kata__V1__CopyState *state = calloc(1, sizeof *state);
  kata__v1__copy_state__init(state);
  state->host_path = strdup(copy->host_path);
  state->name = strdup(copy->name);
  return state;
}

CopyTree *copy_tree_restore(const Kata__V1__CopyState *state) {
  int tree = share_clone_tree(0, state->host_path, NULL);
  return tree >= 0 ? copy_tree_new(tree, state->host_path, state->name) : NULL;
}

/* ---- sending ---- */

static gboolean send(const Walk *walk, const char *path, const struct stat *status, const void *data, gsize size,
                     guint64 offset, GError **error) {
  Grpc__CopyFileRequest request = GRPC__COPY_FILE_REQUEST__INIT;
  request.path = (char *)path;
  request.file_size = S_ISREG(status->st_mode) ? (gint64)status->st_size : 0;
  request.file_mode = status->st_mode;
  request.dir_mode = 0755;
  request.uid = (gint32)status->st_uid;
  request.gid = (gint32)status->st_gid;
  request.offset = (gint64)offset;
  request.data.data = (guint8 *)data;
  request.data.len = size;
  return agent_call_copy_file(walk->agent, &request, AGENT_CALL_TIMEOUT_MS, error);
}

/* A file that shrinks meanwhile is sent as it was found, filled up with zeros, and looked at again the next time. */
static gboolean send_file(const Walk *walk, int fd, const char *path, const struct stat *status, GError **error) {
  g_autofree guint8 *piece = g_malloc(PIECE_BYTES);
  guint64 size = (guint64)status->st_size, offset = 0;
  do {
    gsize wanted = (gsize)MIN(size - offset, PIECE_BYTES);
    memset(piece, 0, wanted);
    ssize_t got = wanted > 0 ? fd_read_all(fd, piece, wanted) : 0;
    if (got < 0) {
      error_set_errno(error, errno, "cannot read '%s'", walk->copy->host_path);
      return FALSE;
    }
    if (!send(walk, path, status, piece, wanted, offset, error)) return FALSE;
    offset += wanted;
  } while (offset < size);
  return TRUE;
}

static gboolean count(Walk *walk, const struct stat *status, GError **error) {
  walk->entries++;
  if (S_ISREG(status->st_mode)) walk->bytes += (guint64)status->st_size;
  if (walk->entries <= ENTRIES_MAX && walk->bytes <= BYTES_MAX) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
              "cannot copy '%s' into the guest: it has more than %u files or %u MiB; give it as a block device, or set "
              "hypervisor.qemu.shared_fs = \"virtio-fs\"",
              walk->copy->host_path, ENTRIES_MAX, BYTES_MAX >> 20);
  return FALSE;
}

/* TRUE if the guest has it as it is. link: its target, or NULL. */
static gboolean is_known(const Walk *walk, const char *path, const struct stat *status, const char *link) {
  gboolean has_time = S_ISREG(status->st_mode);
  g_autofree char *looks =
      g_strdup_printf("%o %u %u %lld %lld.%09ld %llu %s", status->st_mode, status->st_uid, status->st_gid,
                      has_time ? (long long)status->st_size : 0, has_time ? (long long)status->st_mtim.tv_sec : 0,
                      has_time ? status->st_mtim.tv_nsec : 0, has_time ? (unsigned long long)status->st_ino : 0,
                      link != NULL ? link : "");
  if (g_strcmp0(g_hash_table_lookup(walk->copy->known, path), looks) == 0) return TRUE;
  g_hash_table_insert(walk->copy->known, g_strdup(path), g_steal_pointer(&looks));
  return FALSE;
}

static gboolean sync_file(Walk *walk, int fd, const char *path, const struct stat *status, GError **error) {
  if (!count(walk, status, error) || is_known(walk, path, status, NULL)) return *error == NULL;
  if (send_file(walk, fd, path, status, error)) return TRUE;
  g_hash_table_remove(walk->copy->known, path);
  return FALSE;
}

static gboolean sync_link(Walk *walk, int directory, const char *name, const char *path, const struct stat *status,
                          GError **error) {
  char target[PATH_MAX];
  ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
  if (length <= 0) return TRUE; /* gone meanwhile */
  target[length] = '\0';
  if (!count(walk, status, error) || is_known(walk, path, status, target)) return *error == NULL;
  if (send(walk, path, status, target, (gsize)length, 0, error)) return TRUE;
  g_hash_table_remove(walk->copy->known, path);
  return FALSE;
}

/* ---- walking ---- */

static gboolean sync_directory(Walk *walk, int fd, const char *path, guint depth, GError **error);

static gboolean sync_entry(Walk *walk, int directory, const char *name, const char *path, gboolean links, guint depth,
                           GError **error) {
  struct stat status;
  if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return TRUE; /* gone meanwhile */
  g_autofree char *below = g_build_filename(path, name, NULL);
  if (S_ISLNK(status.st_mode) != links) return TRUE;
  if (links) return sync_link(walk, directory, name, below, &status, error);
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return TRUE;
  autofd int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) < 0) return TRUE;
  return S_ISDIR(status.st_mode) ? sync_directory(walk, fd, below, depth + 1, error)
                                 : sync_file(walk, fd, below, &status, error);
}

static GPtrArray *list_names(int fd) {
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
  for (struct dirent *entry; dir != NULL && names->len <= ENTRIES_MAX && (entry = readdir(dir)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      g_ptr_array_add(names, g_strdup(entry->d_name));
  if (dir != NULL)
    closedir(dir);
  else
    fd_clear(&copy);
  return names;
}

/* Links come last: Kubernetes changes a volume by making a new directory and then turning a link to it. */
static gboolean sync_directory(Walk *walk, int fd, const char *path, guint depth, GError **error) {
  struct stat status;
  if (fstat(fd, &status) < 0 || depth > DEPTH_MAX) return TRUE;
  if (!count(walk, &status, error)) return FALSE;
  if (!is_known(walk, path, &status, NULL) && !send(walk, path, &status, NULL, 0, 0, error)) {
    g_hash_table_remove(walk->copy->known, path);
    return FALSE;
  }
  g_autoptr(GPtrArray) names = list_names(fd);
  for (int links = 0; links <= 1; links++)
    for (guint i = 0; i < names->len; i++)
      if (!sync_entry(walk, fd, names->pdata[i], path, links, depth, error)) return FALSE;
  return TRUE;
}

gboolean copy_tree_sync(CopyTree *copy, TtrpcClient *agent, GError **error) {
  g_autoptr(GError) why = NULL;
  Walk walk = {.copy = copy, .agent = agent};
  struct stat status;
  g_autofree char *source = g_strdup_printf("/proc/self/fd/%d", copy->tree);
  g_autofree char *path = g_strconcat(GUEST_SHARE_DIR, copy->name, NULL);
  if (fstat(copy->tree, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot copy '%s' into the guest: neither a regular file nor a directory; sockets and pipes need "
                "hypervisor.qemu.shared_fs = \"virtio-fs\"",
                copy->host_path);
    return FALSE;
  }
  autofd int fd = open(source, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) < 0) {
    error_set_errno(error, errno, "cannot copy '%s' into the guest", copy->host_path);
    return FALSE;
  }
  if (S_ISDIR(status.st_mode) ? sync_directory(&walk, fd, path, 0, &why) : sync_file(&walk, fd, path, &status, &why))
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}
