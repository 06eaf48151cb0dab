// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bench-place.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/safe-path.h"
#include "common/spawn.h"
#include "state-json.h"

#define OUTPUT_LIMIT (64u * 1024u)
/* A guest's process in the background has ended in this time, or never will. */
#define BACKGROUND_S 60
#define FOREVER "1000000"

/* ---- bundles ---- */

static json_object *get(json_object *object, const char *key) {
  json_object *value = NULL;
  json_object_object_get_ex(object, key, &value);
  return value;
}

static json_object *make_list(const char *const *words) {
  json_object *list = json_object_new_array();
  for (; *words != NULL; words++) json_object_array_add(list, json_object_new_string(*words));
  return list;
}

static void add_bind(json_object *mounts, const char *path) {
  json_object *mount = json_object_new_object();
  json_object_object_add(mount, "destination", json_object_new_string(path));
  json_object_object_add(mount, "type", json_object_new_string("bind"));
  json_object_object_add(mount, "source", json_object_new_string(path));
  json_object_object_add(mount, "options", make_list((const char *const[]){"rbind", "ro", NULL}));
  json_object_array_add(mounts, mount);
}

static gboolean make_directory(const char *path, GError **error) {
  if (g_mkdir_with_parents(path, 0755) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make the directory '%s'", path);
  return FALSE;
}

/* This host's programs and their libraries, below rootfs as they are here: directories by mount, links as links. */
static gboolean add_host(const char *rootfs, json_object *mounts, GError **error) {
  static const char *const names[] = {"bin", "sbin", "lib", "lib64", "usr", "proc", "dev", "sys"};
  static const gsize n_programs = 5;
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *here = g_strconcat("/", names[i], NULL), *there = g_build_filename(rootfs, names[i], NULL);
    g_autofree char *link = g_file_read_link(here, NULL);
    if (link != NULL && symlink(link, there) < 0) {
      error_set_errno(error, errno, "cannot make the link '%s'", there);
      return FALSE;
    }
    if (link != NULL || access(here, F_OK) < 0) continue;
    if (!make_directory(there, error)) return FALSE;
    if (i < n_programs) add_bind(mounts, here);
  }
  return TRUE;
}

/* What "katactl spec" writes, for other words. */
static char *make_bundle(const BenchPlace *place, const char *name, const char *rootfs, const char *const *words,
                         GError **error) {
  g_autofree char *bundle = g_build_filename(place->directory, name, NULL);
  autokatafree char *text = kata_oci_spec(0, NULL);
  g_autofree char *own = g_build_filename(bundle, "rootfs", NULL),
                  *path = g_build_filename(bundle, "config.json", NULL);
  g_autoptr(json_object) spec = json_tokener_parse(text);
  json_object_object_add(get(spec, "process"), "terminal", json_object_new_boolean(FALSE));
  json_object_object_add(get(spec, "process"), "args", make_list(words));
  if (!make_directory(own, error)) return NULL;
  if (rootfs != NULL)
    json_object_object_add(get(spec, "root"), "path", json_object_new_string(rootfs));
  else if (!add_host(own, get(spec, "mounts"), error))
    return NULL;
  if (!safe_write_file(path, json_object_to_json_string(spec), -1, 0644, FALSE, error)) return NULL;
  return g_steal_pointer(&bundle);
}

static gboolean make_bundles(BenchPlace *place, const char *rootfs, GError **error) {
  place->short_run = make_bundle(place, "short", rootfs, (const char *const[]){"true", NULL}, error);
  if (place->short_run == NULL) return FALSE;
  place->long_run = make_bundle(place, "long", rootfs, (const char *const[]){"sleep", FOREVER, NULL}, error);
  return place->long_run != NULL;
}

/* ---- settings ---- */

static kata_settings *make_settings(App *app, const BenchPlace *place, BenchWay way, kata_error **err) {
  g_autoptr(kata_settings) settings = kata_context_load_settings(app->context, 0, err);
  g_autofree char *path = g_strdup_printf("\"%s/templates\"", place->directory);
  if (settings == NULL || kata_settings_set(settings, "factory", "template_path", path, err) < 0 ||
      kata_settings_set(settings, "factory", "enable_template", way == BENCH_COLD ? "false" : "true", err) < 0 ||
      kata_settings_set(settings, "factory", "vm_cache_memory", "0", err) < 0 ||
      kata_settings_set(settings, "factory", "vm_cache_number", way == BENCH_POOL ? "1" : "0", err) < 0)
    return NULL;
  return g_steal_pointer(&settings);
}

static gboolean write_settings(App *app, BenchPlace *place, GError **error) {
  kata_error *err = NULL;
  for (BenchWay way = 0; way < N_BENCH_WAYS; way++) {
    g_autoptr(kata_settings) settings = make_settings(app, place, way, &err);
    if (settings == NULL) {
      app_take_error(err, error);
      return FALSE;
    }
    autokatafree char *text = kata_settings_to_text(settings);
    place->configs[way] = g_strdup_printf("%s/%d.conf", place->directory, (int)way);
    if (!safe_write_file(place->configs[way], text, -1, 0644, FALSE, error)) return FALSE;
    if (way == BENCH_COLD) place->settings = g_steal_pointer(&settings);
  }
  return TRUE;
}

/* ---- running ---- */

