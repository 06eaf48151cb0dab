// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/guest-spec.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mount-point.h"
#include "common/protobuf-text.h"

/* Policies and profiles are the host's. */
#define NO_SELINUX "the guest has no policy of SELinux"
#define NO_APPARMOR "the guest has no profiles of AppArmor"

void guest_share_free(GuestShare *share) {
  if (share == NULL) return;
  g_free(share->host_path);
  g_free(share->name);
  g_free(share->fstype);
  g_strfreev(share->options);
  rootfs_layers_free(share->layers);
  g_free(share);
}

static char *absolute_path(const char *path, const char *bundle) {
  return g_path_is_absolute(path) ? g_canonicalize_filename(path, "/") : g_canonicalize_filename(path, bundle);
}

static GuestShare *add_share(GPtrArray *shares, char *host_path, char *name, gboolean read_only) {
  GuestShare *share = g_new0(GuestShare, 1);
  share->host_path = host_path;
  share->name = name;
  share->read_only = read_only;
  g_ptr_array_add(shares, share);
  return share;
}

/* Types of mounts of upstream's runtime, whose sources are names of volumes that "direct-volume add" has told of. */
static gboolean take_volume(Grpc__Mount *mount, gboolean *ret_is_volume, GError **error) {
  *ret_is_volume = strcmp(mount->type, "directvol") == 0;
  if (strcmp(mount->type, "vfiovol") == 0 || strcmp(mount->type, "spdkvol") == 0) {
    g_autofree char *shown = error_clean_text(mount->destination);
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "config.json: mounts: '%s': guests have no volumes of type '%s', only 'directvol'", shown, mount->type);
    return FALSE;
  }
  if (!*ret_is_volume) return TRUE;
  protobuf_set_string(&mount->type, "bind");
  if (!mount_has_option(mount, "bind") && !mount_has_option(mount, "rbind"))
    protobuf_append_string(&mount->options, &mount->n_options, "rbind");
  return TRUE;
}

static gboolean rewrite_mounts(OciSpec *spec, const char *container_id, const char *bundle, GPtrArray *shares,
                               GError **error) {
  guint number = 0;
  for (size_t i = 0; i < spec->n_mounts; i++) {
    Grpc__Mount *mount = spec->mounts[i];
    gboolean is_volume = FALSE;
    if (!take_volume(mount, &is_volume, error)) return FALSE;
    if (!mount_is_bind(mount)) continue;
    /* A comma cannot occur in an id, so this never meets another container's root file system. */
    char *name = g_strdup_printf("%s,%u", container_id, number++);
    g_autofree char *guest = g_strconcat(GUEST_SHARE_DIR, name, NULL);
    GuestShare *share = add_share(shares, absolute_path(mount->source, bundle), name, mount_has_option(mount, "ro"));
    share->is_flat = !mount_has_option(mount, "rbind");
    share->is_volume = is_volume;
    protobuf_set_string(&mount->source, guest);
  }
  return TRUE;
}

/* The guest has its own processes, cgroups, network and clock; the agent adds the pid namespace. */
static void rewrite_namespaces(Grpc__Linux *lin, gboolean *ret_shares_pidns) {
  static const char *const dropped[] = {"pid", "cgroup", "network", "time", NULL};
  size_t kept = 0;
  for (size_t i = 0; i < lin->n_namespaces; i++) {
    Grpc__LinuxNamespace *entry = lin->namespaces[i];
    if (strcmp(entry->type, "pid") == 0 && *entry->path != '\0') *ret_shares_pidns = TRUE;
    if (g_strv_contains(dropped, entry->type)) {
      protobuf_c_message_free_unpacked(&entry->base, NULL);
      continue;
    }
    protobuf_set_string(&entry->path, "");
    lin->namespaces[kept++] = entry;
  }
  lin->n_namespaces = kept;
}

/* Engines send these because of what their host is, so that nothing is refused; the owner's log names what is left out.
 */
