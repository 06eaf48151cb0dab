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
  g_autofree char *work = template_work_directory(sandbox->settings);
  g_free(sandbox->dir);
  sandbox->dir = g_strdup_printf("%s/%.8s", work, key);
}

static gboolean build_and_note(Sandbox *sandbox, const char *key, GError **error) {
  g_autoptr(GError) why = NULL;
  g_autofree char *path = template_path(sandbox->settings, key);
  choose_directory(sandbox, key);
  if (make_private_directory(settings_get_string(sandbox->settings, "factory", "template_path"), &why) &&
      build(sandbox, path, &why))
    return TRUE;
  template_note_failure(sandbox->settings, key, why->message);
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

char *template_build(kata_settings *settings, int lock, gboolean *ret_is_new, GError **error) {
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
  if (config == NULL || !template_make_work_directory(settings, error)) return NULL;
  autofd int own_lock = lock < 0 ? template_lock_work(settings, TRUE, error) : -1;
  if (lock < 0 && own_lock < 0) return NULL;
  g_autofree char *path = template_path(settings, key);
  *ret_is_new = access(path, F_OK) < 0;
  if (!*ret_is_new) return g_steal_pointer(&key);
  if (!build_and_note(sandbox, key, error)) return NULL;
  prune(directory);
  return g_steal_pointer(&key);
}
