/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The disks that are plugged into a sandbox's machine. Calls come one after another (Sandbox.resizing). */
#pragma once

#include <glib.h>

#include "lib/disk-options.h"
#include "proto/kata-state.pb-c.h"
#include "shim/block-source.h"
#include "shim/vm.h"

typedef struct Disks Disks;

/* directory: where device nodes are, in the owner's mount namespace only; made when the first is needed.
 * n_ports: VmConfig.ports. options: the settings that its text belongs to outlive the disks. */
Disks *disks_new(const char *directory, guint n_ports, const DiskOptions *options);
/* Nobody has them any more: the machine has ended. */
void disks_forget_all(Disks *disks);
void disks_free(Disks *disks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Disks, disks_free)

/* Plugs the device, or the file as a disk, into the machine: as block_source_new(). The guest finds it some time after
 * at vm_config_port_pci_path(*ret_port). KATA_ERR_RESOURCE_EXHAUSTED: no port is left. */
gboolean disks_plug(Disks *disks, Vm *vm, int fd, dev_t device, const char *shown, gboolean read_only, guint *ret_port,
                    GError **error);

/* The same for a machine that is still to be started with the disk in it. */
gboolean disks_prepare(Disks *disks, guint port, int fd, dev_t device, const char *shown, gboolean read_only,
                       GError **error);

/* Takes it out again once its last user has said so; vm NULL: the machine has ended. A guest that does not let it go
 * keeps it until it ends, which is no error but a warning. */
void disks_unplug(Disks *disks, Vm *vm, guint port);

/* A direct-assigned volume, which all containers of a pod have as one disk. disks_use_volume() adds a user if it is
 * plugged in: disks_unplug() is due for each. */
void disks_set_volume(Disks *disks, guint port, const char *volume);
gboolean disks_use_volume(Disks *disks, const char *volume, guint *ret_port);
gboolean disks_has_volume(const Disks *disks, const char *volume);

/* Tells the guest the size that a disk has now; 0: unknown. */
gboolean disks_update_size(Disks *disks, Vm *vm, guint port, guint64 *ret_bytes, GError **error);

/* NULL: the port is empty. */
const BlockSource *disks_get(const Disks *disks, guint port);

/* For state.json; to be freed by protobuf-c. */
Kata__V1__DiskState *disks_to_state(const Disks *disks, guint port);
/* One that an earlier owner plugged in. */
gboolean disks_adopt(Disks *disks, const Kata__V1__DiskState *state, GError **error);
