/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How QEMU serves the disks of a guest, as the settings say. */
#pragma once

#include "lib/settings.h"

typedef struct {
  gboolean cache_set; /* all disks are cached in the same way; else as suits each */
  gboolean cache_direct;
  gboolean cache_noflush;
  const char *aio; /* libvirt's word; NULL: QEMU's own choice */
  gboolean own_thread;
  guint queues;         /* 0: QEMU's own choice */
  guint logical_bytes;  /* of a sector; 0: as the device has it */
  guint physical_bytes; /* likewise */
} DiskOptions;

/* ret_options: its text is the settings', or static. KATA_ERR_CONFIG: they do not go together. */
gboolean disk_options_read(const kata_settings *settings, DiskOptions *ret_options, GError **error);
