/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/online.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

#define SMALL_FILE_MAX 4096

typedef struct {
  char *system;
  guint n_cpus;
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

/* How many are online at the end, no more of them brought online than until there are max. */
static guint bring_all_online(const char *system, const char *kind, guint max) {
  g_autofree char *directory = g_build_filename(system, kind, NULL);
  g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);
  g_autoptr(GPtrArray) offline = g_ptr_array_new_with_free_func(g_free);
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
  for (guint i = 0; i < offline->len && online < max; i++) online += bring_online(offline->pdata[i]) ? 1 : 0;
  return online;
}

static void end(Online *online, guint found) {
  g_autoptr(GError) error = NULL;
  if (found < online->n_cpus)
    error = g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "only %u of %u CPUs are online after %d ms", found,
                        online->n_cpus, ONLINE_TRIES * ONLINE_RETRY_MS);
  online->func(error, online->user_data);
}

static gboolean try_again(gpointer user_data) {
  g_autoptr(Online) online = user_data;
  guint found = bring_all_online(online->system, "cpu", online->n_cpus);
  if (found < online->n_cpus && ++online->tries < ONLINE_TRIES) {
    g_steal_pointer(&online);
    return G_SOURCE_CONTINUE;
  }
  end(online, found);
  return G_SOURCE_REMOVE;
}

void online_start(const char *system, guint n_cpus, gboolean with_memory, OnlineFunc func, gpointer user_data) {
  if (with_memory) bring_all_online(system, "memory", G_MAXUINT);
  g_autoptr(Online) online = g_new0(Online, 1);
  *online = (Online){.system = g_strdup(system), .n_cpus = n_cpus, .func = func, .user_data = user_data};
  guint found = n_cpus > 0 ? bring_all_online(system, "cpu", n_cpus) : 0;
  if (found >= n_cpus)
    end(online, found);
  else
    g_timeout_add(ONLINE_RETRY_MS, try_again, g_steal_pointer(&online));
}

gboolean online_probe(const char *system, const guint64 *addresses, gsize n_addresses, GError **error) {
  g_autofree char *path = g_build_filename(system, "memory", "probe", NULL);
  if (n_addresses > ONLINE_PROBES_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d addresses to probe", ONLINE_PROBES_MAX);
    return FALSE;
  }
  if (access(path, F_OK) < 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "this kernel finds new memory by itself and has no '%s' to be told of it", path);
    return FALSE;
  }
  for (gsize i = 0; i < n_addresses; i++) {
    g_autofree char *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "X", addresses[i]);
    autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && fd_write_all(fd, text, strlen(text))) continue;
    error_set_errno(error, errno, "cannot probe memory at %s", text);
    return FALSE;
  }
  return TRUE;
}
