// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/error.h"
#include "lib/domain-xml-disk.h"
#include "lib/vm-config.h"

/* What a guest may take to let a disk go, beside what libvirt waits (5 s). */
#define UNPLUG_TIMEOUT_MS 5000

struct Disks {
  char *directory;
  gboolean is_mounted;
  guint n_ports;
  DiskOptions options;
  BlockSource *ports[VM_CONFIG_PORTS_MAX];
  char *volumes[VM_CONFIG_PORTS_MAX]; /* of direct-assigned ones: which; else NULL */
  guint users[VM_CONFIG_PORTS_MAX];   /* further ones of a volume */
};

static void clear_port(Disks *disks, guint port) {
  g_clear_pointer(&disks->ports[port], block_source_free);
  g_clear_pointer(&disks->volumes[port], g_free);
  disks->users[port] = 0;
}

Disks *disks_new(const char *directory, guint n_ports, const DiskOptions *options) {
  Disks *disks = g_new0(Disks, 1);
  disks->directory = g_strdup(directory);
  disks->n_ports = MIN(n_ports, VM_CONFIG_PORTS_MAX);
  disks->options = *options;
  return disks;
}

void disks_forget_all(Disks *disks) {
  for (guint i = 0; i < VM_CONFIG_PORTS_MAX; i++) clear_port(disks, i);
  if (disks->is_mounted) umount2(disks->directory, MNT_DETACH | UMOUNT_NOFOLLOW);
  disks->is_mounted = FALSE;
}

void disks_free(Disks *disks) {
  if (disks == NULL) return;
  disks_forget_all(disks);
  g_free(disks->directory);
  g_free(disks);
}

/* The host's /run takes no device nodes ("nodev"), and they are nobody else's business. */
static gboolean make_directory(Disks *disks, GError **error) {
  if (disks->is_mounted) return TRUE;
  disks->is_mounted =
      (mkdir(disks->directory, 0711) == 0 || errno == EEXIST) &&
      mount("kata", disks->directory, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,nr_inodes=256,mode=0711") == 0;
  if (!disks->is_mounted) error_set_errno(error, errno, "cannot make a place for devices at '%s'", disks->directory);
  return disks->is_mounted;
}

static char *node_path(const Disks *disks, guint port) {
  g_autofree char *name = g_strdup_printf("%u", port);
  return g_build_filename(disks->directory, name, NULL);
}

static gboolean find_port(const Disks *disks, const char *shown, guint *ret_port, GError **error) {
  for (guint i = 0; i < disks->n_ports; i++) {
    if (disks->ports[i] != NULL) continue;
    *ret_port = i;
    return TRUE;
  }
  g_set_error(
      error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
      "cannot plug '%s' into the virtual machine: all %u ports are taken (setting hypervisor.qemu.pcie_root_port)",
      shown, disks->n_ports);
  return FALSE;
}

static char *build_xml(const Disks *disks, guint port, GError **error) {
  const BlockSource *source = disks->ports[port];
  const VmDisk disk = {port, block_source_get_node(source), block_source_is_read_only(source), &disks->options};
  return domain_xml_disk_build(&disk, error);
}

gboolean disks_prepare(Disks *disks, guint port, int fd, dev_t device, const char *shown, gboolean read_only,
                       GError **error) {
  if (port >= disks->n_ports || disks->ports[port] != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot put '%s' into port %u: it is taken, or not there",
                shown, port);
    return FALSE;
  }
  if (!make_directory(disks, error)) return FALSE;
  g_autofree char *node = node_path(disks, port);
  disks->ports[port] = block_source_new(fd, device, shown, node, read_only, error);
  return disks->ports[port] != NULL;
}

gboolean disks_plug(Disks *disks, Vm *vm, int fd, dev_t device, const char *shown, gboolean read_only, guint *ret_port,
                    GError **error) {
  guint port = 0;
  if (!find_port(disks, shown, &port, error) || !disks_prepare(disks, port, fd, device, shown, read_only, error))
    return FALSE;
  g_autofree char *what = g_strdup_printf("cannot plug '%s' into the virtual machine", shown);
  g_autofree char *xml = build_xml(disks, port, error);
  if (xml != NULL && vm_attach(vm, xml, what, error)) {
    *ret_port = port;
    return TRUE;
  }
  clear_port(disks, port);
  return FALSE;
}

