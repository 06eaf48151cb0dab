// SPDX-License-Identifier: LGPL-2.1-or-later
/* Volumes whose mounts on the host may change: all directories but those whose propagation says that they do not. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/mount-options.h"
#include "shim/agent-link.h"
#include "shim/volumes-private.h"

/* Who mounts one thing often mounts others. */
#define SETTLE_MS 50
/* For so long, a second, the guest may take what it knows of a directory for true. */
#define FORGET_MS 1500

/* As runc has it: a container's mounts are slaves of the host's, unless rootfsPropagation makes all of them private,
 * and then each propagation option of the mount itself counts, in turn. What is private once stays so. FALSE: nothing
 * follows. */
static gboolean choose_following(const Volumes *volumes, const GuestShare *share, const Grpc__Mount *mount,
                                 unsigned *ret_how) {
  char *root = volumes->spec->linux != NULL ? volumes->spec->linux->rootfspropagation : NULL;
  unsigned long of_root = root != NULL ? mount_get_propagation(&root, 1) : 0;
  unsigned how = share->is_flat ? SHARE_FLAT : 0;
  if ((of_root & (MS_PRIVATE | MS_UNBINDABLE)) != 0) {
    if ((of_root & MS_REC) != 0) return FALSE;
    how |= SHARE_ROOT_PRIVATE;
  }
  for (gsize i = 0; i < mount->n_options; i++) {
    unsigned long of_mount = mount_get_propagation(&mount->options[i], 1);
    if ((of_mount & (MS_PRIVATE | MS_UNBINDABLE)) == 0) continue;
    if (share->is_flat || (of_mount & MS_REC) != 0) return FALSE;
    how |= SHARE_TOP_PRIVATE;
  }
  *ret_how = how;
  return TRUE;
}

static gboolean is_directory(int tree) {
  struct stat status;
  return fstat(tree, &status) == 0 && S_ISDIR(status.st_mode);
}

static gboolean is_same_directory(int tree, int other) {
  struct stat one, two;
  return fstat(tree, &one) == 0 && fstat(other, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

int volumes_open_slave(const Volumes *volumes, guint number) {
  const GuestShare *share = volumes->shares->pdata[number];
  const Grpc__Mount *mount = volumes_find_mount(volumes, number);
  int tree = g_array_index(volumes->trees, int, number);
  unsigned how = 0;
  if (mount == NULL || !is_directory(tree) || !choose_following(volumes, share, mount, &how)) return -1;
  g_autoptr(GError) error = NULL;
  autofd int slave = share_clone_slave(volumes->peer, share->host_path, how, &error);
  if (slave < 0) g_warning("mounts of the host will not come to the guest: %s", error->message);
  /* What was exchanged on the host meanwhile is not what the guest gets. */
  return slave >= 0 && is_same_directory(tree, slave) ? fd_steal(&slave) : -1;
}

/* ---- the thread ---- */

/* CONTAINER,NUMBER: guest-spec.c. */
static char *container_of(const char *name) { return g_strndup(name, strcspn(name, ",")); }

/* What the guest is to be told. */
typedef struct {
  GHashTable *containers; /* ids of those that something was taken from */
  GHashTable *covers;     /* as of share_catch_up() */
} News;

/* FALSE: there is nothing to follow, and the thread ends. */
static gboolean catch_up(Sandbox *sandbox, News *news) {
  g_mutex_lock(&sandbox->resizing);
  gboolean follows = sandbox->share != NULL && share_follows(sandbox->share);
  g_autoptr(GPtrArray) gone = follows ? share_catch_up(sandbox->share, news->covers) : NULL;
  sandbox->follows_mounts = follows;
  g_mutex_unlock(&sandbox->resizing);
  for (guint i = 0; gone != NULL && i < gone->len; i++)
    g_hash_table_add(news->containers, container_of(gone->pdata[i]));
  return follows;
}

/* What the guest does not let go of virtiofsd keeps, and the host could not, say, detach the device. */
static void let_go(TtrpcClient *agent, GHashTable *containers) {
  GHashTableIter each;
  gpointer id;
  g_hash_table_iter_init(&each, containers);
  while (agent != NULL && g_hash_table_iter_next(&each, &id, NULL)) {
    g_autoptr(GError) error = NULL;
    if (!agent_look_at_mounts(agent, id, &error))
      g_info("what the host unmounted stays in use until container '%s' looks there: %s", (char *)id, error->message);
  }
  g_hash_table_remove_all(containers);
}

static void cover(TtrpcClient *agent, const char *name, const char *cover_name) {
  g_autofree char *id = container_of(name);
  g_autofree char *source = g_strconcat(GUEST_SHARE_DIR, name, NULL);
  g_autofree char *path = *cover_name != '\0' ? g_strconcat(GUEST_SHARE_DIR, cover_name, NULL) : g_strdup("");
  g_autoptr(GError) error = NULL;
  if (!agent_cover_mount(agent, id, source, path, &error))
    g_info("what the host has mounted upon a volume of container '%s', or unmounted there, it does not see: %s", id,
           error->message);
}

static void tell(Sandbox *sandbox, News *news) {
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  GHashTableIter each;
  gpointer name, cover_name;
  g_hash_table_iter_init(&each, news->covers);
  while (agent != NULL && g_hash_table_iter_next(&each, &name, &cover_name)) cover(agent, name, cover_name);
  g_hash_table_remove_all(news->covers);
  let_go(agent, news->containers);
}

static gpointer follow_thread(gpointer user_data) {
  Sandbox *sandbox = user_data;
  g_autoptr(GHashTable) left = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GHashTable) covers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  News news = {left, covers};
  /* Opened first: what happens from now on is told. */
  autofd int table = open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (table < 0) g_warning("cannot follow the host's mounts: %s", g_strerror(errno));
  while (catch_up(sandbox, &news) && table >= 0) {
    struct pollfd changed = {.fd = table, .events = POLLPRI};
    int count = poll(&changed, 1, g_hash_table_size(left) + g_hash_table_size(covers) > 0 ? FORGET_MS : -1);
    if (count == 0) tell(sandbox, &news);
    if (count > 0) g_usleep(SETTLE_MS * 1000);
  }
  return NULL;
}

void volumes_follow_mounts(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->resizing);
  gboolean begins = sandbox->share != NULL && !sandbox->follows_mounts && share_follows(sandbox->share);
  if (begins) sandbox->follows_mounts = TRUE;
  g_mutex_unlock(&sandbox->resizing);
  if (begins) g_thread_unref(g_thread_new("mounts", follow_thread, sandbox));
}
