/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/spec.h"

#include <string.h>
#include <unistd.h>

#include "agent/attributes.h"
#include "common/error.h"
#include "common/protobuf-text.h"
#include "common/safe-path.h"

/* What the document is called towards crun: crun 1.8 refuses newer ones of 1.x by their names, although all it does not
 * know in them it leaves alone. */
#define CRUN_VERSION "1.0.2"

static gboolean is_empty(const char *text) { return !text || !*text; }

static gboolean has_apparmor(void) { return access("/sys/kernel/security/apparmor", F_OK) == 0; }

static gboolean has_selinux(void) { return access("/sys/fs/selinux/enforce", F_OK) == 0; }

/* crun would make something of any letter. */
static gboolean check_devices(const Grpc__Linux *linux, GError **error) {
  for (gsize i = 0; i < linux->n_devices; i++) {
    const char *type = linux->devices[i]->type;
    if (strlen(type) == 1 && strchr("cbup", *type)) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "device '%s' has unknown type '%s'",
                linux->devices[i]->path, type);
    return FALSE;
  }
  return TRUE;
}

/* crun 1.8.1 takes the process it makes for another one where it makes a time namespace, and kills that. Without
 * offsets one more such namespace would change nothing. */
static gboolean check_time(const Grpc__Linux *linux, GError **error) {
  if (linux->n_timeoffsets == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "linux.timeOffsets: this guest's containers have its own time");
  return FALSE;
}

/* The OCI's document has room for some and names none. */
static gboolean check_personality(const Grpc__LinuxPersonality *personality, GError **error) {
  if (!personality || personality->n_flags == 0) return TRUE;
  g_autofree char *shown = error_clean_text(personality->flags[0]);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "linux.personality.flags: '%s' does not exist", shown);
  return FALSE;
}

/* Another word would be taken for "not asked for". */
static gboolean check_namespaces(const Grpc__Linux *linux, GError **error) {
  static const char *const known[] = {"mount", "mnt",     "pid",    "user", "ipc", "uts",
                                      "net",   "network", "cgroup", "time", NULL};
  for (gsize i = 0; i < linux->n_namespaces; i++) {
    const char *type = linux->namespaces[i]->type;
    if (g_strv_contains(known, type)) continue;
    g_autofree char *shown = error_clean_text(type);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "linux.namespaces[%zu].type: '%s' does not exist", i,
                shown);
    return FALSE;
  }
  return TRUE;
}

/* Who confines containers by it must not believe that it is done. Upstream's runtime and ours send no label unless
 * they were told that the guest has SELinux. */
static gboolean check_selinux(const char *label, const char *field, GError **error) {
  if (is_empty(label) || has_selinux()) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "%s: this guest's kernel has no SELinux", field);
  return FALSE;
}

static gboolean check_labels(const OciSpec *spec, GError **error) {
  return check_selinux(spec->process->selinuxlabel, "process.selinuxLabel", error) &&
         check_selinux(spec->linux->mountlabel, "linux.mountLabel", error);
}

/* The caches are those of the host's CPUs, which the VM's threads run on. */
static gboolean check_caches(const Grpc__LinuxIntelRdt *rdt, GError **error) {
  if (!rdt || is_empty(rdt->l3cacheschema)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "linux.intelRdt: a guest has no caches to allocate, only its host has");
  return FALSE;
}

/* Empty: left out by a caller who does not read a file. */
static gboolean check_version(const char *version, GError **error) {
  if (is_empty(version) || g_str_has_prefix(version, "1.")) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the OCI document's version '%s' is not known, only 1.x is",
              version);
  return FALSE;
}

gboolean spec_check(const OciSpec *spec, GError **error) {
  if (!spec || !spec->process || spec->process->n_args == 0 || is_empty(spec->process->args[0])) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the OCI document has no process to run");
    return FALSE;
  }
  if (!spec->root || !spec->linux) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the OCI document has no '%s'",
                spec->root ? "linux" : "root");
    return FALSE;
  }
  return check_version(spec->version, error) && safe_path_check(spec->root->path, "root path", error) &&
         safe_path_check(spec->process->cwd, "working directory", error) && check_devices(spec->linux, error) &&
         check_namespaces(spec->linux, error) && check_time(spec->linux, error) &&
         check_personality(spec->linux->personality, error) && check_labels(spec, error) &&
         check_caches(spec->linux->intelrdt, error) && spec_check_resources(spec->linux->resources, error) &&
         attributes_check(spec->process, error);
}