void disks_unplug(Disks *disks, Vm *vm, guint port) {
  if (port >= VM_CONFIG_PORTS_MAX || disks->ports[port] == NULL) return;
  if (disks->users[port] > 0) {
    disks->users[port]--;
    return;
  }
  g_autoptr(GError) error = NULL;
  g_autofree char *xml = build_xml(disks, port, &error);
  g_autofree char *target = domain_xml_disk_target(port);
  if (vm != NULL && vm_get_pid(vm) != 0 && xml != NULL && !vm_detach_disk(vm, xml, target, UNPLUG_TIMEOUT_MS, &error) &&
      vm_get_pid(vm) != 0) {
    g_warning("'%s' stays with the guest until that ends: %s", block_source_get_shown(disks->ports[port]),
              error->message);
    return;
  }
  clear_port(disks, port);
}

/* ---- volumes ---- */

static gboolean find_volume(const Disks *disks, const char *volume, guint *ret_port) {
  for (guint i = 0; i < VM_CONFIG_PORTS_MAX; i++) {
    if (disks->ports[i] == NULL || g_strcmp0(disks->volumes[i], volume) != 0) continue;
    *ret_port = i;
    return TRUE;
  }
  return FALSE;
}

gboolean disks_has_volume(const Disks *disks, const char *volume) {
  guint port = 0;
  return find_volume(disks, volume, &port);
}

gboolean disks_use_volume(Disks *disks, const char *volume, guint *ret_port) {
  if (!find_volume(disks, volume, ret_port)) return FALSE;
  disks->users[*ret_port]++;
  return TRUE;
}

void disks_set_volume(Disks *disks, guint port, const char *volume) {
  g_free(disks->volumes[port]);
  disks->volumes[port] = g_strdup(volume);
}

/* ---- sizes ---- */

gboolean disks_update_size(Disks *disks, Vm *vm, guint port, guint64 *ret_bytes, GError **error) {
  g_autofree char *target = domain_xml_disk_target(port);
  *ret_bytes = block_source_update_size(disks->ports[port]);
  return *ret_bytes == 0 || vm_resize_disk(vm, target, *ret_bytes, error);
}

const BlockSource *disks_get(const Disks *disks, guint port) {
  return port < VM_CONFIG_PORTS_MAX ? disks->ports[port] : NULL;
}

/* ---- across owners ---- */

Kata__V1__DiskState *disks_to_state(const Disks *disks, guint port) {
  const BlockSource *source = disks->ports[port];
  Kata__V1__DiskState *state = calloc(1, sizeof *state);
  kata__v1__disk_state__init(state);
  state->port = port;
  if (source == NULL) return state;
  state->source = strdup(block_source_get_shown(source));
  state->lock = strdup(block_source_get_lock_name(source));
  state->read_only = block_source_is_read_only(source);
  if (disks->volumes[port] != NULL) state->volume = strdup(disks->volumes[port]);
  return state;
}

gboolean disks_adopt(Disks *disks, const Kata__V1__DiskState *state, GError **error) {
  guint port = 0;
  if (*state->volume != '\0' && find_volume(disks, state->volume, &port) && port == state->port)
    return disks_use_volume(disks, state->volume, &port);
  if (state->port >= VM_CONFIG_PORTS_MAX || disks->ports[state->port] != NULL || *state->lock == '\0' ||
      strchr(state->lock, '/') != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the state of the disk in port %u makes no sense",
                state->port);
    return FALSE;
  }
  g_autofree char *node = node_path(disks, state->port);
  disks->is_mounted = TRUE; /* QEMU's namespace has it */
  disks->ports[state->port] = block_source_adopt(state->lock, state->source, node, state->read_only, error);
  if (disks->ports[state->port] == NULL) return FALSE;
  if (*state->volume != '\0') disks_set_volume(disks, state->port, state->volume);
  return TRUE;
}
