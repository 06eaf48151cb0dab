// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/cgroup-systemd.h"

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD ".Manager"
#define CALL_TIMEOUT_MS 10000
/* What a busy systemd may take to make a scope. */
#define JOB_TIMEOUT_S 30

gboolean cgroup_systemd_parse(const char *cgroups_path, char **ret_unit, char **ret_slice) {
  g_auto(GStrv) words = g_strsplit(cgroups_path, ":", -1);
  if (g_strv_length(words) != 3 || *cgroups_path == '/' || *words[2] == '\0') return FALSE;
  if (g_str_has_suffix(words[2], ".slice")) return FALSE;
  *ret_slice = g_strdup(*words[0] != '\0' ? words[0] : "system.slice");
  *ret_unit = g_strconcat(words[1], *words[1] != '\0' ? "-" : "", words[2], ".scope", NULL);
  return TRUE;
}

static char *bus_address;

/* By hand: GIO would start a thread, which the fork that makes an owner leaves behind. */
void cgroup_systemd_remember_bus(void) {
  if (bus_address == NULL) bus_address = g_strdup(g_getenv("DBUS_SYSTEM_BUS_ADDRESS"));
  if (bus_address == NULL) bus_address = g_strdup("unix:path=/run/dbus/system_bus_socket");
}

/* A connection of its own: the process must not end when the bus does. */
static GDBusConnection *connect_bus(GError **error) {
  g_autofree char *address =
      bus_address != NULL ? g_strdup(bus_address) : g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, error);
  if (address == NULL) return NULL;
  return g_dbus_connection_new_for_address_sync(
      address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION, NULL,
      NULL, error);
}

static GVariant *call_manager(GDBusConnection *bus, const char *method, GVariant *arguments, GError **error) {
  return g_dbus_connection_call_sync(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, method, arguments, NULL,
                                     G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_TIMEOUT_MS, NULL, error);
}

gboolean cgroup_systemd_is_there(void) {
  g_autoptr(GDBusConnection) bus = connect_bus(NULL);
  if (bus == NULL) return FALSE;
  g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
      bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
      g_variant_new("(s)", SYSTEMD), G_VARIANT_TYPE("(b)"), G_DBUS_CALL_FLAGS_NONE, CALL_TIMEOUT_MS, NULL, NULL);
  gboolean there = FALSE;
  if (reply != NULL) g_variant_get(reply, "(b)", &there);
  g_dbus_connection_close_sync(bus, NULL, NULL);
  return there;
}

/* ---- a scope ---- */

typedef struct {
  GMainContext *context;
  GHashTable *ended; /* job's path -> result: its end may be told before its name is known */
  gboolean timed_out;
} Jobs;

static void on_job_removed(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
                           const char *signal, GVariant *parameters, gpointer user_data) {
  Jobs *jobs = user_data;
  const char *job = NULL, *result = NULL;
  if (!g_variant_is_of_type(parameters, G_VARIANT_TYPE("(uoss)"))) return;
  g_variant_get(parameters, "(u&o&s&s)", NULL, &job, NULL, &result);
  g_hash_table_replace(jobs->ended, g_strdup(job), g_strdup(result));
}

static gboolean on_timeout(gpointer user_data) {
  ((Jobs *)user_data)->timed_out = TRUE;
  return G_SOURCE_REMOVE;
}

static GVariant *make_arguments(const char *unit, const char *slice, const pid_t *pids, gsize n_pids) {
  static const char *const switches[] = {"Delegate", "MemoryAccounting", "CPUAccounting", "IOAccounting",
                                         "TasksAccounting"};
  g_autofree char *description = g_strdup_printf("libkata container %s", unit);
  GVariantBuilder properties, processes;
  g_variant_builder_init(&processes, G_VARIANT_TYPE("au"));
  for (gsize i = 0; i < n_pids; i++) g_variant_builder_add(&processes, "u", (guint32)pids[i]);
  g_variant_builder_init(&properties, G_VARIANT_TYPE("a(sv)"));
  g_variant_builder_add(&properties, "(sv)", "Description", g_variant_new_string(description));
  g_variant_builder_add(&properties, "(sv)", "Slice", g_variant_new_string(slice));
  g_variant_builder_add(&properties, "(sv)", "DefaultDependencies", g_variant_new_boolean(FALSE));
  /* One that had to be killed is forgotten as well. */
  g_variant_builder_add(&properties, "(sv)", "CollectMode", g_variant_new_string("inactive-or-failed"));
  for (gsize i = 0; i < G_N_ELEMENTS(switches); i++)
    g_variant_builder_add(&properties, "(sv)", switches[i], g_variant_new_boolean(TRUE));
  g_variant_builder_add(&properties, "(sv)", "PIDs", g_variant_builder_end(&processes));
  return g_variant_new("(ss@a(sv)@a(sa(sv)))", unit, "replace", g_variant_builder_end(&properties),
                       g_variant_new_array(G_VARIANT_TYPE("(sa(sv))"), NULL, 0));
}