/* Of what is set here, processes in the background keep the directory for temporary files only: by it they are found. */
char **bench_place_get_environment(const BenchPlace *place, BenchWay way) {
  char **environment = g_environ_setenv(g_get_environ(), "KATA_ROOT", place->root, TRUE);
  environment = g_environ_setenv(environment, "TMPDIR", place->directory, TRUE);
  return g_environ_setenv(environment, "KATA_CONFIG", place->configs[way], TRUE);
}

/* Of a log of JSON. */
static json_object *find_last_entry(char *log) {
  char *line = strrchr(g_strchomp(log), '\n');
  return json_tokener_parse(line != NULL ? line + 1 : log);
}

gboolean bench_place_run(const BenchPlace *place, BenchWay way, const char *const *words, char **ret_output,
                         double *ret_s, GError **error) {
  g_auto(GStrv) environment = bench_place_get_environment(place, way);
  static const char *const self[] = {"/proc/self/exe", "--log-format", "json"};
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  for (gsize i = 0; i < G_N_ELEMENTS(self); i++) g_ptr_array_add(argv, (gpointer)self[i]);
  for (gsize i = 0; words[i] != NULL; i++) g_ptr_array_add(argv, (gpointer)words[i]);
  g_ptr_array_add(argv, NULL);
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const *)argv->pdata;
  options.envp = (const char *const *)environment;
  options.die_with_parent = TRUE;
  g_autofree char *said = NULL;
  int status = 0;
  gint64 begin = g_get_monotonic_time();
  if (!spawn_run(&options, NULL, OUTPUT_LIMIT, 0, ret_output, NULL, &said, &status, error)) return FALSE;
  if (ret_s != NULL) *ret_s = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return TRUE;
  g_autofree char *line = g_strjoinv(" ", (char **)words);
  g_autoptr(json_object) entry = find_last_entry(said);
  const char *why = entry != NULL ? json_object_get_string(get(entry, "msg")) : NULL;
  g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "'katactl %s' failed: %s", line, why != NULL ? why : said);
  return FALSE;
}

/* ---- the place ---- */

static gboolean make_context(BenchPlace *place, GError **error) {
  kata_error *err = NULL;
  place->context = kata_context_new(0, &err);
  if (place->context != NULL && kata_context_set_root(place->context, place->root, &err) == 0) return TRUE;
  app_take_error(err, error);
  return FALSE;
}

/* QEMU's user passes through, nobody else lists it. */
static gboolean make_place(BenchPlace *place, GError **error) {
  place->directory = g_dir_make_tmp("kata-bench-XXXXXX", error);
  if (place->directory == NULL) return FALSE;
  place->root = g_build_filename(place->directory, "r", NULL);
  if (chmod(place->directory, 0711) == 0) return make_directory(place->root, error) && make_context(place, error);
  error_set_errno(error, errno, "cannot make '%s' passable", place->directory);
  return FALSE;
}

BenchPlace *bench_place_new(App *app, const char *rootfs, GError **error) {
  g_autoptr(BenchPlace) place = g_new0(BenchPlace, 1);
  if (!make_place(place, error) || !write_settings(app, place, error) || !make_bundles(place, rootfs, error))
    return NULL;
  return g_steal_pointer(&place);
}

/* What fills a pool, or saves a guest, in the background has this place in its environment. */
static gboolean is_in_use(const BenchPlace *place) {
  g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = g_build_filename("/proc", name, "environ", NULL), *text = NULL;
    gsize length = 0;
    if (!g_ascii_isdigit(*name) || !g_file_get_contents(path, &text, &length, NULL)) continue;
    if (memmem(text, length, place->directory, strlen(place->directory)) != NULL) return TRUE;
  }
  return FALSE;
}

static void wait_until_unused(const BenchPlace *place) {
  for (int i = 0; i < BACKGROUND_S * 10 && is_in_use(place); i++) g_usleep(G_USEC_PER_SEC / 10);
}

static void end_containers(const BenchPlace *place) {
  g_autofree char *list = NULL;
  if (!bench_place_run(place, BENCH_COLD, (const char *const[]){"list", "--quiet", NULL}, &list, NULL, NULL)) return;
  g_auto(GStrv) ids = g_strsplit(list, "\n", -1);
  for (gsize i = 0; ids[i] != NULL; i++)
    if (*ids[i] != '\0')
      bench_place_run(place, BENCH_COLD, (const char *const[]){"delete", "--force", ids[i], NULL}, NULL, NULL, NULL);
}

static void clear(const BenchPlace *place) {
  if (place->configs[N_BENCH_WAYS - 1] != NULL) {
    end_containers(place);
    /* Twice: what fills it in the background would do so again. */
    bench_place_run(place, BENCH_POOL, (const char *const[]){"pool", "remove", NULL}, NULL, NULL, NULL);
    wait_until_unused(place);
    bench_place_run(place, BENCH_POOL, (const char *const[]){"pool", "remove", NULL}, NULL, NULL, NULL);
  }
  g_autoptr(GError) error = NULL;
  if (!safe_remove_tree(place->directory, &error)) g_warning("%s", error->message);
}

void bench_place_free(BenchPlace *place) {
  if (place == NULL) return;
  if (place->directory != NULL) clear(place);
  for (BenchWay way = 0; way < N_BENCH_WAYS; way++) g_free(place->configs[way]);
  kata_settings_unref(place->settings);
  kata_context_unref(place->context);
  g_free(place->long_run);
  g_free(place->short_run);
  g_free(place->root);
  g_free(place->directory);
  g_free(place);
}
