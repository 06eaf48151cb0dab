// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process-json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

#define JSON_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

static json_object *parse_object(const char *text, const char *where, GError **error) {
  enum json_tokener_error problem = json_tokener_success;
  json_object *object = json_tokener_parse_verbose(text, &problem);
  if (json_object_is_type(object, json_type_object)) return object;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot read %s: %s", where,
              problem != json_tokener_success ? json_tokener_error_desc(problem) : "not a JSON object");
  json_object_put(object);
  return NULL;
}

/* The member if it has the type, else a new empty one in its place. */
static json_object *get_or_add(json_object *parent, const char *key, json_type type) {
  json_object *child = NULL;
  if (json_object_object_get_ex(parent, key, &child) && json_object_is_type(child, type)) return child;
  child = type == json_type_array ? json_object_new_array() : json_object_new_object();
  json_object_object_add(parent, key, child);
  return child;
}

static void set_text(json_object *object, const char *key, const char *value) {
  if (value != NULL) json_object_object_add(object, key, json_object_new_string(value));
}

static gboolean parse_id(const char *text, gsize length, gint64 *ret) {
  g_autofree char *copy = g_strndup(text, length);
  guint64 value = 0;
  if (!g_ascii_string_to_unsigned(copy, 10, 0, G_MAXUINT32, &value, NULL)) return FALSE;
  *ret = (gint64)value;
  return TRUE;
}

static gboolean change_user(json_object *process, const ProcessChanges *changes, GError **error) {
  json_object *user = get_or_add(process, "user", json_type_object);
  gint64 uid = 0, gid = 0;
  if (changes->user != NULL) {
    const char *colon = strchr(changes->user, ':');
    gsize length = colon != NULL ? (gsize)(colon - changes->user) : strlen(changes->user);
    if (!parse_id(changes->user, length, &uid) || (colon != NULL && !parse_id(colon + 1, strlen(colon + 1), &gid))) {
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "bad user '%s': expected UID or UID:GID in numbers",
                  changes->user);
      return FALSE;
    }
    json_object_object_add(user, "uid", json_object_new_int64(uid));
    if (colon != NULL) json_object_object_add(user, "gid", json_object_new_int64(gid));
  }
  for (guint i = 0; changes->gids != NULL && i < changes->gids->len; i++) {
    const char *text = g_ptr_array_index(changes->gids, i);
    if (!parse_id(text, strlen(text), &gid)) {
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "bad additional group '%s': expected a number", text);
      return FALSE;
    }
    json_object_array_add(get_or_add(user, "additionalGids", json_type_array), json_object_new_int64(gid));
  }
  return TRUE;
}

static gboolean has_text(json_object *array, const char *text) {
  for (gsize i = 0; i < json_object_array_length(array); i++) {
    if (g_strcmp0(json_object_get_string(json_object_array_get_idx(array, i)), text) == 0) return TRUE;
  }
  return FALSE;
}

/* Ambient ones need inheritable ones, so these are given only where the template has some. */
static void add_capability(json_object *process, const char *name) {
  static const char *const sets[] = {"bounding", "effective", "permitted", "ambient"};
  json_object *capabilities = get_or_add(process, "capabilities", json_type_object);
  json_object *inheritable = get_or_add(capabilities, "inheritable", json_type_array);
  gsize n_sets = json_object_array_length(inheritable) > 0 ? G_N_ELEMENTS(sets) : G_N_ELEMENTS(sets) - 1;
  for (gsize i = 0; i < n_sets; i++) {
    json_object *set = get_or_add(capabilities, sets[i], json_type_array);
    if (!has_text(set, name)) json_object_array_add(set, json_object_new_string(name));
  }
}

static gboolean check(const ProcessChanges *changes, GError **error) {
  if (changes->args == NULL || changes->args[0] == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "exec args cannot be empty");
    return FALSE;
  }
  if (changes->cwd != NULL && !g_path_is_absolute(changes->cwd)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "Cwd must be an absolute path");
    return FALSE;
  }
  for (guint i = 0; changes->env != NULL && i < changes->env->len; i++) {
    const char *variable = g_ptr_array_index(changes->env, i);
    if (*variable != '=' && strchr(variable, '=') != NULL) continue;
    g_autofree char *shown = error_clean_text(variable);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid environment variable: \"%s\" is not NAME=VALUE",
                shown);
    return FALSE;
  }
  return TRUE;
}

char *process_json_change(const char *template_json, const ProcessChanges *changes, GError **error) {
  if (!check(changes, error)) return NULL;
  json_object *process = parse_object(template_json, "the container's process", error);
  if (process == NULL) return NULL;
  json_object *args = json_object_new_array();
  for (const char *const *arg = changes->args; *arg != NULL; arg++)
    json_object_array_add(args, json_object_new_string(*arg));
  json_object_object_add(process, "args", args);
  json_object_object_add(process, "terminal", json_object_new_boolean(changes->terminal));
  json_object_object_del(process, "consoleSize");
  set_text(process, "cwd", changes->cwd);
  set_text(process, "apparmorProfile", changes->apparmor);
  set_text(process, "selinuxLabel", changes->process_label);
  if (changes->no_new_privileges) json_object_object_add(process, "noNewPrivileges", json_object_new_boolean(TRUE));
  for (guint i = 0; changes->env != NULL && i < changes->env->len; i++) {
    json_object_array_add(get_or_add(process, "env", json_type_array),
                          json_object_new_string(g_ptr_array_index(changes->env, i)));
  }
  for (guint i = 0; changes->caps != NULL && i < changes->caps->len; i++) {
    add_capability(process, g_ptr_array_index(changes->caps, i));
  }
  char *text = NULL;
  if (change_user(process, changes, error)) text = g_strdup(json_object_to_json_string_ext(process, JSON_FLAGS));
  json_object_put(process);
  return text;
}

gboolean process_json_get_terminal(const char *process_json, const char *where, gboolean *ret_terminal,
                                   GError **error) {
  json_object *process = parse_object(process_json, where, error), *terminal = NULL;
  if (process == NULL) return FALSE;
  *ret_terminal = json_object_object_get_ex(process, "terminal", &terminal) && json_object_get_boolean(terminal);
  json_object_put(process);
  return TRUE;
}
