// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is mounted on the host below a tree that the guest sees, and unmounted there, while it sees it. Were the tree
 * itself a slave of the host's, the kernel would do all of this; but virtiofsd has files open in it for as long as the
 * guest remembers them, and the host could not unmount what it has mounted: EBUSY. So a second copy of the tree is a
 * slave, in which nobody opens anything, and the tree is made like that one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/mount-table.h"
#include "common/safe-path.h"
#include "lib/paths.h"
#include "shim/share-private.h"

/* A copy's name: whether the guest may write, then the tree's. */
#define READ_ONLY 'r'
#define WRITABLE 'w'

static char *copies_directory(const Share *share) {
  g_autofree char *folder = g_path_get_dirname(share->directory);
  return g_build_filename(folder, PATHS_FOLLOWED, NULL);
}

static char *copy_path(const Share *share, char kind, const char *name) {
  g_autofree char *folder = copies_directory(share);
  return g_strdup_printf("%s/%c%s", folder, kind, name);
}

gboolean share_follow(Share *share, const char *name, int slave_fd, gboolean read_only, GError **error) {
  autofd int slave = slave_fd;
  g_autofree char *path = copy_path(share, read_only ? READ_ONLY : WRITABLE, name);
  if (g_mkdir_with_parents(path, 0700) == 0 && move_mount(slave, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0)
    return TRUE;
  error_set_errno(error, errno, "cannot mount a tree at '%s'", path);
  rmdir(path);
  return FALSE;
}

static void drop_copy(const char *path) {
  umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
  rmdir(path);
}

/* Where what covers a tree's top is shown. */
static char *cover_name(const char *name) { return g_strconcat(name, ",top", NULL); }

static void hide_cover(Share *share, const char *cover) {
  g_autofree char *path = g_build_filename(share->directory, cover, NULL);
  umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
  unlinkat(share->plain_fd, cover, AT_REMOVEDIR);
}

void share_unfollow(Share *share, const char *name) {
  g_autofree char *cover = cover_name(name);
  hide_cover(share, cover);
  static const char kinds[] = {READ_ONLY, WRITABLE};
  for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
    g_autofree char *path = copy_path(share, kinds[i], name);
    drop_copy(path);
  }
}

static GPtrArray *list_copies(const Share *share) {
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *folder = copies_directory(share);
  g_autoptr(GDir) directory = g_dir_open(folder, 0, NULL);
  const char *name;
  while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) g_ptr_array_add(names, g_strdup(name));
  return names;
}

gboolean share_follows(const Share *share) {
  g_autoptr(GPtrArray) names = list_copies(share);
  return names->len > 0;
}

void share_unfollow_all(Share *share) {
  g_autofree char *folder = copies_directory(share);
  g_autoptr(GPtrArray) names = list_copies(share);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
    drop_copy(path);
  }
  rmdir(folder);
}

/* ---- one tree ---- */

typedef struct {
  const MountEntry *entry;
  const char *below; /* its place below the tree's top */
} Mounted;

/* One side, open for as long as it is looked at: a descriptor in the copy keeps the host from unmounting. */
typedef struct {
  int top;
  char *path; /* as the kernel shows it */
  GArray *mounts;
} Side;

