/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/guest-hooks.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PRESTART, POSTSTART, POSTSTOP, N_KINDS };
static const char *const kinds[N_KINDS] = {"prestart", "poststart", "poststop"};

struct GuestHooks {
  GPtrArray *paths[N_KINDS]; /* of the programs */
};

static gint compare_paths(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gboolean is_program(const char *path) {
  struct stat info = {0};
  return stat(path, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 0111) != 0;
}

static GPtrArray *find_programs(const char *directory, const char *kind) {
  GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *place = g_build_filename(directory, kind, NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(GDir) entries = g_dir_open(place, 0, &error);
  if (!entries) g_info("no guest hooks in '%s': %s", place, error->message);
  for (const char *name; entries && (name = g_dir_read_name(entries));) {
    g_autofree char *path = g_build_filename(place, name, NULL);
    if (!is_program(path))
      g_warning("guest hook '%s' is not a program and is left out", path);
    else if (paths->len >= GUEST_HOOKS_MAX)
      g_warning("guest hook '%s' is left out: there are more than %d", path, GUEST_HOOKS_MAX);
    else
      g_ptr_array_add(paths, g_steal_pointer(&path));
  }
  g_ptr_array_sort(paths, compare_paths);
  return paths;
}

GuestHooks *guest_hooks_find(const char *directory) {
  GuestHooks *hooks = g_new0(GuestHooks, 1);
  for (int i = 0; i < N_KINDS; i++) hooks->paths[i] = find_programs(directory, kinds[i]);
  return hooks;
}

void guest_hooks_free(GuestHooks *hooks) {
  if (!hooks) return;
  for (int i = 0; i < N_KINDS; i++) g_ptr_array_unref(hooks->paths[i]);
  g_free(hooks);
}

/* Its arguments are its name and when it runs. */
static Grpc__Hook *make_hook(const char *path, const char *kind) {
  Grpc__Hook *hook = g_new(Grpc__Hook, 1);
  grpc__hook__init(hook);
  hook->path = g_strdup(path);
  hook->n_args = 2;
  hook->args = g_new(char *, 2);
  hook->args[0] = g_path_get_basename(path);
  hook->args[1] = g_strdup(kind);
  return hook;
}

static void add(const GPtrArray *paths, const char *kind, Grpc__Hook ***list, size_t *n_list) {
  if (paths->len == 0) return;
  *list = g_renew(Grpc__Hook *, *list, *n_list + paths->len);
  for (guint i = 0; i < paths->len; i++) (*list)[(*n_list)++] = make_hook(paths->pdata[i], kind);
}

void guest_hooks_add(const GuestHooks *hooks, OciSpec *spec) {
  if (!hooks) return;
  if (!spec->hooks) {
    spec->hooks = g_new(Grpc__Hooks, 1);
    grpc__hooks__init(spec->hooks);
  }
  Grpc__Hooks *all = spec->hooks;
  add(hooks->paths[PRESTART], kinds[PRESTART], &all->prestart, &all->n_prestart);
  add(hooks->paths[POSTSTART], kinds[POSTSTART], &all->poststart, &all->n_poststart);
  add(hooks->paths[POSTSTOP], kinds[POSTSTOP], &all->poststop, &all->n_poststop);
}
