/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk that is plugged into a running machine. */
#pragma once

#include <glib.h>

#include "lib/disk-options.h"

typedef struct {
  guint port;       /* of VmConfig.ports, from 0: one disk each */
  const char *path; /* a block device's node, as QEMU sees it */
  gboolean read_only;
  const DiskOptions *options;
} VmDisk;

/* libvirt's name for the disk in a port; to be freed with g_free(). */
char *domain_xml_disk_target(guint port);

/* The libvirt XML of one disk; to be freed with g_free(). Pure. */
char *domain_xml_disk_build(const VmDisk *disk, GError **error);