static void warn_left_out(const char *container_id, const char *what, const char *why) {
  g_warning("container '%s': %s is left out: %s", container_id, what, why);
}

static void take_label(const char *container_id, char **label, const char *name, const char *why) {
  if (**label == '\0') return;
  g_autofree char *shown = error_clean_text(*label);
  g_autofree char *what = g_strdup_printf("%s '%s'", name, shown);
  warn_left_out(container_id, what, why);
  protobuf_set_string(label, "");
}

static void move_string(char **to, char **from) {
  protobuf_set_string(to, *from);
  protobuf_set_string(from, "");
}

static gboolean is_guest_device(const Grpc__Linux *lin, gint64 major, gint64 minor) {
  for (size_t i = 0; lin != NULL && i < lin->n_devices; i++) {
    const Grpc__LinuxDevice *device = lin->devices[i];
    if (strcmp(device->type, "b") == 0 && device->major == major && device->minor == minor) return TRUE;
  }
  return FALSE;
}

static void keep_guest_throttles(const Grpc__Linux *lin, Grpc__LinuxThrottleDevice **entries, size_t *n_entries) {
  size_t kept = 0;
  for (size_t i = 0; i < *n_entries; i++) {
    if (is_guest_device(lin, entries[i]->major, entries[i]->minor))
      entries[kept++] = entries[i];
    else
      protobuf_c_message_free_unpacked(&entries[i]->base, NULL);
  }
  *n_entries = kept;
}

static void warn_weight(const char *container_id, const Grpc__LinuxWeightDevice *entry) {
  g_autofree char *what = g_strdup_printf(
      "linux.resources.blockIO.weightDevice of %" G_GINT64_FORMAT ":%" G_GINT64_FORMAT, entry->major, entry->minor);
  warn_left_out(container_id, what, "it is no device of the container");
}

/* Rates for the host's other disks are kept by the host's cgroups. */
static void rewrite_block_io(const char *container_id, Grpc__LinuxBlockIO *block_io, const Grpc__Linux *lin) {
  size_t kept = 0;
  for (size_t i = 0; i < block_io->n_weightdevice; i++) {
    Grpc__LinuxWeightDevice *entry = block_io->weightdevice[i];
    if (is_guest_device(lin, entry->major, entry->minor)) {
      block_io->weightdevice[kept++] = entry;
      continue;
    }
    warn_weight(container_id, entry);
    protobuf_c_message_free_unpacked(&entry->base, NULL);
  }
  block_io->n_weightdevice = kept;
  keep_guest_throttles(lin, block_io->throttlereadbpsdevice, &block_io->n_throttlereadbpsdevice);
  keep_guest_throttles(lin, block_io->throttlewritebpsdevice, &block_io->n_throttlewritebpsdevice);
  keep_guest_throttles(lin, block_io->throttlereadiopsdevice, &block_io->n_throttlereadiopsdevice);
  keep_guest_throttles(lin, block_io->throttlewriteiopsdevice, &block_io->n_throttlewriteiopsdevice);
}

/* It marks what leaves the host's own processes, and nothing of the guest's is one. */
static void drop_network(const char *container_id, Grpc__LinuxResources *resources) {
  static const char why[] = "the container's network is the guest's";
  if (resources->network == NULL) return;
  if (resources->network->classid != 0) warn_left_out(container_id, "linux.resources.network.classID", why);
  if (resources->network->n_priorities > 0) warn_left_out(container_id, "linux.resources.network.priorities", why);
  protobuf_c_message_free_unpacked(&resources->network->base, NULL);
  resources->network = NULL;
}

void guest_resources_rewrite(const char *container_id, Grpc__LinuxResources *resources, const Grpc__Linux *lin) {
  if (resources == NULL) return;
  if (resources->cpu != NULL) {
    move_string(&resources->cpu->hostcpus, &resources->cpu->cpus);
    move_string(&resources->cpu->hostmems, &resources->cpu->mems);
  }
  if (resources->blockio != NULL) rewrite_block_io(container_id, resources->blockio, lin);
  drop_network(container_id, resources);
}