static void side_clear(Side *side) {
  fd_clear(&side->top);
  free(side->path);
  if (side->mounts != NULL) g_array_unref(side->mounts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Side, side_clear)

static gboolean side_open(Side *side, const GPtrArray *table, const char *path) {
  side->top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  side->path = realpath(path, NULL);
  side->mounts = g_array_new(FALSE, FALSE, sizeof(Mounted));
  if (side->top < 0 || side->path == NULL) return FALSE;
  gsize length = strlen(side->path);
  for (guint i = 0; i < table->len; i++) {
    const MountEntry *entry = table->pdata[i];
    if (!g_str_has_prefix(entry->point, side->path) || entry->point[length] != '/') continue;
    Mounted mounted = {entry, entry->point + length + 1};
    g_array_append_val(side->mounts, mounted);
  }
  return TRUE;
}

static gboolean side_has(const Side *side, const Mounted *wanted) {
  for (guint i = 0; i < side->mounts->len; i++) {
    const Mounted *mounted = &g_array_index(side->mounts, Mounted, i);
    if (strcmp(mounted->below, wanted->below) == 0 && mounted->entry->device == wanted->entry->device &&
        strcmp(mounted->entry->root, wanted->entry->root) == 0)
      return TRUE;
  }
  return FALSE;
}

/* The guest may move directories and links about meanwhile: this one mount, or none. */
static int open_mounted(const Side *side, const Mounted *mounted, GError **error) {
  struct statx status;
  autofd int fd = safe_open(side->top, mounted->below, O_PATH | O_NOFOLLOW, 0, error);
  if (fd < 0) return -1;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) == 0 && (status.stx_mask & STATX_MNT_ID) != 0 &&
      status.stx_mnt_id == mounted->entry->id)
    return fd_steal(&fd);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "another mount is at '%s'", mounted->entry->point);
  return -1;
}

/* Likewise, where nothing is mounted yet: this very path. */
static int open_place(const Side *side, const char *below, GError **error) {
  autofd int fd = safe_open(side->top, below, O_PATH | O_NOFOLLOW, 0, error);
  if (fd < 0) return -1;
  g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
  g_autofree char *wanted = g_build_filename(side->path, below, NULL);
  char real[PATH_MAX];
  ssize_t length = readlink(link, real, sizeof real);
  if (length == (ssize_t)strlen(wanted) && memcmp(real, wanted, (gsize)length) == 0) return fd_steal(&fd);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "'%s' has been moved", wanted);
  return -1;
}

static gboolean take_away(const Side *shown, const Mounted *mounted, GError **error) {
  autofd int fd = open_mounted(shown, mounted, error);
  if (fd < 0) return FALSE;
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  if (umount2(path, MNT_DETACH) == 0) return TRUE;
  error_set_errno(error, errno, "cannot unmount '%s'", mounted->entry->point);
  return FALSE;
}

static gboolean add(const Side *copy, const Side *shown, const Mounted *mounted, gboolean read_only, GError **error) {
  autofd int source = open_mounted(copy, mounted, error);
  if (source < 0) return FALSE;
  autofd int place = open_place(shown, mounted->below, error);
  if (place < 0) return FALSE;
  struct mount_attr attributes = {.attr_set = read_only ? MOUNT_ATTR_RDONLY : 0, .propagation = MS_PRIVATE};
  autofd int tree = open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0 &&
      move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
    return TRUE;
  error_set_errno(error, errno, "cannot mount it in the shared directory");
  return FALSE;
}

/* ---- a tree's top ---- */

/* Of those mounted at path the last; ret_depth: how many there are. */
static const MountEntry *find_last(const GPtrArray *table, const char *path, guint *ret_depth) {
  g_autofree char *real = realpath(path, NULL);
  const MountEntry *last = NULL;
  *ret_depth = 0;
  for (guint i = 0; real != NULL && i < table->len; i++) {
    const MountEntry *entry = table->pdata[i];
    if (strcmp(entry->point, real) != 0) continue;
    last = entry;
    ++*ret_depth;
  }
  return last;
}

static gboolean show_cover(Share *share, const char *place, const MountEntry *entry, const char *cover,
                           gboolean read_only, GError **error) {
  struct mount_attr attributes = {.propagation = MS_PRIVATE};
  autofd int top = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct statx status;
  if (top < 0 || statx(top, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0 || status.stx_mnt_id != entry->id) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "another mount is at '%s'", place);
    return FALSE;
  }
  autofd int tree = open_tree(top, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0)
    return share_add(share, cover, fd_steal(&tree), read_only, error);
  error_set_errno(error, errno, "cannot copy the mount at '%s'", place);
  return FALSE;
}

