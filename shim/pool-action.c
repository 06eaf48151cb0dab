// SPDX-License-Identifier: LGPL-2.1-or-later
/* The pool by command, and in the background of a start. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "shim/background.h"
#include "shim/pool.h"
#include "shim/start.h"

/* The first container of the sandbox starts meanwhile. */
#define BACKGROUND_DELAY_S 3

static guint count(const kata_settings *settings) {
  g_autofree char *pool = pool_get_directory(settings);
  g_autoptr(GPtrArray) members = pool_list(pool);
  return members->len;
}

static int create(kata_settings *settings, GError **error) {
  guint size = pool_get_size(settings), made = 0;
  if (size == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
                "no guest is to stand by: the setting factory.vm_cache_number says how many are");
    return 1;
  }
  if (!pool_fill(settings, size, &made, error)) return 1;
  printf("%u guests made, %u stand by\n", made, count(settings));
  return 0;
}

static int create_in_background(kata_settings *settings, GError **error) {
  guint made = 0;
  sleep(BACKGROUND_DELAY_S);
  g_autoptr(GError) why = NULL;
  if (pool_fill(settings, pool_get_size(settings), &made, &why)) return 0;
  g_propagate_prefixed_error(error, g_steal_pointer(&why), "cannot fill the pool: ");
  return 1;
}

static int list(const kata_settings *settings) {
  g_autofree char *pool = pool_get_directory(settings);
  g_autoptr(GPtrArray) members = pool_list(pool);
  for (guint i = 0; i < members->len; i++) {
    const PoolMember *member = members->pdata[i];
    g_autoptr(GDateTime) made_at = g_date_time_new_from_unix_utc(member->made_at);
    g_autofree char *when = g_date_time_format_iso8601(made_at);
    g_autofree char *name = g_path_get_basename(member->directory);
    printf("%-8s  %-32s  %7d  %s\n", name, member->key, (int)member->machine, when);
  }
  return 0;
}

static int empty(const kata_settings *settings) {
  printf("%u guests removed\n", pool_empty(settings));
  return 0;
}

int action_pool(const ShimOptions *options) {
  const char *what = options->pool;
  g_autoptr(GError) error = NULL;
  int status = 1;
  umask(022); /* the caller's may keep QEMU's user out of what is made here */
  g_autoptr(kata_settings) settings = background_read_settings(options->config, &error);
  if (settings == NULL) return action_report(options, error);
  if (strcmp(what, "create") == 0)
    status = create(settings, &error);
  else if (strcmp(what, "background") == 0)
    status = create_in_background(settings, &error);
  else if (strcmp(what, "list") == 0)
    status = list(settings);
  else if (strcmp(what, "remove") == 0)
    status = empty(settings);
  else
    g_set_error(&error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "-pool '%s': neither create, list nor remove", what);
  return error != NULL ? action_report(options, error) : status;
}

void pool_follow_start(Sandbox *sandbox) {
  guint size = pool_get_size(sandbox->settings);
  if (size == 0 || sandbox->channel != CHANNEL_SERIAL || count(sandbox->settings) >= size) return;
  g_autoptr(GError) error = NULL;
  if (!background_start(sandbox, "-pool", sandbox->settings, &error))
    g_warning("cannot fill the pool: %s", error->message);
}
