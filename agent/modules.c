/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

struct ModuleList {
  char *directory;
  GHashTable *dependencies; /* name -> GStrv in load order */
  GPtrArray *aliases;       /* GStrv: pattern, name */
  GHashTable *loaded;       /* set of names */
};

static void add_line(ModuleList *list, char **words) {
  guint n_words = g_strv_length(words);
  if (n_words >= 2 && strcmp(words[0], "module") == 0)
    g_hash_table_insert(list->dependencies, g_strdup(words[1]), g_strdupv(words + 2));
  else if (n_words == 3 && strcmp(words[0], "alias") == 0)
    g_ptr_array_add(list->aliases, g_strdupv(words + 1));
}

ModuleList *modules_open(const char *directory, GError **error) {
  g_autofree char *path = g_build_filename(directory, "modules.list", NULL);
  g_autofree char *text = NULL;
  g_autoptr(GError) failure = NULL;
  if (!g_file_get_contents(path, &text, NULL, &failure)) {
    g_set_error(error, KATA_ERROR, error_get_code(failure), "cannot read the list of kernel modules '%s': %s", path,
                failure->message);
    return NULL;
  }
  g_autoptr(ModuleList) list = g_new0(ModuleList, 1);
  list->directory = g_strdup(directory);
  list->dependencies = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_strfreev);
  list->aliases = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
  list->loaded = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line; line++) {
    g_auto(GStrv) words = g_strsplit(*line, " ", -1);
    add_line(list, words);
  }
  return g_steal_pointer(&list);
}

void modules_free(ModuleList *list) {
  if (!list) return;
  g_free(list->directory);
  g_hash_table_unref(list->dependencies);
  g_ptr_array_unref(list->aliases);
  g_hash_table_unref(list->loaded);
  g_free(list);
}

/* Adds name after what it depends on, each once. */
static void add_with_dependencies(const ModuleList *list, GPtrArray *names, const char *name) {
  char **dependencies = g_hash_table_lookup(list->dependencies, name);
  for (char **dependency = dependencies; dependency && *dependency; dependency++)
    if (!g_ptr_array_find_with_equal_func(names, *dependency, g_str_equal, NULL))
      g_ptr_array_add(names, g_strdup(*dependency));
  if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL)) g_ptr_array_add(names, g_strdup(name));
}

GPtrArray *modules_resolve(const ModuleList *list, const char *name) {
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  /* The kernel takes '-' and '_' in a module's name for the same. */
  g_autofree char *canonical = g_strdelimit(g_strdup(name), "-", '_');
  if (g_hash_table_contains(list->dependencies, canonical)) add_with_dependencies(list, names, canonical);
  for (guint i = 0; i < list->aliases->len && names->len == 0; i++) {
    char **alias = g_ptr_array_index(list->aliases, i);
    if (fnmatch(alias[0], name, 0) == 0) add_with_dependencies(list, names, alias[1]);
  }
  return names->len > 0 ? g_steal_pointer(&names) : NULL;
}

static gboolean load_file(ModuleList *list, const char *name, const char *parameters, GError **error) {
  if (g_hash_table_contains(list->loaded, name)) return TRUE;
  g_autofree char *path = g_strdup_printf("%s/%s.ko", list->directory, name);
  autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    error_set_errno(error, errno, "cannot open kernel module '%s'", path);
    return FALSE;
  }
  if (syscall(SYS_finit_module, fd, parameters, 0) < 0 && errno != EEXIST) {
    error_set_errno(error, errno, "cannot load kernel module '%s'", path);
    return FALSE;
  }
  g_hash_table_add(list->loaded, g_strdup(name));
  return TRUE;
}

gboolean modules_load(ModuleList *list, const char *name, GError **error) {
  return modules_load_with(list, name, "", error);
}

gboolean modules_load_with(ModuleList *list, const char *name, const char *parameters, GError **error) {
  g_autoptr(GPtrArray) names = modules_resolve(list, name);
  if (!names) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "the guest image has no kernel module for '%s'", name);
    return FALSE;
  }
  for (guint i = 0; i < names->len; i++) {
    gboolean is_last = i + 1 == names->len;
    if (!load_file(list, g_ptr_array_index(names, i), is_last ? parameters : "", error)) return FALSE;
  }
  return TRUE;
}

void modules_load_for_bus(ModuleList *list, const char *bus) {
  g_autofree char *directory = g_strdup_printf("/sys/bus/%s/devices", bus);
  g_autoptr(GDir) devices = g_dir_open(directory, 0, NULL);
  for (const char *device; devices && (device = g_dir_read_name(devices));) {
    g_autofree char *path = g_build_filename(directory, device, "modalias", NULL);
    g_autofree char *alias = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &alias, NULL, NULL)) continue;
    /* Most devices need nothing: their drivers are built in, or there is no use for them. */
    if (!modules_load(list, g_strchomp(alias), &error) && !g_error_matches(error, KATA_ERROR, KATA_ERR_NOT_FOUND))
      g_warning("%s", error->message);
  }
}

/* One that is built into the kernel, or was loaded before. */
static gboolean is_there(const char *name) {
  g_autofree char *canonical = g_strdelimit(g_strdup(name), "-", '_');
  g_autofree char *path = g_build_filename("/sys/module", canonical, NULL);
  return *name && *name != '.' && !strchr(name, '/') && access(path, F_OK) == 0;
}

int modules_modprobe(int argc, char **argv) {
  g_autoptr(GError) error = NULL;
  gboolean quiet = FALSE;
  int at = 1;
  for (; at < argc && *argv[at] == '-'; at++) quiet |= strcmp(argv[at], "-q") == 0;
  if (at >= argc) {
    fputs("usage: modprobe [-q] [--] NAME [PARAMETER...]\n", stderr);
    return EXIT_FAILURE;
  }
  g_autofree char *parameters = g_strjoinv(" ", argv + at + 1);
  g_autoptr(ModuleList) list = modules_open(MODULES_DIRECTORY, &error);
  if (list && modules_load_with(list, argv[at], parameters, &error)) return EXIT_SUCCESS;
  if (is_there(argv[at])) return EXIT_SUCCESS;
  if (!quiet) fprintf(stderr, "modprobe: %s\n", error->message);
  return EXIT_FAILURE;
}