/* TRUE: the table of mounts is another one now. */
static gboolean catch_up_top(Share *share, const GPtrArray *table, const char *copy_name, GHashTable *covers) {
  const char *name = copy_name + 1;
  g_autofree char *place = copy_path(share, *copy_name, name);
  g_autofree char *cover = cover_name(name);
  g_autofree char *shown_place = g_build_filename(share->directory, cover, NULL);
  guint copy_depth, shown_depth;
  const MountEntry *last = find_last(table, place, &copy_depth), *shown = find_last(table, shown_place, &shown_depth);
  g_autoptr(GError) error = NULL;
  if (copy_depth < 2) last = NULL;
  gboolean is_same = last == NULL
                         ? shown == NULL
                         : shown != NULL && last->device == shown->device && strcmp(last->root, shown->root) == 0;
  if (is_same && (shown == NULL || share->has_caught_up)) return FALSE;
  if (!is_same && shown != NULL) hide_cover(share, cover);
  if (!is_same && last != NULL && !show_cover(share, place, last, cover, *copy_name == READ_ONLY, &error)) {
    g_warning("what was mounted upon '%s' on the host does not get into the guest: %s", name, error->message);
    last = NULL;
  }
  g_hash_table_insert(covers, g_strdup(name), g_strdup(last != NULL ? cover : ""));
  return !is_same;
}

/* ---- all of it ---- */

static void catch_up_tree(Share *share, const GPtrArray *table, const char *copy_name, GPtrArray *gone) {
  const char *name = copy_name + 1;
  g_autofree char *copy_place = copy_path(share, *copy_name, name);
  g_autofree char *cover = cover_name(name);
  g_autofree char *cover_place = g_build_filename(share->directory, cover, NULL);
  guint depth;
  /* What is below the cover on the host is below it here. */
  if (find_last(table, cover_place, &depth) == NULL) g_clear_pointer(&cover, g_free);
  g_autofree char *shown_place = g_build_filename(share->directory, cover != NULL ? cover : name, NULL);
  g_auto(Side) copy = {.top = -1}, shown = {.top = -1};
  if (!side_open(&copy, table, copy_place) || !side_open(&shown, table, shown_place)) return;
  /* What is mounted upon others goes first, and comes last. */
  for (guint i = shown.mounts->len; i-- > 0;) {
    const Mounted *mounted = &g_array_index(shown.mounts, Mounted, i);
    g_autoptr(GError) error = NULL;
    if (side_has(&copy, mounted)) continue;
    if (take_away(&shown, mounted, &error))
      g_ptr_array_add(gone, g_build_filename(name, mounted->below, NULL));
    else
      g_info("'%s' stays in the guest: %s", mounted->entry->point, error->message);
  }
  for (guint i = 0; i < copy.mounts->len; i++) {
    const Mounted *mounted = &g_array_index(copy.mounts, Mounted, i);
    g_autoptr(GError) error = NULL;
    if (side_has(&shown, mounted) || add(&copy, &shown, mounted, *copy_name == READ_ONLY, &error)) continue;
    /* Hidden by another mount, or gone again: it is looked for at each change of the host's mounts. */
    if (g_error_matches(error, KATA_ERROR, KATA_ERR_NOT_FOUND))
      g_info("'%s' is not to be seen on the host: %s", mounted->entry->point, error->message);
    else
      g_warning("what was mounted at '%s' on the host does not get into the guest: %s", mounted->entry->point,
                error->message);
  }
}

GPtrArray *share_catch_up(Share *share, GHashTable *covers) {
  GPtrArray *gone = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) names = list_copies(share);
  g_autoptr(GPtrArray) table = names->len > 0 ? mount_table_read(0, NULL) : NULL;
  gboolean is_stale = FALSE;
  for (guint i = 0; table != NULL && i < names->len; i++)
    is_stale |= catch_up_top(share, table, names->pdata[i], covers);
  if (is_stale) {
    g_ptr_array_unref(table);
    table = mount_table_read(0, NULL);
  }
  for (guint i = 0; table != NULL && i < names->len; i++) catch_up_tree(share, table, names->pdata[i], gone);
  share->has_caught_up = TRUE;
  return gone;
}
