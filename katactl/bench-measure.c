// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bench-measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench-floor.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "common/spawn.h"
#include "state-json.h"

#define ID "bench"
#define EXEC_ROUNDS 5
#define OUTPUT_MIB 64
#define READ_SIZE (1u << 20)
/* A guest gives back what it does not need within some seconds. */
#define SETTLE_STEP_US (3 * G_USEC_PER_SEC)
#define SETTLE_STEPS 5
#define ROLLUP_LIMIT 65536u

/* Words of katactl's for each of a list, as in (const char *const[]){...}. */
#define RUN(bench, way, ret_s, error, ...) \
  bench_place_run((bench)->place, way, (const char *const[]){__VA_ARGS__, NULL}, NULL, ret_s, error)

/* ---- starts ---- */

static gboolean run_short(const Bench *bench, BenchWay way, const char *name, const char *text, GError **error) {
  double seconds;
  if (!RUN(bench, way, &seconds, error, "run", "--bundle", bench->place->short_run, ID)) return FALSE;
  bench_samples_add(bench->samples, name, text, seconds);
  return TRUE;
}

static gboolean measure_floor(const Bench *bench, GError **error) {
  double seconds;
  if (!bench_floor(bench->place, &seconds, error)) return FALSE;
  bench_samples_add(bench->samples, "raw_s", "QEMU alone, to the guest's first process", seconds);
  return TRUE;
}

/* The first start of all fills caches, libvirt's of what QEMU can do among them. */
static gboolean prepare_cold(const Bench *bench, GError **error) {
  return RUN(bench, BENCH_COLD, NULL, error, "run", "--bundle", bench->place->short_run, ID);
}

static gboolean measure_cold(const Bench *bench, GError **error) {
  return run_short(bench, BENCH_COLD, "cold_s", "katactl run true, cold", error);
}

static gboolean prepare_template(const Bench *bench, GError **error) {
  return RUN(bench, BENCH_TEMPLATE, NULL, error, "template", "create");
}

static gboolean measure_template(const Bench *bench, GError **error) {
  return run_short(bench, BENCH_TEMPLATE, "template_s", "katactl run true, from a template", error);
}

static gboolean prepare_pool(const Bench *bench, GError **error) {
  return RUN(bench, BENCH_POOL, NULL, error, "pool", "create");
}

/* Name and all; "" if none stands by. */
static char *list_pool(const Bench *bench, GError **error) {
  char *list = NULL;
  const char *const words[] = {"pool", "list", NULL};
  return bench_place_run(bench->place, BENCH_POOL, words, &list, NULL, error) ? list : NULL;
}

static gboolean measure_pool(const Bench *bench, GError **error) {
  g_autofree char *before = prepare_pool(bench, error) ? list_pool(bench, error) : NULL;
  if (before == NULL || !run_short(bench, BENCH_POOL, "pool_s", "katactl run true, with a guest that stood by", error))
    return FALSE;
  g_autofree char *after = list_pool(bench, error);
  if (after == NULL) return FALSE;
  if (*before == '\0' || strstr(after, before) != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "the container did not get the guest that stood by");
    return FALSE;
  }
  return prepare_pool(bench, error); /* now, so that it does not disturb what is measured next */
}

/* ---- one running container ---- */

static gboolean start_long(const Bench *bench, BenchWay way, const char *id, GError **error) {
  return RUN(bench, way, NULL, error, "run", "--detach", "--bundle", bench->place->long_run, id);
}

static gboolean delete (const Bench *bench, const char *id, GError **error) {
  return RUN(bench, BENCH_COLD, NULL, error, "delete", "--force", id);
}

static gboolean measure_exec(const Bench *bench, GError **error) {
  if (!start_long(bench, BENCH_COLD, ID, error)) return FALSE;
  for (int i = 0; i < EXEC_ROUNDS; i++) {
    double seconds;
    if (!RUN(bench, BENCH_COLD, &seconds, error, "exec", ID, "true")) return FALSE;
    bench_samples_add(bench->samples, "exec_s", "katactl exec true", seconds);
  }
  return delete (bench, ID, error);
}

/* From the first byte on, as fast as it is read. */
static gboolean read_output(int fd, double *ret_mb_s, GError **error) {
  g_autofree char *buffer = g_malloc(READ_SIZE);
  gsize total = 0;
  gint64 begin = 0;
  for (;;) {
    ssize_t got = read(fd, buffer, READ_SIZE);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (begin == 0) begin = g_get_monotonic_time();
    total += (gsize)got;
  }
  if (total == (gsize)OUTPUT_MIB << 20) {
    *ret_mb_s = (double)total / (double)MAX(g_get_monotonic_time() - begin, 1);
    return TRUE;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "of %d MiB of output %" G_GSIZE_FORMAT " bytes arrived", OUTPUT_MIB,
              total);
  return FALSE;
}

/* dd writes to this process's pipe. */
static pid_t start_writer(const Bench *bench, int *ret_reader, GError **error) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    error_set_errno(error, errno, "cannot make a pipe");
    return -1;
  }
  autofd int writer = ends[1];
  *ret_reader = ends[0];
  g_auto(GStrv) environment = bench_place_get_environment(bench->place, BENCH_COLD);
  g_autofree char *count = g_strdup_printf("count=%d", OUTPUT_MIB * 16);
  const char *const argv[] = {"/proc/self/exe", "exec", ID, "dd", "if=/dev/zero", "bs=65536", count, NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  options.envp = (const char *const *)environment;
  options.stdout_fd = writer;
  options.die_with_parent = TRUE;
  return spawn_start(&options, NULL, error);
}