static gboolean wait_for_job(Jobs *jobs, const char *job, const char *unit, GError **error) {
  g_autoptr(GSource) timeout = g_timeout_source_new_seconds(JOB_TIMEOUT_S);
  g_source_set_callback(timeout, on_timeout, jobs, NULL);
  g_source_attach(timeout, jobs->context);
  const char *result = NULL;
  while ((result = g_hash_table_lookup(jobs->ended, job)) == NULL && !jobs->timed_out)
    g_main_context_iteration(jobs->context, TRUE);
  g_source_destroy(timeout);
  if (g_strcmp0(result, "done") == 0) return TRUE;
  if (result == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "systemd did not make the scope '%s' within %d s", unit,
                JOB_TIMEOUT_S);
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "systemd did not make the scope '%s': its job ended with '%s'", unit,
                result);
  return FALSE;
}

static gboolean make_scope(GDBusConnection *bus, Jobs *jobs, const char *unit, GVariant *arguments, GError **error) {
  g_autoptr(GVariant) reply = call_manager(bus, "StartTransientUnit", arguments, error);
  if (reply == NULL) return FALSE;
  if (!g_variant_is_of_type(reply, G_VARIANT_TYPE("(o)"))) {
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "StartTransientUnit was not answered with a job");
    return FALSE;
  }
  const char *job = NULL;
  g_variant_get(reply, "(&o)", &job);
  return wait_for_job(jobs, job, unit, error);
}

gboolean cgroup_systemd_start(const char *cgroups_path, const pid_t *pids, gsize n_pids, GError **error) {
  g_autofree char *unit = NULL, *slice = NULL;
  g_return_val_if_fail(cgroup_systemd_parse(cgroups_path, &unit, &slice), FALSE);
  g_autoptr(GError) why = NULL;
  g_autoptr(GMainContext) context = g_main_context_new();
  g_main_context_push_thread_default(context); /* signals come to the context of who subscribes */
  g_autoptr(GHashTable) ended = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  Jobs jobs = {.context = context, .ended = ended};
  g_autoptr(GDBusConnection) bus = connect_bus(&why);
  gboolean done = FALSE;
  if (bus != NULL) {
    guint watch = g_dbus_connection_signal_subscribe(bus, SYSTEMD, SYSTEMD_MANAGER, "JobRemoved", SYSTEMD_PATH, NULL,
                                                     G_DBUS_SIGNAL_FLAGS_NONE, on_job_removed, &jobs, NULL);
    g_autoptr(GVariant) subscribed = call_manager(bus, "Subscribe", NULL, &why);
    done = subscribed != NULL && make_scope(bus, &jobs, unit, make_arguments(unit, slice, pids, n_pids), &why);
    g_dbus_connection_signal_unsubscribe(bus, watch);
    g_dbus_connection_close_sync(bus, NULL, NULL);
  }
  while (g_main_context_iteration(context, FALSE)) continue;
  g_main_context_pop_thread_default(context);
  if (!done) {
    g_dbus_error_strip_remote_error(why);
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST,
                "cannot make the scope '%s' in '%s' (config.json: linux.cgroupsPath): %s", unit, slice, why->message);
  }
  return done;
}

/* ---- limits ---- */

static GVariant *make_properties(const char *unit, const CgroupLimits *limits) {
  GVariantBuilder properties;
  g_variant_builder_init(&properties, G_VARIANT_TYPE("a(sv)"));
  guint64 quota =
      limits->cpu_quota_us < 0 ? G_MAXUINT64 : (guint64)limits->cpu_quota_us * (G_USEC_PER_SEC / CGROUP_CPU_PERIOD_US);
  guint64 memory = limits->memory_bytes < 0 ? G_MAXUINT64 : (guint64)limits->memory_bytes;
  gboolean unified = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  guint64 weight = unified ? cgroup_limits_get_weight(limits) : limits->cpu_shares;
  g_variant_builder_add(&properties, "(sv)", unified ? "CPUWeight" : "CPUShares", g_variant_new_uint64(weight));
  g_variant_builder_add(&properties, "(sv)", "CPUQuotaPerSecUSec", g_variant_new_uint64(quota));
  g_variant_builder_add(&properties, "(sv)", unified ? "MemoryMax" : "MemoryLimit", g_variant_new_uint64(memory));
  return g_variant_new("(sb@a(sv))", unit, TRUE, g_variant_builder_end(&properties));
}

void cgroup_systemd_apply(const char *cgroups_path, const CgroupLimits *limits) {
  g_autofree char *unit = NULL, *slice = NULL;
  if (!cgroup_systemd_parse(cgroups_path, &unit, &slice)) return;
  g_autoptr(GError) error = NULL;
  g_autoptr(GDBusConnection) bus = connect_bus(&error);
  g_autoptr(GVariant) reply =
      bus != NULL ? call_manager(bus, "SetUnitProperties", make_properties(unit, limits), &error) : NULL;
  if (reply == NULL) g_warning("cannot set the limits of the scope '%s': %s", unit, error->message);
  if (bus != NULL) g_dbus_connection_close_sync(bus, NULL, NULL);
}
