// SPDX-License-Identifier: LGPL-2.1-or-later
/* Templates by command, and in the background of a start. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "kata/kata.h"
#include "lib/host.h"
#include "shim/background.h"
#include "shim/share.h"
#include "shim/start.h"
#include "shim/template.h"

/* The first container of the sandbox starts meanwhile. */
#define BACKGROUND_DELAY_S 3

/* ---- create ---- */

/* Before there is any thread. */
static gboolean enter(const kata_settings *settings, GError **error) {
  Accelerator accelerator = ACCELERATOR_TCG;
  umask(022);
  return host_resolve_accelerator(settings_get_accelerator(settings), &accelerator, error) &&
         share_enter_namespace(accelerator == ACCELERATOR_TCG, error);
}

static int create(kata_settings *settings, GError **error) {
  gboolean is_new = FALSE;
  g_autofree char *key = enter(settings, error) ? template_build(settings, -1, &is_new, error) : NULL;
  if (key == NULL) return 1;
  struct json_object *answer = json_object_new_object();
  json_object_object_add(answer, "key", json_object_new_string(key));
  json_object_object_add(answer, "is_new", json_object_new_boolean(is_new));
  return background_answer(answer);
}

/* Another that works meanwhile is not waited for: a later start asks again. */
static int create_in_background(kata_settings *settings, GError **error) {
  background_yield();
  autofd int lock = template_lock_work(settings, FALSE, NULL);
  if (lock < 0) return 0;
  sleep(BACKGROUND_DELAY_S);
  gboolean is_new = FALSE;
  g_autoptr(GError) why = NULL;
  g_autofree char *key = enter(settings, &why) ? template_build(settings, lock, &is_new, &why) : NULL;
  if (key != NULL) return 0;
  g_propagate_prefixed_error(error, g_steal_pointer(&why), "cannot make a template: ");
  return 1;
}

/* ---- list and remove ---- */

/* What to tell of one; NULL: nothing. */
typedef struct json_object *(*TemplateFunc)(const char *name, const char *path, const struct stat *st, GError **error);

/* NULL: error is set. */
static struct json_object *for_each(const kata_settings *settings, TemplateFunc func, GError **error) {
  const char *directory = settings_get_string(settings, "factory", "template_path");
  gboolean is_there = access(directory, F_OK) == 0 || errno != ENOENT;
  g_autoptr(GDir) dir = is_there ? g_dir_open(directory, 0, error) : NULL;
  if (is_there && dir == NULL) return NULL;
  struct json_object *answer = json_object_new_array();
  const char *name;
  g_autoptr(GError) why = NULL;
  while (dir != NULL && why == NULL && (name = g_dir_read_name(dir)) != NULL) {
    struct stat st;
    g_autofree char *path = g_build_filename(directory, name, NULL);
    struct json_object *one = template_is_key(name) && lstat(path, &st) == 0 ? func(name, path, &st, &why) : NULL;
    if (one != NULL) json_object_array_add(answer, one);
  }
  if (why == NULL) return answer;
  json_object_put(answer);
  g_propagate_error(error, g_steal_pointer(&why));
  return NULL;
}

static struct json_object *describe_template(const char *name, const char *path, const struct stat *st,
                                             GError **error) {
  g_autoptr(GDateTime) used = g_date_time_new_from_unix_utc(st->st_mtim.tv_sec);
  g_autofree char *when = g_date_time_format_iso8601(used);
  struct json_object *one = json_object_new_object();
  json_object_object_add(one, "key", json_object_new_string(name));
  json_object_object_add(one, "bytes", json_object_new_int64(st->st_size));
  json_object_object_add(one, "used_at", json_object_new_string(when));
  return one;
}

static struct json_object *remove_template(const char *name, const char *path, const struct stat *st, GError **error) {
  if (unlink(path) == 0) return json_object_new_string(name);
  if (errno != ENOENT) error_set_errno(error, errno, "cannot remove the template '%s'", path);
  return NULL;
}

static void describe_failure(const kata_settings *settings, const char *key, const TemplateFailure *failure,
                             gpointer user_data) {
  g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(failure->at);
  g_autofree char *when = g_date_time_format_iso8601(at);
  g_autofree char *why = error_clean_text(failure->why);
  struct json_object *one = json_object_new_object();
  json_object_object_add(one, "key", json_object_new_string(key));
  json_object_object_add(one, "failed_at", json_object_new_string(when));
  json_object_object_add(one, "why", json_object_new_string(why));
  json_object_array_add(user_data, one);
}

static int list(const kata_settings *settings, GError **error) {
  struct json_object *answer = for_each(settings, describe_template, error);
  if (answer == NULL) return 1;
  template_for_each_failure(settings, describe_failure, answer);
  return background_answer(answer);
}

/* So that the next start tries again. */
static void forget_failure(const kata_settings *settings, const char *key, const TemplateFailure *failure,
                           gpointer user_data) {
  template_forget_failure(settings, key);
}

static int remove_all(const kata_settings *settings, GError **error) {
  struct json_object *answer = for_each(settings, remove_template, error);
  template_for_each_failure(settings, forget_failure, NULL);
  return answer != NULL ? background_answer(answer) : 1;
}

int action_template(const ShimOptions *options) {
  const char *what = options->template_;
  g_autoptr(GError) error = NULL;
  int status = 1;
  g_autoptr(kata_settings) settings = background_read_settings(options->config, &error);
  if (settings == NULL) return action_report(options, error);
  if (strcmp(what, "create") == 0)
    status = create(settings, &error);
  else if (strcmp(what, "background") == 0)
    status = create_in_background(settings, &error);
  else if (strcmp(what, "list") == 0)
    status = list(settings, &error);
  else if (strcmp(what, "remove") == 0)
    status = remove_all(settings, &error);
  else
    g_set_error(&error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "-template '%s': neither create, list nor remove", what);
  return error != NULL ? action_report(options, error) : status;
}

/* ---- in the background of a start ---- */

/* With the size the guest has got. */
static kata_settings *make_settings(Sandbox *sandbox, GError **error) {
  g_autoptr(kata_settings) settings = settings_copy(sandbox->settings);
  g_autofree char *vcpus = g_strdup_printf("%u", sandbox->size.vcpus);
  g_autofree char *memory = g_strdup_printf("%" G_GUINT64_FORMAT, sandbox->size.memory_mib);
  gboolean made = settings_set(settings, "hypervisor.qemu", "default_vcpus", vcpus, error) &&
                  settings_set(settings, "hypervisor.qemu", "default_memory", memory, error);
  return made ? g_steal_pointer(&settings) : NULL;
}

void template_follow_start(Sandbox *sandbox) {
  if (!template_is_wanted(sandbox) || sandbox->template_key == NULL || sandbox->from_template) return;
  if (!template_is_worth_while(sandbox->settings, sandbox->template_key, sandbox->template_trouble != NULL,
                               sandbox->size.memory_mib))
    return;
  g_autoptr(GError) error = NULL;
  g_autoptr(kata_settings) settings = make_settings(sandbox, &error);
  if (settings == NULL || !background_start(sandbox, "-template", settings, &error))
    g_warning("cannot make a template: %s", error->message);
}
