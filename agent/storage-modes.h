/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may not be done in a storage, a container may not do in it either. */
#pragma once

#include "agent/storage.h"
#include "common/oci.h"

/* crun sets the options of a bind mount to those of the document alone, and takes those of its source away. Adds "ro",
 * "nosuid", "nodev" and "noexec" of storages to the mounts that are bound from them. "suid", "dev" and "exec" of the
 * document have the last word, but not "rw", which runtimes write without being asked. */
void storage_modes_apply(const StorageTable *table, OciSpec *spec);
