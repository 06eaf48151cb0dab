// SPDX-License-Identifier: LGPL-2.1-or-later
/* Makes guests that stand by. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "lib/domain-xml.h"
#include "lib/host.h"
#include "lib/paths.h"
#include "shim/agent-link.h"
#include "shim/launch-private.h"
#include "shim/pool.h"
#include "shim/sandbox-dir.h"
#include "shim/spare-memory.h"
#include "shim/template.h"
#include "shim/warm-up.h"

/* It need not boot; on a busy machine without KVM even this takes its time. */
#define ANSWER_TIMEOUT_MS 60000
/* In which it gives back what it does not need, before it is stopped. */
#define SETTLE_US (500 * 1000)
#define WORDS_MAX 4096
#define PLACE_TRIES 16

/* ---- the pool ---- */

static gboolean make_directory(const char *path, GError **error) {
  if (g_mkdir_with_parents(path, 0711) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make the directory '%s'", path);
  return FALSE;
}

/* One fills a pool at a time: the next finds it full. */
static int lock_pools(GError **error) { return fd_lock_file(PATHS_POOL "/lock", error); }

static gboolean is_of_sandbox(const char *directory) {
  g_autofree char *note = g_build_filename(directory, PATHS_LINK, NULL);
  g_autofree char *link = safe_read_file(note, PATH_MAX, NULL, NULL);
  g_autofree char *target = link != NULL ? g_file_read_link(link, NULL) : NULL;
  return g_strcmp0(target, directory) == 0;
}

/* FALSE: a sandbox has it, or somebody is making it. */
static gboolean discard(const char *directory) {
  if (is_of_sandbox(directory)) return FALSE; /* its lock's file is not ours to make */
  autofd int lock = sandbox_dir_lock(directory, NULL);
  if (lock < 0 || is_of_sandbox(directory)) return FALSE;
  pool_discard(directory);
  return TRUE;
}

/* Those that are of no use: not of this key, more of it than size, ended, or left half made. keep: NULL: none is of
 * use. */
static guint remove_others(const char *pool, const char *keep, const char *mounts, guint size) {
  g_autoptr(GDir) dir = g_dir_open(pool, 0, NULL);
  guint n_removed = 0, n_kept = 0;
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *directory = g_build_filename(pool, name, NULL);
    g_autoptr(PoolMember) member = pool_read(directory);
    if (member != NULL && g_strcmp0(member->key, keep) == 0 && (strcmp(member->mounts, mounts) != 0 || n_kept++ < size))
      continue;
    if (discard(directory)) n_removed++;
  }
  return n_removed;
}

gboolean pool_empty(const kata_settings *settings, guint *ret_removed, GError **error) {
  g_autofree char *pool = pool_get_directory(settings);
  *ret_removed = 0;
  if (access(pool, F_OK) < 0) return TRUE;
  autofd int lock = lock_pools(error);
  if (lock < 0) return FALSE;
  *ret_removed = remove_others(pool, NULL, NULL, 0);
  rmdir(pool); /* unless sandboxes have begun there */
  return TRUE;
}

/* ---- a process for each ---- */

typedef gboolean (*WorkFunc)(gpointer data, GError **error);

/* Of a process that has one thread: what func does, libvirt's threads and namespaces, stays in a child. */
static gboolean run_apart(WorkFunc func, gpointer data, GError **error) {
  int words[2];
  if (pipe2(words, O_CLOEXEC) < 0) {
    error_set_errno(error, errno, "cannot make a pipe");
    return FALSE;
  }
  pid_t pid = fork();
  if (pid < 0) {
    error_set_errno(error, errno, "cannot start the process that makes a guest");
    fd_clear(&words[0]);
    fd_clear(&words[1]);
    return FALSE;
  }
  if (pid == 0) {
    fd_clear(&words[0]);
    g_autoptr(GError) why = NULL;
    if (!func(data, &why)) {
      char code = (char)error_get_code(why);
      fd_write_all(words[1], &code, sizeof code);
      fd_write_all(words[1], why->message, strlen(why->message));
    }
    _exit(why == NULL ? 0 : 1); /* the machine lives on: libvirt is not told of the end */
  }
  fd_clear(&words[1]);
  char text[WORDS_MAX];
  ssize_t length = fd_read_all(words[0], text, sizeof text);
  fd_clear(&words[0]);
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return TRUE;
  if (length > 1)
    g_set_error(error, KATA_ERROR, text[0], "%.*s", (int)length - 1, text + 1);
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "the process that was to make a guest has died");
  return FALSE;
}

