// SPDX-License-Identifier: LGPL-2.1-or-later
/* Boots a guest for a template and saves it. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "lib/domain-xml.h"
#include "shim/launch-private.h"
#include "shim/template.h"

/* What a guest that has just answered still does. */
#define SETTLE_US (300 * 1000)
/* The kernel tells of its free pages two seconds after there are some (PAGE_REPORTING_DELAY of mm/page_reporting.c);
 * what it has told of is not in the file, and so not in the memory of those that start from it. */
#define SETTLE_RECLAIM_US (3 * G_USEC_PER_SEC)
/* Sizes and kernels that somebody uses at the same time; some 30 MiB each. */
#define TEMPLATES_MAX 8u

/* ---- the directory ---- */

static gboolean make_directory(const char *path, mode_t mode, GError **error) {
  if (g_mkdir_with_parents(path, (int)mode) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make the directory '%s'", path);
  return FALSE;
}

/* A guest from another's file would be another's guest. */
static gboolean make_private_directory(const char *path, GError **error) {
  struct stat st;
  if (!make_directory(path, 0700, error)) return FALSE;
  if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_PERMISSION_DENIED,
              "cannot keep templates in '%s' (setting factory.template_path): it must be a directory that only its "
              "owner, who runs this, can write to",
              path);
  return FALSE;
}

/* One template at a time: it is made beside guests that somebody waits for. */
static int lock_work(GError **error) { return fd_lock_file(TEMPLATE_WORK_DIR "/lock", error); }

typedef struct {
  char *path;
  gint64 used;
} Entry;

static gint compare_use(gconstpointer a, gconstpointer b) {
  gint64 left = ((const Entry *)a)->used, right = ((const Entry *)b)->used;
  return left < right ? 1 : left > right ? -1 : 0;
}

/* Those that have not been used for the longest time go. */
static void prune(const char *directory) {
  g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
  g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(Entry));
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    struct stat st;
    Entry entry = {g_build_filename(directory, name, NULL), 0};
    if (template_is_key(name) && lstat(entry.path, &st) == 0) entry.used = st.st_mtim.tv_sec;
    if (entry.used != 0)
      g_array_append_val(entries, entry);
    else
      g_free(entry.path);
  }
  g_array_sort(entries, compare_use);
  for (guint i = 0; i < entries->len; i++) {
    char *path = g_array_index(entries, Entry, i).path;
    if (i >= TEMPLATES_MAX) unlink(path);
    g_free(path);
  }
}

/* ---- the guest ---- */

/* The calling thread stays in the new namespace, and QEMU with it: no network at all. */
static gboolean boot(Sandbox *sandbox, VmConfig *config, GError **error) {
  gint64 seconds = settings_get_int(sandbox->settings, "agent.kata", "dial_timeout");
  g_autofree char *xml = domain_xml_build(config, error);
  if (xml == NULL || !launch_open_libvirt(sandbox, error)) return FALSE;
  if (unshare(CLONE_NEWNET) < 0) {
    error_set_errno(error, errno, "cannot make a network namespace");
    return FALSE;
  }
  if (!vm_start(sandbox->vm, xml, error) || !launch_connect_agent(sandbox, FALSE, (int)seconds * 1000, error))
    return FALSE;
  g_usleep(config->reclaim ? SETTLE_RECLAIM_US : SETTLE_US);
  launch_undo_agent(sandbox);
  return TRUE;
}

/* Under another name until it is whole: nobody starts from half a template. */
static gboolean save(Sandbox *sandbox, const char *path, GError **error) {
  g_autofree char *part = g_strconcat(path, ".part", NULL);
  g_autofree char *raw = g_strconcat(part, ".raw", NULL);
  unlink(part);
  unlink(raw);
  if (!vm_save(sandbox->vm, part, error)) return FALSE;
  if (g_rename(part, path) == 0) return TRUE;
  error_set_errno(error, errno, "cannot rename '%s'", part);
  unlink(part);
  return FALSE;
}

/* Also what an attempt left that was killed. */
static void clear_work(const char *directory) {
  g_autoptr(GError) error = NULL;
  vm_kill_strays(directory);
  if (!safe_remove_tree(directory, &error)) g_warning("%s", error->message);
}

/* sandbox->dir: where it works. The paths in config follow it. */
static gboolean build(Sandbox *sandbox, const char *path, GError **error) {
  g_autofree char *key = NULL;
  clear_work(sandbox->dir);
  if (!make_directory(sandbox->dir, 0711, error)) return FALSE;
  g_autoptr(VmConfig) config = template_make_config(sandbox, &key, error);
  gboolean done = config != NULL && boot(sandbox, config, error) && save(sandbox, path, error);
  if (!done) launch_undo_agent(sandbox);
  if (sandbox->vm != NULL) vm_destroy(sandbox->vm);
  g_clear_pointer(&sandbox->vm, vm_free);
  clear_work(sandbox->dir);
  return done;
}

/* A short name: the path of QEMU's monitor lies below. */
static void choose_directory(Sandbox *sandbox, const char *key) {
  g_free(sandbox->dir);
  sandbox->dir = g_strdup_printf(TEMPLATE_WORK_DIR "/%.16s", key);
}

char *template_build(kata_settings *settings, gboolean *ret_is_new, GError **error) {
  const char *directory = settings_get_string(settings, "factory", "template_path");
  g_autoptr(Sandbox) sandbox = sandbox_new("template", "template", PATHS_DEFAULT_ROOT, settings, error);
  if (sandbox == NULL) return NULL;
  if (sandbox->channel != CHANNEL_SERIAL) {
    g_set_error(
        error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
        "templates need the agent's channel 'serial': set hypervisor.qemu.agent_channel to \"serial\", or to \"auto\" "
        "with factory.enable_template = true");
    return NULL;
  }
  g_autofree char *key = NULL;
  g_autoptr(VmConfig) config = template_make_config(sandbox, &key, error);
  if (config == NULL || !make_directory(PATHS_DEFAULT_ROOT, 0711, error) ||
      !make_directory(TEMPLATE_WORK_DIR, 0711, error) || !make_private_directory(directory, error))
    return NULL;
  autofd int lock = lock_work(error);
  if (lock < 0) return NULL;
  g_autofree char *path = template_path(settings, key);
  *ret_is_new = access(path, F_OK) < 0;
  if (!*ret_is_new) return g_steal_pointer(&key);
  choose_directory(sandbox, key);
  g_autofree char *failure = template_failure_path(key);
  unlink(failure);
  if (!build(sandbox, path, error)) {
    autofd int mark = open(failure, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return NULL;
  }
  prune(directory);
  return g_steal_pointer(&key);
}