char *spec_get_cgroup_path(const OciSpec *spec, const char *container_id, GError **error) {
  const char *given = spec->linux ? spec->linux->cgroupspath : NULL;
  if (is_empty(given)) return g_strconcat("/", container_id, NULL);
  g_auto(GStrv) parts = g_strsplit_set(given, "/:", -1);
  g_autoptr(GString) path = g_string_new(NULL);
  for (char **part = parts; *part; part++)
    if (**part && strcmp(*part, ".") != 0) g_string_append_printf(path, "/%s", *part);
  if (path->len == 0 || !safe_path_check(path->str, "cgroupsPath", NULL)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid cgroupsPath '%s' of container '%s'", given,
                container_id);
    return NULL;
  }
  return g_string_free(g_steal_pointer(&path), FALSE);
}

/* Both the short names of namespaces and the long ones are seen. */
static const char *namespace_type(const char *type) {
  static const char *const longer[][2] = {{"mnt", "mount"}, {"net", "network"}};
  for (gsize i = 0; i < G_N_ELEMENTS(longer); i++)
    if (strcmp(type, longer[i][0]) == 0) return longer[i][1];
  return type;
}

static Grpc__LinuxNamespace *namespace_new(const char *type, const char *path) {
  Grpc__LinuxNamespace *entry = g_new(Grpc__LinuxNamespace, 1);
  grpc__linux_namespace__init(entry);
  protobuf_set_string(&entry->type, type);
  if (path) protobuf_set_string(&entry->path, path);
  return entry;
}

/* Our owner says so of a container that joins others; upstream's runtime never does. */
static gboolean has_own(const Grpc__Linux *linux, const char *type) {
  for (gsize i = 0; i < linux->n_namespaces; i++)
    if (strcmp(linux->namespaces[i]->type, type) == 0) return linux->namespaces[i]->own;
  return FALSE;
}

/* Of the sender's entries only those of mount and user count, and that of ipc and uts it has its own: the others are
 * the sandbox's, or always new. */
static void set_namespaces(Grpc__Linux *linux, const SpecPlace *place) {
  gboolean has_own_ipc = has_own(linux, "ipc"), has_own_uts = has_own(linux, "uts");
  g_autoptr(GPtrArray) entries = g_ptr_array_new();
  gboolean has_mount = FALSE;
  for (gsize i = 0; i < linux->n_namespaces; i++) {
    Grpc__LinuxNamespace *entry = linux->namespaces[i];
    const char *type = namespace_type(entry->type);
    gboolean is_mount = strcmp(type, "mount") == 0;
    if (is_mount || strcmp(type, "user") == 0) {
      g_ptr_array_add(entries, namespace_new(type, is_empty(entry->path) ? NULL : entry->path));
      has_mount |= is_mount;
    }
    protobuf_c_message_free_unpacked(&entry->base, NULL);
  }
  if (!has_mount) g_ptr_array_add(entries, namespace_new("mount", NULL));
  g_ptr_array_add(entries, namespace_new("pid", place->pid_path));
  g_ptr_array_add(entries, namespace_new("ipc", has_own_ipc ? NULL : place->ipc_path));
  g_ptr_array_add(entries, namespace_new("uts", has_own_uts ? NULL : place->uts_path));
  /* Without an entry crun refuses sysctls of the network. */
  g_ptr_array_add(entries, namespace_new("network", place->network_path));
  g_ptr_array_add(entries, namespace_new("cgroup", NULL));
  g_free(linux->namespaces);
  linux->n_namespaces = entries->len;
  linux->namespaces = (Grpc__LinuxNamespace **)g_ptr_array_steal(entries, NULL);
}

/* With these, and with rprivate where there is none, crun 1.8 in the end undoes what mounts have asked for themselves.
 * runc has a mount's own option count; without one it is private, as all mounts of the guest are. */
static void set_root_propagation(Grpc__Linux *linux) {
  static const char *const instead[][2] = {{"", "private"}, {"rprivate", "private"}, {"rslave", "slave"}};
  for (gsize i = 0; i < G_N_ELEMENTS(instead); i++)
    if (strcmp(linux->rootfspropagation, instead[i][0]) == 0) {
      protobuf_set_string(&linux->rootfspropagation, instead[i][1]);
      return;
    }
}

