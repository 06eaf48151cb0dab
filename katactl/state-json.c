// SPDX-License-Identifier: LGPL-2.1-or-later
#include "state-json.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "common/error.h"

static const char *const texts_before_pid[] = {"ociVersion", "id"};
static const char *const texts_after_pid[] = {"status", "bundle", "rootfs", "created"};

static void copy_texts(json_object *from, json_object *to, const char *const *keys, gsize n_keys) {
  for (gsize i = 0; i < n_keys; i++) {
    json_object *value = NULL;
    gboolean has_text =
        json_object_object_get_ex(from, keys[i], &value) && json_object_is_type(value, json_type_string);
    json_object_object_add(to, keys[i], json_object_new_string(has_text ? json_object_get_string(value) : ""));
  }
}

json_object *state_json_build(const char *document, const char *owner, GError **error) {
  enum json_tokener_error problem = json_tokener_success;
  g_autoptr(json_object) from = json_tokener_parse_verbose(document, &problem);
  if (!json_object_is_type(from, json_type_object)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "cannot read the container's state: %s",
                problem != json_tokener_success ? json_tokener_error_desc(problem) : "not an object");
    return NULL;
  }
  json_object *to = json_object_new_object();
  json_object *pid = NULL, *annotations = NULL;
  copy_texts(from, to, texts_before_pid, G_N_ELEMENTS(texts_before_pid));
  int number = json_object_object_get_ex(from, "pid", &pid) ? json_object_get_int(pid) : 0;
  json_object_object_add(to, "pid", json_object_new_int(number));
  copy_texts(from, to, texts_after_pid, G_N_ELEMENTS(texts_after_pid));
  if (json_object_object_get_ex(from, "annotations", &annotations) &&
      json_object_is_type(annotations, json_type_object) && json_object_object_length(annotations) > 0) {
    json_object_object_add(to, "annotations", json_object_get(annotations));
  }
  json_object_object_add(to, "owner", json_object_new_string(owner != NULL ? owner : ""));
  return to;
}

const char *state_json_print(json_object *state) {
  return json_object_to_json_string_ext(
      state, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
}

char *state_json_find_owner(const char *bundle) {
  struct stat info;
  if (stat(bundle, &info) < 0) return g_strdup("");
  struct passwd record, *found = NULL;
  char buffer[4096];
  if (getpwuid_r(info.st_uid, &record, buffer, sizeof buffer, &found) == 0 && found != NULL) {
    return g_strdup(record.pw_name);
  }
  return g_strdup_printf("#%u", (guint)info.st_uid);
}