/* Before there is any thread. The machine is in no other network. */
static gboolean enter(const Sandbox *sandbox, GError **error) {
  if (!share_enter_namespace(sandbox->accelerator == ACCELERATOR_TCG, error)) return FALSE;
  if (unshare(CLONE_NEWNET) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make a network namespace");
  return FALSE;
}

typedef struct {
  kata_settings *settings;
  const char *pool;
  const char *mounts;
  char *key;
} Fill;

static gboolean build_template(gpointer data, GError **error) {
  Fill *fill = data;
  Accelerator accelerator = ACCELERATOR_TCG;
  gboolean is_new = FALSE;
  g_autofree char *key = host_resolve_accelerator(settings_get_accelerator(fill->settings), &accelerator, error) &&
                                 share_enter_namespace(accelerator == ACCELERATOR_TCG, error)
                             ? template_build(fill->settings, -1, &is_new, error)
                             : NULL;
  return key != NULL;
}

/* Random numbers first: what processes of it begin with is nobody else's. */
static gboolean warm_up_guest(Sandbox *sandbox, GError **error) {
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  return agent != NULL && agent_renew_guest(agent, ANSWER_TIMEOUT_MS, error) &&
         warm_up(agent, ANSWER_TIMEOUT_MS, error);
}

static gboolean restore(Sandbox *sandbox, const VmConfig *config, const char *path, GError **error) {
  sandbox->domain_xml = domain_xml_build(config, error);
  if (sandbox->domain_xml == NULL || !launch_open_libvirt(sandbox, error) ||
      !vm_restore(sandbox->vm, path, config->name, sandbox->domain_xml, error) || !vm_resume(sandbox->vm, error) ||
      !launch_connect_agent(sandbox, TRUE, ANSWER_TIMEOUT_MS, error) || !warm_up_guest(sandbox, error))
    return FALSE;
  launch_undo_agent(sandbox);
  g_usleep(SETTLE_US);
  return vm_suspend(sandbox->vm, error);
}

/* The lock, which ends with this process, keeps others from it until it is ready. */
static gboolean make_in(Sandbox *sandbox, const Fill *fill, GError **error) {
  autofd int lock = sandbox_dir_lock(sandbox->dir, error);
  g_autofree char *key = NULL;
  g_autoptr(VmConfig) config = lock >= 0 && enter(sandbox, error) ? template_make_config(sandbox, &key, error) : NULL;
  if (config == NULL) return FALSE;
  g_autofree char *path = template_path(fill->settings, key);
  if (!restore(sandbox, config, path, error)) return FALSE;
  PoolMember member = {.directory = sandbox->dir,
                       .key = key,
                       .mounts = (char *)fill->mounts,
                       .machine = vm_get_pid(sandbox->vm),
                       .made_at = time(NULL)};
  if (!pool_offer(&member, error)) return FALSE;
  fd_steal(&lock); /* until this process has ended, and libvirt with it */
  return TRUE;
}

/* Again: the last sandbox of the pool takes the pool's directory away as it goes. */
static char *make_place(const char *pool, GError **error) {
  for (int tries = 0; tries < PLACE_TRIES; tries++) {
    g_autofree char *directory = g_build_filename(pool, "XXXXXX", NULL);
    if (!make_directory(pool, error)) return NULL;
    if (g_mkdtemp_full(directory, 0711) != NULL) return g_steal_pointer(&directory);
    if (errno != ENOENT) break;
  }
  error_set_errno(error, errno, "cannot make a directory in '%s'", pool);
  return NULL;
}

static gboolean make_guest(gpointer data, GError **error) {
  Fill *fill = data;
  Sandbox *sandbox = sandbox_new("pool", "standby", PATHS_DEFAULT_ROOT, fill->settings, error);
  if (sandbox == NULL) return FALSE;
  g_autofree char *directory = make_place(fill->pool, error);
  if (directory == NULL) return FALSE;
  g_free(sandbox->dir);
  sandbox->dir = g_strdup(directory);
  if (make_in(sandbox, fill, error)) return TRUE;
  pool_discard(directory);
  return FALSE;
}

/* ---- filling ---- */

static char *find_key(const Fill *fill, guint64 *ret_guest_mib, GError **error) {
  g_autoptr(Sandbox) sandbox = sandbox_new("pool", "standby", PATHS_DEFAULT_ROOT, fill->settings, error);
  if (sandbox == NULL) return NULL;
  if (sandbox->channel != CHANNEL_SERIAL) {
    g_set_error(
        error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
        "guests that stand by need the agent's channel 'serial': set hypervisor.qemu.agent_channel to \"serial\" or "
        "\"auto\"");
    return NULL;
  }
  char *key = NULL;
  g_autoptr(VmConfig) config = template_make_config(sandbox, &key, error);
  if (config != NULL) *ret_guest_mib = config->memory_mib;
  return key;
}

gboolean pool_fill(kata_settings *settings, guint size, guint *ret_made, GError **error) {
  g_autofree char *pool = pool_get_directory(settings), *mounts = pool_name_mounts();
  Fill fill = {settings, pool, mounts, NULL};
  guint64 guest_mib = 0;
  *ret_made = 0;
  g_autofree char *key = find_key(&fill, &guest_mib, error);
  if (key == NULL || !make_directory(PATHS_DEFAULT_ROOT, error) || !make_directory(PATHS_POOL, error)) return FALSE;
  autofd int lock = lock_pools(error);
  if (lock < 0 || !make_directory(pool, error)) return FALSE;
  remove_others(pool, key, mounts, size);
  for (guint n = pool_count(pool, key, mounts); n < size; n++) {
    if (!spare_memory_check(guest_mib, error) || !run_apart(build_template, &fill, error) ||
        !run_apart(make_guest, &fill, error))
      return FALSE;
    ++*ret_made;
  }
  return TRUE;
}
