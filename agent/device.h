/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices by the addresses the host knows them by; looked up in /sys. Those that find are UeventFindFuncs. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* A guest PCI path: slots, and functions unless 0, from the root bus on, in hexadecimal: "02/01", "1e.1". With three
 * or more parts a first one of 20 and above is the number of another root bus. */
gboolean device_check_pci_path(const char *path, GError **error);
/* "ID:LUN". */
gboolean device_check_scsi_address(const char *address, GError **error);

/* A directory of /sys. */
char *device_find_pci(const char *path);
/* The node of the whole virtio disk at that PCI path: "/dev/vda". */
char *device_find_pci_block(const char *path);
/* The name of the network interface at that PCI path: "eth0". */
char *device_find_pci_net(const char *path);
/* The node of a SCSI disk on any adapter's first channel: "/dev/sda". */
char *device_find_scsi_block(const char *address);
/* The path itself, once it is that of a block device. */
char *device_find_block_node(const char *path);

/* Asks every SCSI adapter to look for a disk; waits for their answers. */
void device_scan_scsi(const char *address);

/* The numbers of a block or character device; *ret_type 'b' or 'c'. */
gboolean device_get_numbers(const char *node, char *ret_type, dev_t *ret_numbers, GError **error);
