// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/paths.h"

#include <string.h>

#include "common/error.h"
#include "common/ids.h"

static const char *find_fault(const char *root) {
  if (!g_path_is_absolute(root)) return "it must be absolute";
  if (strlen(root) > PATHS_ROOT_MAX) return "it is too long for the unix sockets below it";
  if (!g_utf8_validate(root, -1, NULL)) return "it is not UTF-8";
  for (const char *at = root; *at != '\0'; at++) {
    if (g_ascii_iscntrl(*at)) return "it has a control character";
  }
  if (root[strspn(root, "/")] == '\0') return "it would be the host's whole file system";
  g_auto(GStrv) parts = g_strsplit(root, "/", -1);
  return g_strv_contains((const char *const *)parts, "..") ? "it has a '..' in it" : NULL;
}

gboolean paths_check_root(const char *root, GError **error) {
  const char *fault = find_fault(root);
  if (fault == NULL) return TRUE;
  g_autofree char *valid = g_utf8_make_valid(root, -1);
  g_autofree char *shown = g_utf8_strlen(valid, -1) > 100 ? g_utf8_substring(valid, 0, 100) : g_strdup(valid);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "cannot keep sandboxes below '%s': %s (an absolute path of at most %d bytes is needed)", shown, fault,
              PATHS_ROOT_MAX);
  return FALSE;
}

char *paths_sandbox_dir(const char *root, const char *sandbox_id) {
  g_autofree char *key = id_key(sandbox_id);
  return g_build_filename(root, PATHS_SANDBOXES, key, NULL);
}

char *paths_container_link(const char *root, const char *container_id) {
  return g_build_filename(root, PATHS_CONTAINERS, container_id, NULL);
}
