// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/safe-path.h"
#include "lib/paths.h"
#include "shim/sandbox-dir.h"
#include "shim/template.h"

/* Beside what a sandbox's directory has. As long as it is there the guest is to be had. */
#define MEMBER_FILE "standby"
#define MEMBER_LIMIT 4096u
#define GROUP "standby"

void pool_member_free(PoolMember *member) {
  if (member == NULL) return;
  g_free(member->directory);
  g_free(member->key);
  g_free(member->mounts);
  g_free(member);
}

guint pool_get_size(const kata_settings *settings) {
  gint64 number = settings_get_int(settings, "factory", "vm_cache_number");
  gint64 memory = settings_get_int(settings, "factory", "vm_cache_memory");
  gint64 each = settings_get_int(settings, "hypervisor.qemu", "default_memory");
  return (guint)(memory > 0 ? MIN(number, memory / each) : number);
}

/* Short, since the path of QEMU's monitor lies below. */
char *pool_get_directory(const kata_settings *settings) {
  g_autofree char *key = id_key(settings_get_string(settings, "factory", "template_path"));
  return g_strdup_printf(PATHS_POOL "/%.8s", key);
}

char *pool_name_mounts(void) {
  struct stat st;
  if (stat("/proc/self/ns/mnt", &st) < 0) return g_strdup("unknown");
  return g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64)st.st_dev, (guint64)st.st_ino);
}

/* ---- one of them ---- */

static char *member_path(const char *directory) { return g_build_filename(directory, MEMBER_FILE, NULL); }

gboolean pool_offer(const PoolMember *member, GError **error) {
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_key_file_set_string(file, GROUP, "key", member->key);
  g_key_file_set_string(file, GROUP, "mounts", member->mounts);
  g_key_file_set_int64(file, GROUP, "machine", member->machine);
  g_key_file_set_int64(file, GROUP, "made_at", member->made_at);
  g_autofree char *text = g_key_file_to_data(file, NULL, NULL);
  g_autofree char *path = member_path(member->directory);
  return safe_write_file(path, text, -1, 0600, FALSE, error);
}

PoolMember *pool_read(const char *directory) {
  g_autofree char *path = member_path(directory);
  gsize length = 0;
  g_autofree char *text = safe_read_file(path, MEMBER_LIMIT, &length, NULL);
  g_autoptr(GKeyFile) file = g_key_file_new();
  if (text == NULL || !g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, NULL)) return NULL;
  g_autoptr(PoolMember) member = g_new0(PoolMember, 1);
  member->directory = g_strdup(directory);
  member->key = g_key_file_get_string(file, GROUP, "key", NULL);
  member->mounts = g_key_file_get_string(file, GROUP, "mounts", NULL);
  member->machine = (pid_t)g_key_file_get_int64(file, GROUP, "machine", NULL);
  member->made_at = g_key_file_get_int64(file, GROUP, "made_at", NULL);
  gboolean is_whole = member->key != NULL && member->mounts != NULL && vm_is_ours(member->machine, directory);
  return is_whole ? g_steal_pointer(&member) : NULL;
}

/* NULL also if another has it. Looked at first without the lock, whose file is not to be made in the directory of a
 * sandbox that is being removed; what is read with the lock in hand stays so. */
static PoolMember *lock_member(const char *directory, int *ret_lock) {
  g_autoptr(PoolMember) seen = pool_read(directory);
  autofd int lock = seen != NULL ? sandbox_dir_lock(directory, NULL) : -1;
  PoolMember *member = lock >= 0 ? pool_read(directory) : NULL;
  if (member != NULL) *ret_lock = fd_steal(&lock);
  return member;
}

void pool_discard(const char *directory) {
  g_autoptr(GError) error = NULL;
  vm_kill_strays(directory);
  if (!safe_remove_tree(directory, &error)) g_warning("%s", error->message);
}

/* ---- all of them ---- */

GPtrArray *pool_list(const char *pool) {
  GPtrArray *members = g_ptr_array_new_with_free_func((GDestroyNotify)pool_member_free);
  g_autoptr(GDir) dir = g_dir_open(pool, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *directory = g_build_filename(pool, name, NULL);
    PoolMember *member = pool_read(directory);
    if (member != NULL) g_ptr_array_add(members, member);
  }
  return members;
}

guint pool_count(const char *pool, const char *key, const char *mounts) {
  g_autoptr(GPtrArray) members = pool_list(pool);
  guint n = 0;
  for (guint i = 0; i < members->len; i++) {
    const PoolMember *member = members->pdata[i];
    if (strcmp(member->key, key) == 0 && strcmp(member->mounts, mounts) == 0) n++;
  }
  return n;
}

/* ---- taking one ---- */

/* The template's for a sandbox that asks for nothing special. Nothing of that stays in the sandbox. */
static char *find_key(Sandbox *sandbox) {
  g_autofree char *key = NULL;
  g_autoptr(VmConfig) config = template_make_config(sandbox, &key, NULL);
  sandbox->size = sandbox->base_size = (VmSize){0};
  return g_steal_pointer(&key);
}

/* What its processes inherit from the owner that starts them would be missing. */
static gboolean wants_core_scheduling(void) {
  const char *wanted = getenv("SCHED_CORE");
  return wanted != NULL && strcmp(wanted, "1") == 0;
}

PoolMember *pool_take(Sandbox *sandbox, int *ret_lock) {
  if (pool_get_size(sandbox->settings) == 0 || sandbox->channel != CHANNEL_SERIAL || wants_core_scheduling())
    return NULL;
  g_autofree char *key = find_key(sandbox), *mounts = pool_name_mounts();
  g_autofree char *pool = pool_get_directory(sandbox->settings);
  g_autoptr(GDir) dir = key != NULL ? g_dir_open(pool, 0, NULL) : NULL;
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *directory = g_build_filename(pool, name, NULL);
    autofd int lock = -1;
    g_autoptr(PoolMember) member = lock_member(directory, &lock);
    if (member == NULL || strcmp(member->key, key) != 0 || strcmp(member->mounts, mounts) != 0) continue;
    g_autofree char *path = member_path(directory);
    if (unlink(path) < 0) continue;
    *ret_lock = fd_steal(&lock);
    return g_steal_pointer(&member);
  }
  return NULL;
}
