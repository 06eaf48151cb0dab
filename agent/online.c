/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/online.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/task.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

#define SMALL_FILE_MAX 4096

typedef struct {
  Reaper *reaper;
  char *system;
  guint n_cpus;
  gboolean with_memory;
  guint tries;
  OnlineFunc func;
  gpointer user_data;
} Online;

static void online_free(Online *online) {
  g_free(online->system);
  g_free(online);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Online, online_free)

static gboolean has_number(const char *name, const char *prefix) {
  gsize length = strlen(prefix);
  return strncmp(name, prefix, length) == 0 && name[length] &&
         strspn(name + length, "0123456789") == strlen(name + length);
}

static gboolean write_one(const char *path) {
  autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
  return fd >= 0 && fd_write_all(fd, "1", 1);
}

/* Online at the end. Without the file it cannot be taken offline: the first CPU, memory of the boot. */
static gboolean bring_online(const char *path) {
  g_autofree char *text = safe_read_file(path, SMALL_FILE_MAX, NULL, NULL);
  if (!text || *text == '1') return TRUE;
  if (write_one(path)) return TRUE;
  g_debug("'%s' cannot be brought online: %s", path, g_strerror(errno));
  return FALSE;
}

/* Returns how many are online; the others' files are added to offline. */
static guint find_offline(const char *system, const char *kind, GPtrArray *offline) {
  g_autofree char *directory = g_build_filename(system, kind, NULL);
  g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);
  guint online = 0;
  for (const char *name; entries && (name = g_dir_read_name(entries));) {
    if (!has_number(name, kind)) continue;
    g_autofree char *path = g_build_filename(directory, name, "online", NULL);
    g_autofree char *text = safe_read_file(path, SMALL_FILE_MAX, NULL, NULL);
    if (!text || *text == '1')
      online++;
    else
      g_ptr_array_add(offline, g_steal_pointer(&path));
  }
  return online;
}

/* How many are online at the end, no more of them brought online than until there are max. */
static guint bring_all_online(const char *system, const char *kind, guint max) {
  g_autoptr(GPtrArray) offline = g_ptr_array_new_with_free_func(g_free);
  guint online = find_offline(system, kind, offline);
  for (guint i = 0; i < offline->len && online < max; i++) online += bring_online(offline->pdata[i]) ? 1 : 0;
  return online;
}

/* Writing may take as long as the kernel wants: never PID 1 itself. Says how many CPUs there are. */
static gboolean bring_online_in_child(gpointer data, GString *result, GError **error) {
  const Online *online = data;
  if (online->with_memory) bring_all_online(online->system, "memory", G_MAXUINT);
  guint found = online->n_cpus > 0 ? bring_all_online(online->system, "cpu", online->n_cpus) : 0;
  g_string_append_printf(result, "%u", found);
  return TRUE;
}

static gboolean try_now(gpointer user_data);

/* Ends it, or tries again a little later. */
static void go_on(Online *online, guint found, const GError *failure) {
  g_autoptr(Online) ended = online;
  g_autoptr(GError) error = failure ? g_error_copy(failure) : NULL;
  online->with_memory = FALSE;
  if (!error && found < online->n_cpus && ++online->tries < ONLINE_TRIES) {
    g_timeout_add(ONLINE_RETRY_MS, try_now, g_steal_pointer(&ended));
    return;
  }
  if (!error && found < online->n_cpus)
    g_set_error(&error, KATA_ERROR, KATA_ERR_INTERNAL, "only %u of %u CPUs are online after %d ms", found,
                online->n_cpus, ONLINE_TRIES * ONLINE_RETRY_MS);
  online->func(error, online->user_data);
}

static void tried(const char *result, const GError *error, gpointer online) {
  go_on(online, result ? (guint)g_ascii_strtoull(result, NULL, 10) : 0, error);
}

/* No helper where there is nothing to do, as while CPUs are still to come. */
static gboolean try_now(gpointer user_data) {
  Online *online = user_data;
  g_autoptr(GPtrArray) offline = g_ptr_array_new_with_free_func(g_free);
  guint found = online->n_cpus > 0 ? find_offline(online->system, "cpu", offline) : 0;
  if (online->with_memory) find_offline(online->system, "memory", offline);
  TaskRequest task = {.work = bring_online_in_child, .data = online};
  if (offline->len > 0)
    task_start(online->reaper, &task, tried, online);
  else
    go_on(online, found, NULL);
  return G_SOURCE_REMOVE;
}

void online_start(Reaper *reaper, const char *system, guint n_cpus, gboolean with_memory, OnlineFunc func,
                  gpointer user_data) {
  Online *online = g_new0(Online, 1);
  *online = (Online){
      .reaper = reaper,
      .system = g_strdup(system),
      .n_cpus = n_cpus,
      .with_memory = with_memory,
      .func = func,
      .user_data = user_data,
  };
  try_now(online);
}

static gboolean check_probe(const char *path, gsize n_addresses, GError **error) {
  if (n_addresses > ONLINE_PROBES_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d addresses to probe", ONLINE_PROBES_MAX);
    return FALSE;
  }
  if (access(path, F_OK) == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "this kernel finds new memory by itself and has no '%s' to be told of it", path);
  return FALSE;
}

typedef struct {
  char *path;
  const guint64 *addresses;
  gsize n_addresses;
  OnlineFunc func;
  gpointer user_data;
} Probe;

static gboolean probe_in_child(gpointer data, GString *result, GError **error) {
  const Probe *probe = data;
  for (gsize i = 0; i < probe->n_addresses; i++) {
    g_autofree char *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "X", probe->addresses[i]);
    autofd int fd = open(probe->path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && fd_write_all(fd, text, strlen(text))) continue;
    error_set_errno(error, errno, "cannot probe memory at %s", text);
    return FALSE;
  }
  return TRUE;
}

static void probed(const char *result, const GError *error, gpointer user_data) {
  g_autofree Probe *probe = user_data;
  g_free(probe->path);
  probe->func(error, probe->user_data);
}

void online_probe(Reaper *reaper, const char *system, const guint64 *addresses, gsize n_addresses, OnlineFunc func,
                  gpointer user_data) {
  g_autoptr(GError) error = NULL;
  g_autofree char *path = g_build_filename(system, "memory", "probe", NULL);
  if (!check_probe(path, n_addresses, &error)) {
    func(error, user_data);
    return;
  }
  Probe *probe = g_new(Probe, 1);
  *probe = (Probe){g_steal_pointer(&path), addresses, n_addresses, func, user_data};
  TaskRequest task = {.work = probe_in_child, .data = probe};
  task_start(reaper, &task, probed, probe);
}
