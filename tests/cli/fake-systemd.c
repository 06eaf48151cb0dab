// SPDX-License-Identifier: LGPL-2.1-or-later
/* As much of org.freedesktop.systemd1 as makes scopes, on the bus that DBUS_SYSTEM_BUS_ADDRESS names: cgroups are made
 * in every hierarchy, each call is written to standard output, one on a line. With the argument "fail" all jobs fail.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char interface_xml[] =
    "<node><interface name='org.freedesktop.systemd1.Manager'>"
    "<method name='Subscribe'/>"
    "<method name='StartTransientUnit'><arg type='s' direction='in'/><arg type='s' direction='in'/>"
    "<arg type='a(sv)' direction='in'/><arg type='a(sa(sv))' direction='in'/><arg type='o' direction='out'/></method>"
    "<method name='SetUnitProperties'><arg type='s' direction='in'/><arg type='b' direction='in'/>"
    "<arg type='a(sv)' direction='in'/></method>"
    "<signal name='JobRemoved'><arg type='u'/><arg type='o'/><arg type='s'/><arg type='s'/></signal>"
    "</interface></node>";

static gboolean fails;

static void move_processes(const char *directory, GVariant *pids) {
  g_autofree char *path = g_build_filename(directory, "cgroup.procs", NULL);
  for (gsize i = 0; i < g_variant_n_children(pids); i++) {
    guint32 pid = 0;
    g_variant_get_child(pids, i, "u", &pid);
    g_autofree char *text = g_strdup_printf("%u", pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) g_warning("cannot move %s into '%s'", text, directory);
    if (fd >= 0) close(fd);
  }
}

/* systemd's own of version 1, or the one of version 2. */
static char *find_hierarchy(void) {
  if (access("/sys/fs/cgroup/systemd", F_OK) == 0) return g_strdup("/sys/fs/cgroup/systemd");
  return g_strdup("/sys/fs/cgroup");
}

static GVariant *find_property(GVariant *properties, const char *wanted) {
  for (gsize i = 0; i < g_variant_n_children(properties); i++) {
    const char *name = NULL;
    g_autoptr(GVariant) value = NULL;
    g_variant_get_child(properties, i, "(&sv)", &name, &value);
    if (strcmp(name, wanted) == 0) return g_steal_pointer(&value);
  }
  return NULL;
}

static void make_scope(const char *unit, GVariant *properties) {
  g_autoptr(GVariant) pids = find_property(properties, "PIDs"), slice = find_property(properties, "Slice");
  if (pids == NULL || slice == NULL) return;
  g_autofree char *hierarchy = find_hierarchy();
  g_autofree char *directory = g_build_filename(hierarchy, g_variant_get_string(slice, NULL), unit, NULL);
  if (g_mkdir_with_parents(directory, 0755) < 0) g_warning("cannot make '%s'", directory);
  move_processes(directory, pids);
}

static void answer_start(GDBusConnection *bus, GVariant *parameters, GDBusMethodInvocation *call) {
  static guint32 number;
  const char *unit = NULL;
  g_autoptr(GVariant) properties = NULL;
  g_variant_get(parameters, "(&s&s@a(sv)@a(sa(sv)))", &unit, NULL, &properties, NULL);
  g_autofree char *job = g_strdup_printf("/org/freedesktop/systemd1/job/%u", ++number);
  if (!fails) make_scope(unit, properties);
  GVariant *end = g_variant_new("(uoss)", number, job, unit, fails ? "failed" : "done");
  /* Before the answer, as it may be with a systemd that has nothing else to do. */
  g_dbus_connection_emit_signal(bus, NULL, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                "JobRemoved", end, NULL);
  g_dbus_method_invocation_return_value(call, g_variant_new("(o)", job));
}

static void on_call(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
                    const char *method, GVariant *parameters, GDBusMethodInvocation *call, gpointer user_data) {
  g_autofree char *text = g_variant_print(parameters, FALSE);
  printf("%s%s\n", method, text);
  fflush(stdout);
  if (strcmp(method, "StartTransientUnit") == 0)
    answer_start(bus, parameters, call);
  else
    g_dbus_method_invocation_return_value(call, NULL);
}

static const GDBusInterfaceVTable functions = {.method_call = on_call};

static void on_bus(GDBusConnection *bus, const char *name, gpointer info) {
  g_autoptr(GError) error = NULL;
  if (g_dbus_connection_register_object(bus, "/org/freedesktop/systemd1", ((GDBusNodeInfo *)info)->interfaces[0],
                                        &functions, NULL, NULL, &error) == 0)
    g_error("%s", error->message);
}

static void on_name(GDBusConnection *bus, const char *name, gpointer user_data) {
  printf("ready\n");
  fflush(stdout);
}

static void on_lost(GDBusConnection *bus, const char *name, gpointer user_data) { exit(EXIT_FAILURE); }

int main(int argc, char **argv) {
  fails = argc > 1 && strcmp(argv[1], "fail") == 0;
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  GDBusNodeInfo *info = g_dbus_node_info_new_for_xml(interface_xml, NULL);
  g_bus_own_name(G_BUS_TYPE_SYSTEM, "org.freedesktop.systemd1", G_BUS_NAME_OWNER_FLAGS_NONE, on_bus, on_name, on_lost,
                 info, NULL);
  g_main_loop_run(loop);
  return 0;
}
