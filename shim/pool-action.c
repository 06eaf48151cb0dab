// SPDX-License-Identifier: LGPL-2.1-or-later
/* The pool by command, and in the background of a start. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "lib/settings-table.h"
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

static void explain_none(const kata_settings *settings, GError **error) {
  if (settings_get_int(settings, "factory", "vm_cache_number") == 0)
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
                "no guest is to stand by: the setting factory.vm_cache_number says how many are");
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
                "no guest of %" G_GINT64_FORMAT
                " MiB can stand by: the setting factory.vm_cache_memory allows %" G_GINT64_FORMAT
                " MiB for all of them",
                settings_get_int(settings, "hypervisor.qemu", "default_memory"),
                settings_get_int(settings, "factory", "vm_cache_memory"));
}

static int create(kata_settings *settings, GError **error) {
  guint size = pool_get_size(settings), made = 0;
  if (size == 0) {
    pool_empty(settings, &made, NULL);
    explain_none(settings, error);
    return 1;
  }
  if (!pool_fill(settings, size, &made, error)) return 1;
  struct json_object *answer = json_object_new_object();
  json_object_object_add(answer, "made", json_object_new_int64(made));
  json_object_object_add(answer, "ready", json_object_new_int64(count(settings)));
  return background_answer(answer);
}

static int create_in_background(kata_settings *settings, GError **error) {
  guint made = 0;
  sleep(BACKGROUND_DELAY_S);
  g_autoptr(GError) why = NULL;
  if (pool_fill(settings, pool_get_size(settings), &made, &why)) return 0;
  g_propagate_prefixed_error(error, g_steal_pointer(&why), "cannot fill the pool: ");
  return 1;
}

static struct json_object *describe(const PoolMember *member) {
  g_autoptr(GDateTime) made_at = g_date_time_new_from_unix_utc(member->made_at);
  g_autofree char *when = g_date_time_format_iso8601(made_at);
  g_autofree char *name = g_path_get_basename(member->directory);
  struct json_object *guest = json_object_new_object();
  json_object_object_add(guest, "name", json_object_new_string(name));
  json_object_object_add(guest, "template", json_object_new_string(member->key));
  json_object_object_add(guest, "pid", json_object_new_int64(member->machine));
  json_object_object_add(guest, "made_at", json_object_new_string(when));
  return guest;
}

static int list(const kata_settings *settings) {
  g_autofree char *pool = pool_get_directory(settings);
  g_autoptr(GPtrArray) members = pool_list(pool);
  struct json_object *answer = json_object_new_array();
  for (guint i = 0; i < members->len; i++) json_object_array_add(answer, describe(members->pdata[i]));
  return background_answer(answer);
}

static int empty(const kata_settings *settings, GError **error) {
  guint removed = 0;
  if (!pool_empty(settings, &removed, error)) return 1;
  struct json_object *answer = json_object_new_object();
  json_object_object_add(answer, "removed", json_object_new_int64(removed));
  return background_answer(answer);
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
    status = empty(settings, &error);
  else
    g_set_error(&error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "-pool '%s': neither create, list nor remove", what);
  return error != NULL ? action_report(options, error) : status;
}

/* What a sandbox's annotations or its caller ask for is not what the next one needs. */
static gboolean is_configuration(const kata_settings *settings) {
  for (gsize i = 0; i < n_setting_keys; i++) {
    const char *source = settings_get_source(settings, setting_keys[i].section, setting_keys[i].key);
    if (*source != '/' && strcmp(source, "default") != 0) return FALSE;
  }
  return TRUE;
}

/* Whether all that stand by are such as the settings want, as far as one can tell without asking for much. */
static gboolean is_as_wanted(const Sandbox *sandbox, guint size) {
  g_autofree char *pool = pool_get_directory(sandbox->settings);
  g_autoptr(GPtrArray) members = pool_list(pool);
  if (members->len != size) return FALSE;
  for (guint i = 0; i < members->len; i++) {
    const PoolMember *member = members->pdata[i];
    if (g_strcmp0(member->key, sandbox->template_key) != 0) return FALSE;
  }
  return TRUE;
}

void pool_follow_start(Sandbox *sandbox) {
  guint size = pool_get_size(sandbox->settings);
  if (size == 0 || sandbox->channel != CHANNEL_SERIAL || is_as_wanted(sandbox, size) ||
      (!sandbox->from_pool && !is_configuration(sandbox->settings)))
    return;
  g_autoptr(GError) error = NULL;
  if (!background_start(sandbox, "-pool", sandbox->settings, &error))
    g_warning("cannot fill the pool: %s", error->message);
}
