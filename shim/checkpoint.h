/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sandbox with its one container as files in a directory, and such a sandbox made from them: checkpoint.json says
 * what there is, "machine" is the virtual machine, disk-N the content of the disk in port N, if the guest can write to
 * it.
 */
#pragma once

#include <glib.h>

#include "shim/sandbox.h"

/* Saves the sandbox of container. It goes on afterwards, unless leave_running is FALSE: then it stands still, and its
 * caller stops it. On failure it goes on. KATA_ERR_UNSUPPORTED: the reason why its
 * state cannot be saved, and what to do about it. */
gboolean checkpoint_save(Sandbox *sandbox, Container *container, const char *directory, gboolean leave_running,
                         GError **error);

/* Reads checkpoint.json. KATA_ERR_NOT_FOUND: there is none; KATA_ERR_INVALID_ARGUMENT: it is damaged. */
Kata__V1__Checkpoint *checkpoint_load(const char *directory, GError **error);

/* Whether a sandbox with these settings can become what was saved. */
gboolean checkpoint_check(const Kata__V1__Checkpoint *checkpoint, Sandbox *sandbox, GError **error);

/* What a start from a checkpoint needs; Sandbox.restoring. */
typedef struct Restoring {
  const char *directory;
  const Kata__V1__Checkpoint *checkpoint;
  /* Puts the disks into disks, under the ports that the checkpoint has them in, with their saved content. */
  gboolean (*prepare_disks)(struct Restoring *restoring, Disks *disks, GError **error);
  gpointer user_data;
} Restoring;

/* In the network namespace the machine shall live in: makes it, paused. */
gboolean checkpoint_restore_machine(Sandbox *sandbox, GError **error);
/* For prepare_disks: writes the saved content to the disks. */
gboolean checkpoint_restore_disks(const Restoring *restoring, Disks *disks, GError **error);
