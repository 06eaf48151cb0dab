// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a virtual machine costs the host beyond what its containers use, in the words of Kata Containers 1.x. */
#include "commands.h"
#include "common/error.h"
#include "state-json.h"
#include "stats-json.h"

/* Between the two looks at the processors' time. */
#define INTERVAL_US G_USEC_PER_SEC

typedef struct {
  gint64 when_us;
  guint64 host_cpu_us, guest_cpu_us;
  guint64 host_bytes, guest_bytes;
} Usage;

static json_object *get(json_object *object, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

static guint64 get_number(json_object *object, const char *one, const char *two, const char *three) {
  return json_object_get_uint64(get(get(get(object, one), two), three));
}

static gboolean add_host(kata_sandbox *sandbox, Usage *usage, GError **error) {
  kata_error *err = NULL;
  autokatafree char *text = kata_sandbox_get_stats(sandbox, 0, &err);
  if (text == NULL) {
    app_take_error(err, error);
    return FALSE;
  }
  g_autoptr(json_object) stats = json_tokener_parse(text);
  json_object *processes = get(stats, "processes");
  for (gsize i = 0; i < json_object_array_length(processes); i++) {
    json_object *process = json_object_array_get_idx(processes, i);
    usage->host_cpu_us += json_object_get_uint64(get(process, "cpu_us"));
    usage->host_bytes += json_object_get_uint64(get(process, "resident_bytes"));
  }
  return TRUE;
}

/* One that is not running, or goes meanwhile, uses nothing. */
static void add_container(App *app, const char *id, const char *sandbox_id, Usage *usage) {
  g_autoptr(kata_container) container = kata_container_open(app->context, id, 0, NULL);
  if (container == NULL || g_strcmp0(kata_container_get_sandbox_id(container), sandbox_id) != 0) return;
  autokatafree char *text = kata_container_get_stats(container, 0, NULL);
  g_autoptr(json_object) stats = text != NULL ? stats_json_build(text, NULL) : NULL;
  usage->guest_cpu_us += get_number(stats, "cpu", "usage", "total") / 1000;
  usage->guest_bytes += get_number(stats, "memory", "usage", "usage");
}

static gboolean look(App *app, kata_sandbox *sandbox, Usage *usage, GError **error) {
  kata_error *err = NULL;
  *usage = (Usage){.when_us = g_get_monotonic_time()};
  char **ids = kata_container_list(app->context, 0, &err);
  if (ids == NULL) {
    app_take_error(err, error);
    return FALSE;
  }
  const char *sandbox_id = kata_sandbox_get_id(sandbox);
  for (char **id = ids; *id != NULL; id++) add_container(app, *id, sandbox_id, usage);
  kata_strv_free(ids);
  return add_host(sandbox, usage, error);
}

int cmd_kata_overhead(App *app, char **operands, GError **error) {
  Usage before, after;
  g_autoptr(kata_sandbox) sandbox = app_open_sandbox_of(app, operands[0], error);
  if (sandbox == NULL || !look(app, sandbox, &before, error)) return 1;
  g_usleep(INTERVAL_US);
  if (!look(app, sandbox, &after, error)) return 1;
  /* What has ended meanwhile is no longer counted: the later number may be the smaller one. */
  double host = (double)after.host_cpu_us - (double)before.host_cpu_us;
  double guest = (double)after.guest_cpu_us - (double)before.guest_cpu_us;
  printf("cpu_overhead=%f\n", (host - guest) / (double)(after.when_us - before.when_us));
  printf("memory_overhead_bytes=%" G_GINT64_FORMAT "\n", (gint64)after.host_bytes - (gint64)after.guest_bytes);
  return 0;
}
