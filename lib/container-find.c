// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/container-find.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/ids.h"
#include "lib/container.h"
#include "lib/owner-client.h"
#include "lib/paths.h"

/* runc's words, which its callers look for. */
static void set_no_container(const char *id, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "container '%s' was not found: container does not exist", id);
}

/* The directory a link leads to: "../s/KEY"; NULL: there is no such link, or it is none of ours. */
static char *resolve_link(const kata_context *ctx, const char *link) {
  g_autofree char *target = g_file_read_link(link, NULL);
  if (target == NULL) return NULL;
  g_autofree char *key = g_path_get_basename(target);
  gsize hex = strspn(key, "0123456789abcdef");
  if (hex != ID_KEY_LENGTH || key[hex] != '\0') return NULL;
  return g_build_filename(ctx->root, PATHS_SANDBOXES, key, NULL);
}

/* The sandbox's id, also where its owner died before it wrote one: callers often give both the same. */
static char *sandbox_of_directory(const char *directory, const char *container_id) {
  g_autofree char *id = owner_read_id(directory, NULL);
  if (id != NULL) return g_steal_pointer(&id);
  g_autofree char *key = id_key(container_id);
  g_autofree char *name = g_path_get_basename(directory);
  return strcmp(key, name) == 0 ? g_strdup(container_id) : NULL;
}

gboolean container_ask_info(const kata_context *ctx, const char *sandbox_id, const char *id, OwnerReply **ret_reply,
                            const Kata__V1__ContainerInfo **ret_info, GError **error) {
  Kata__V1__ContainersRequest request = KATA__V1__CONTAINERS_REQUEST__INIT;
  request.id = (char *)id;
  g_autoptr(OwnerReply) reply = NULL;
  g_autoptr(GError) problem = NULL;
  if (!owner_ask(ctx, sandbox_id, &kata__v1__owner__descriptor, "Containers", &request.base, OWNER_QUICK_MS, &reply,
                 &problem)) {
    if (g_error_matches(problem, KATA_ERROR, KATA_ERR_NOT_FOUND))
      set_no_container(id, error);
    else
      g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  const Kata__V1__ContainersResponse *response = (Kata__V1__ContainersResponse *)reply;
  if (response->n_containers != 1 || strcmp(response->containers[0]->id, id) != 0) {
    set_no_container(id, error);
    return FALSE;
  }
  *ret_info = response->containers[0];
  *ret_reply = g_steal_pointer(&reply);
  return TRUE;
}

char *container_find_sandbox(const kata_context *ctx, const char *id, GError **error) {
  g_autofree char *link = paths_container_link(ctx->root, id);
  g_autofree char *directory = resolve_link(ctx, link);
  if (directory == NULL || access(directory, F_OK) < 0) {
    if (directory != NULL && errno == ENOENT) unlink(link);
    set_no_container(id, error);
    return NULL;
  }
  g_autofree char *sandbox_id = sandbox_of_directory(directory, id);
  if (sandbox_id == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_IO,
                "container '%s' lies in '%s', whose state cannot be read; remove that directory if nothing runs there",
                id, directory);
    return NULL;
  }
  g_autoptr(OwnerReply) reply = NULL;
  const Kata__V1__ContainerInfo *info = NULL;
  if (container_ask_info(ctx, sandbox_id, id, &reply, &info, error)) return g_steal_pointer(&sandbox_id);
  /* The owner was replaced and knows nothing of it, or the sandbox is gone with its last guest. */
  if (access(directory, F_OK) < 0 && errno == ENOENT) unlink(link);
  return NULL;
}

static int compare_ids(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **container_find_all(const kata_context *ctx, GError **error) {
  g_autofree char *parent = g_build_filename(ctx->root, PATHS_CONTAINERS, NULL);
  g_autoptr(GError) problem = NULL;
  g_autoptr(GDir) dir = g_dir_open(parent, 0, &problem);
  if (dir == NULL && error_get_code(problem) != KATA_ERR_NOT_FOUND) {
    g_propagate_error(error, g_steal_pointer(&problem));
    return NULL;
  }
  GPtrArray *ids = g_ptr_array_new();
  for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
    g_autofree char *link = g_build_filename(parent, name, NULL);
    if (id_check(name, "container", NULL) && access(link, F_OK) == 0) g_ptr_array_add(ids, g_strdup(name));
  }
  g_ptr_array_sort(ids, compare_ids);
  g_ptr_array_add(ids, NULL);
  return (char **)g_ptr_array_free(ids, FALSE);
}
