// SPDX-License-Identifier: LGPL-2.1-or-later
/* What containers in virtual machines cost on this host. */
#include <signal.h>
#include <string.h>

#include "bench-measure.h"
#include "commands.h"
#include "common/error.h"
#include "state-json.h"

#define ROUNDS 3
#define ROUNDS_MAX 1000
#define PARTS_MAX 32

static int rounds = ROUNDS;
static const char *parts;
static const char *rootfs;
static gboolean as_json;

const Option bench_options[] = {
    {"rounds", 'n', OPTION_NUMBER, &rounds, "NUMBER", "how often each is measured (default: 3)"},
    {"parts", 0, OPTION_TEXT, &parts, "LIST", "only these: floor,cold,template,pool,exec,stdout,memory"},
    {"rootfs", 0, OPTION_TEXT, &rootfs, "DIR", "a root with true, sleep and dd (default: this host's programs)"},
    {"json", 0, OPTION_FLAG, &as_json, NULL, "write all samples as JSON"},
    OPTIONS_END};

/* ---- interruption ---- */

static volatile sig_atomic_t stopped_by;

static void stop(int number) { stopped_by = number; }

/* What is being measured ends by itself, or by the same signal; then all is cleared away. */
static void catch_signals(void) {
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

static gboolean check_stopped(GError **error) {
  if (stopped_by == 0) return TRUE;
  g_clear_error(error); /* that of what the signal has ended as well */
  g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "interrupted by signal %d", (int)stopped_by);
  return FALSE;
}

/* ---- what is asked for ---- */

static gboolean is_known(const char *name) {
  for (gsize i = 0; i < n_bench_parts; i++)
    if (strcmp(bench_parts[i].name, name) == 0) return TRUE;
  return FALSE;
}

/* NULL: all of them. */
static gboolean check_options(char ***ret_wanted, GError **error) {
  if (rounds < 1 || rounds > ROUNDS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "--rounds: a number from 1 to %d is needed", ROUNDS_MAX);
    return FALSE;
  }
  if (rootfs != NULL && !g_file_test(rootfs, G_FILE_TEST_IS_DIR)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "--rootfs: '%s' is no directory", rootfs);
    return FALSE;
  }
  g_auto(GStrv) wanted = parts != NULL ? g_strsplit(parts, ",", PARTS_MAX) : NULL;
  for (gsize i = 0; wanted != NULL && wanted[i] != NULL; i++) {
    if (is_known(wanted[i])) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "--parts: '%s' is none of floor, cold, template, pool, exec, stdout and memory", wanted[i]);
    return FALSE;
  }
  *ret_wanted = g_steal_pointer(&wanted);
  return TRUE;
}

/* ---- measuring ---- */

static void say(const char *text) {
  if (!as_json) fprintf(stderr, "%s\n", text);
}

/* Those that can be measured here. */
static GPtrArray *prepare(const Bench *bench, char **wanted, GError **error) {
  g_autoptr(GPtrArray) ready = g_ptr_array_new();
  for (gsize i = 0; i < n_bench_parts && check_stopped(error); i++) {
    const BenchPart *part = &bench_parts[i];
    g_autoptr(GError) why = NULL;
    if (wanted != NULL && !g_strv_contains((const char *const *)wanted, part->name)) continue;
    if (part->prepare == NULL || part->prepare(bench, &why))
      g_ptr_array_add(ready, (gpointer)part);
    else
      bench_samples_skip(bench->samples, part->text, why->message);
  }
  return check_stopped(error) ? g_steal_pointer(&ready) : NULL;
}

/* Each round has all that is compared, so that whatever else the host does is in all of it. */
static gboolean measure(const Bench *bench, const GPtrArray *ready, GError **error) {
  for (int number = 0; number < rounds; number++) {
    g_autofree char *text = g_strdup_printf("round %d of %d", number + 1, rounds);
    say(text);
    for (guint i = 0; i < ready->len; i++) {
      const BenchPart *part = ready->pdata[i];
      if (part->once && number > 0) continue;
      if (!part->measure(bench, error) || !check_stopped(error)) return FALSE;
    }
  }
  return TRUE;
}

static void add_setting(json_object *object, const BenchPlace *place, const char *section, const char *key) {
  autokatafree char *value = kata_settings_get(place->settings, section, key, NULL);
  json_object_object_add(object, key, json_tokener_parse(value != NULL ? value : "null"));
}

static void print_json(const Bench *bench) {
  g_autoptr(json_object) result = bench_samples_to_json(bench->samples);
  json_object *settings = json_object_new_object();
  static const char *const keys[] = {"kernel", "accelerator", "default_vcpus", "default_memory"};
  for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) add_setting(settings, bench->place, "hypervisor.qemu", keys[i]);
  json_object_object_add(result, "version", json_object_new_string(KATA_VERSION));
  json_object_object_add(result, "rounds", json_object_new_int(rounds));
  json_object_object_add(result, "settings", settings);
  puts(json_object_to_json_string_ext(
      result, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
}

int cmd_bench(App *app, char **operands, GError **error) {
  g_auto(GStrv) wanted = NULL;
  if (!check_options(&wanted, error)) return 1;
  g_autofree char *absolute = rootfs != NULL ? g_canonicalize_filename(rootfs, NULL) : NULL;
  catch_signals();
  g_autoptr(BenchPlace) place = bench_place_new(app, absolute, error);
  g_autoptr(BenchSamples) samples = bench_samples_new();
  if (place == NULL) return 1;
  const Bench bench = {place, samples};
  say("preparing");
  g_autoptr(GPtrArray) ready = prepare(&bench, wanted, error);
  gboolean done = ready != NULL && measure(&bench, ready, error);
  if (!done) {
    check_stopped(error);
    return 1;
  }
  if (as_json)
    print_json(&bench);
  else
    bench_samples_print(samples);
  return 0;
}