/* Kubernetes' emptyDir comes with a type of its own and the option that says what it is; crun goes by the type. */
static void set_bind_types(OciSpec *spec) {
  for (gsize i = 0; i < spec->n_mounts; i++) {
    Grpc__Mount *entry = spec->mounts[i];
    for (gsize j = 0; j < entry->n_options; j++)
      if (strcmp(entry->options[j], "bind") == 0 || strcmp(entry->options[j], "rbind") == 0)
        protobuf_set_string(&entry->type, "bind");
  }
}

/* Engines send one wherever their host has AppArmor, which says nothing of the guest, and upstream's runtime passes it
 * on: refusing it would refuse all containers of such hosts. */
static void drop_profile(OciProcess *process) {
  if (is_empty(process->apparmorprofile) || has_apparmor()) return;
  g_autofree char *shown = error_clean_text(process->apparmorprofile);
  g_warning("process.apparmorProfile '%s' confines nothing here: this guest's kernel has no AppArmor", shown);
  protobuf_set_string(&process->apparmorprofile, "");
}

OciProcess *spec_prepare_process(const OciProcess *process, GError **error) {
  if (!attributes_check(process, error) || !check_selinux(process->selinuxlabel, "process.selinuxLabel", error))
    return NULL;
  OciProcess *prepared = oci_process_copy(process);
  drop_profile(prepared);
  return prepared;
}

/* As upstream's agent: they belong to the host's runtime, which has run them. */
static void drop_runtime_hooks(Grpc__Hooks *hooks) {
  if (!hooks || hooks->n_createruntime == 0) return;
  g_warning("hooks.createRuntime: %zu hooks are not run here: they are the host's", hooks->n_createruntime);
  for (gsize i = 0; i < hooks->n_createruntime; i++)
    protobuf_c_message_free_unpacked(&hooks->createruntime[i]->base, NULL);
  hooks->n_createruntime = 0;
}

/* What those who know the agent leave out. */
static void warn_of_unused(const OciSpec *spec) {
  static const char *const of_sandbox[] = {"pid", "ipc", "uts", "net", "network", "cgroup", "time", NULL};
  for (gsize i = 0; i < spec->linux->n_namespaces; i++) {
    const Grpc__LinuxNamespace *entry = spec->linux->namespaces[i];
    if (is_empty(entry->path) || !g_strv_contains(of_sandbox, entry->type)) continue;
    g_autofree char *shown = error_clean_text(entry->path);
    g_warning("linux.namespaces: '%s' is not the namespace '%s' of the request: the sandbox's is shared, or a new one",
              entry->type, shown);
  }
  if (spec->solaris || spec->windows) g_warning("'solaris' and 'windows' of the OCI document are not looked at");
}

gboolean spec_has_own(const OciSpec *spec, const char *type) { return spec->linux && has_own(spec->linux, type); }

OciSpec *spec_prepare(const OciSpec *spec, const SpecPlace *place, GError **error) {
  if (!spec_check(spec, error)) return NULL;
  g_autofree char *cgroup_path = spec_get_cgroup_path(spec, place->container_id, error);
  if (!cgroup_path) return NULL;

  warn_of_unused(spec);
  g_autoptr(OciSpec) prepared = oci_spec_copy(spec);
  protobuf_set_string(&prepared->version, CRUN_VERSION);
  protobuf_set_string(&prepared->root->path, place->rootfs);
  protobuf_set_string(&prepared->linux->cgroupspath, cgroup_path);
  gboolean has_own_name = has_own(prepared->linux, "uts");
  set_namespaces(prepared->linux, place);
  set_root_propagation(prepared->linux);
  set_bind_types(prepared);
  /* The names are the sandbox's: a container that set them would rename all the others. */
  if (!has_own_name) protobuf_set_string(&prepared->hostname, "");
  if (!has_own_name) protobuf_set_string(&prepared->domainname, "");
  drop_profile(prepared->process);
  drop_runtime_hooks(prepared->hooks);
  if (!spec_prepare_resources(prepared->linux->resources, &place->kernel, error)) return NULL;
  /* Empty: it was looked at above. */
  if (prepared->linux->intelrdt) {
    protobuf_c_message_free_unpacked(&prepared->linux->intelrdt->base, NULL);
    prepared->linux->intelrdt = NULL;
  }
  return g_steal_pointer(&prepared);
}