/* Privileged containers are given every device the host has; what somebody wants has a rule of its own. */
static gboolean is_wanted(const Grpc__Linux *lin, const Grpc__LinuxDevice *device) {
  for (size_t i = 0; lin->resources != NULL && i < lin->resources->n_devices; i++) {
    const Grpc__LinuxDeviceCgroup *rule = lin->resources->devices[i];
    if (rule->allow && rule->major_given_case == GRPC__LINUX_DEVICE_CGROUP__MAJOR_GIVEN_MAJOR &&
        rule->minor_given_case == GRPC__LINUX_DEVICE_CGROUP__MINOR_GIVEN_MINOR && rule->major == device->major &&
        rule->minor == device->minor)
      return TRUE;
  }
  return FALSE;
}

/* A block device of the host is none of the guest's unless it is plugged in; character devices have the same numbers in
 * both. */
static void rewrite_devices(Grpc__Linux *lin) {
  size_t kept = 0;
  for (size_t i = 0; i < lin->n_devices; i++) {
    if (strcmp(lin->devices[i]->type, "b") == 0 && !is_wanted(lin, lin->devices[i]))
      protobuf_c_message_free_unpacked(&lin->devices[i]->base, NULL);
    else
      lin->devices[kept++] = lin->devices[i];
  }
  lin->n_devices = kept;
}

/* Who listens there is on the host, and cannot look into the guest's processes. */
static gboolean check_seccomp(const OciSpec *spec, GError **error) {
  const Grpc__LinuxSeccomp *seccomp = spec->linux != NULL ? spec->linux->seccomp : NULL;
  if (seccomp == NULL || *seccomp->listenerpath == '\0') return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "config.json: linux.seccomp.listenerPath: a listener on the host cannot serve processes of a guest");
  return FALSE;
}

void guest_spec_keep_own(OciSpec *spec) {
  for (size_t i = 0; spec->linux != NULL && i < spec->linux->n_namespaces; i++)
    spec->linux->namespaces[i]->own = *spec->linux->namespaces[i]->path == '\0';
}

void guest_process_rewrite(const char *container_id, OciProcess *process) {
  take_label(container_id, &process->selinuxlabel, "process.selinuxLabel", NO_SELINUX);
  take_label(container_id, &process->apparmorprofile, "process.apparmorProfile", NO_APPARMOR);
}

GPtrArray *guest_spec_rewrite(OciSpec *spec, const char *container_id, const char *bundle, gboolean *ret_shares_pidns,
                              GError **error) {
  if (!check_seccomp(spec, error)) return NULL;
  g_autoptr(GPtrArray) shares = g_ptr_array_new_with_free_func((GDestroyNotify)guest_share_free);
  g_autofree char *guest_root = g_strconcat(GUEST_SHARE_DIR, container_id, NULL);
  add_share(shares, absolute_path(spec->root->path, bundle), g_strdup(container_id), spec->root->readonly);
  protobuf_set_string(&spec->root->path, guest_root);
  if (!rewrite_mounts(spec, container_id, bundle, shares, error)) return NULL;
  gboolean shares_pidns = FALSE;
  if (spec->linux != NULL) {
    rewrite_namespaces(spec->linux, &shares_pidns);
    rewrite_devices(spec->linux);
    guest_resources_rewrite(container_id, spec->linux->resources, spec->linux);
    protobuf_set_string(&spec->linux->cgroupspath, "");
    take_label(container_id, &spec->linux->mountlabel, "linux.mountLabel", NO_SELINUX);
  }
  if (spec->process != NULL) guest_process_rewrite(container_id, spec->process);
  *ret_shares_pidns = shares_pidns;
  return g_steal_pointer(&shares);
}