static gboolean measure_stdout(const Bench *bench, GError **error) {
  if (!start_long(bench, BENCH_COLD, ID, error)) return FALSE;
  autofd int reader = -1;
  pid_t pid = start_writer(bench, &reader, error);
  if (pid < 0) return FALSE;
  double speed;
  gboolean done = read_output(reader, &speed, error);
  fd_clear(&reader);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
  if (!done) return FALSE;
  bench_samples_add(bench->samples, "stdout_mb_s", "standard output of a container's process", speed);
  return delete (bench, ID, error);
}

/* ---- memory ---- */

static json_object *get(json_object *object, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

/* KiB of memory, what is shared counting for a part. */
static gint64 read_pss(gint64 pid) {
  g_autofree char *path = g_strdup_printf("/proc/%" G_GINT64_FORMAT "/smaps_rollup", pid);
  g_autofree char *text = safe_read_file(path, ROLLUP_LIMIT, NULL, NULL);
  const char *line = text != NULL ? strstr(text, "\nPss:") : NULL;
  return line != NULL ? g_ascii_strtoll(line + strlen("\nPss:"), NULL, 10) : 0;
}

/* To *parts, if it is not NULL, the KiB of each. */
static gboolean add_sandbox(kata_context *context, const char *id, json_object *parts, gint64 *total,
                            kata_error **err) {
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_open(context, id, 0, err);
  autokatafree char *text = sandbox != NULL ? kata_sandbox_get_stats(sandbox, 0, err) : NULL;
  if (text == NULL) return FALSE;
  g_autoptr(json_object) stats = json_tokener_parse(text);
  json_object *processes = get(stats, "processes");
  for (gsize i = 0; i < json_object_array_length(processes); i++) {
    json_object *process = json_object_array_get_idx(processes, i);
    const char *name = json_object_get_string(get(process, "name"));
    gint64 size = read_pss(json_object_get_int64(get(process, "pid")));
    *total += size;
    if (parts != NULL)
      json_object_object_add(parts, name, json_object_new_int64(json_object_get_int64(get(parts, name)) + size));
  }
  return TRUE;
}

static gboolean add_all(const Bench *bench, const char *const *ids, json_object *parts, gint64 *ret_total,
                        GError **error) {
  kata_error *err = NULL;
  *ret_total = 0;
  for (gsize i = 0; ids[i] != NULL; i++) {
    if (add_sandbox(bench->place->context, ids[i], i == 0 ? parts : NULL, ret_total, &err)) continue;
    app_take_error(err, error);
    return FALSE;
  }
  return TRUE;
}

/* Until it grows no smaller. */
static gboolean settle(const Bench *bench, const char *const *ids, gint64 *ret_total, GError **error) {
  gint64 before = G_MAXINT64 / 100;
  for (int i = 0; i < SETTLE_STEPS; i++) {
    g_usleep(SETTLE_STEP_US);
    if (!add_all(bench, ids, NULL, ret_total, error)) return FALSE;
    if (*ret_total * 100 > before * 99) return TRUE;
    before = *ret_total;
  }
  return TRUE;
}

static void add_memory(const Bench *bench, json_object *parts, gint64 first, gint64 both) {
  static const struct {
    const char *part, *name, *text;
  } rows[] = {{"hypervisor", "hypervisor_mib", "memory of an idle guest from a template: QEMU"},
              {"virtiofsd", "virtiofsd_mib", "  virtiofsd"},
              {"owner", "owner_mib", "  its owner"}};
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
    bench_samples_add(bench->samples, rows[i].name, rows[i].text,
                      (double)json_object_get_int64(get(parts, rows[i].part)) / 1024);
  bench_samples_add(bench->samples, "marginal_mib", "  what another one costs", (double)(both - first) / 1024);
}

static gboolean measure_memory(const Bench *bench, GError **error) {
  const char *const one[] = {ID "-1", NULL}, *const two[] = {ID "-1", ID "-2", NULL};
  gint64 first = 0, both = 0;
  g_autoptr(json_object) parts = json_object_new_object();
  if (!start_long(bench, BENCH_TEMPLATE, one[0], error) || !settle(bench, one, &first, error) ||
      !add_all(bench, one, parts, &first, error) || !start_long(bench, BENCH_TEMPLATE, two[1], error) ||
      !settle(bench, two, &both, error))
    return FALSE;
  add_memory(bench, parts, first, both);
  return delete (bench, two[1], error) && delete (bench, one[0], error);
}

const BenchPart bench_parts[] = {
    {"floor", "QEMU alone", NULL, measure_floor, FALSE},
    {"cold", "a cold start", prepare_cold, measure_cold, FALSE},
    {"template", "a start from a template", prepare_template, measure_template, FALSE},
    {"pool", "a start with a guest that stood by", prepare_pool, measure_pool, FALSE},
    {"exec", "another process", NULL, measure_exec, FALSE},
    {"stdout", "standard output", NULL, measure_stdout, FALSE},
    {"memory", "memory", prepare_template, measure_memory, TRUE},
};
const gsize n_bench_parts = G_N_ELEMENTS(bench_parts);
