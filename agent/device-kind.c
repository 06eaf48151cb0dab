/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/device-kind.h"

#include <string.h>

#include "agent/device.h"
#include "agent/task.h"
#include "common/error.h"
#include "common/safe-path.h"

static gboolean check_node(const char *path, GError **error) {
  if (!safe_path_check(path, "device", error)) return FALSE;
  if (g_str_has_prefix(path, "/dev/")) return TRUE;
  g_autofree char *shown = error_clean_text(path);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid device: path '%s' is not below '/dev'", shown);
  return FALSE;
}

/* A disk is named by its node if the host knows that, otherwise by where it is plugged in. */
static gboolean check_disk(const char *address, GError **error) {
  return *address == '/' ? check_node(address, error) : device_check_pci_path(address, error);
}

static char *find_disk(const char *address) {
  return *address == '/' ? device_find_block_node(address) : device_find_pci_block(address);
}

static const DeviceKind kinds[] = {
    {"blk", "virtio disk", check_disk, find_disk, FALSE},
    {"mmioblk", "virtio disk", check_node, device_find_block_node, FALSE},
    {"scsi", "SCSI disk", device_check_scsi_address, device_find_scsi_block, TRUE},
    {"nvdimm", "persistent memory", check_node, device_find_block_node, FALSE},
};

const DeviceKind *device_kind_find(const char *name) {
  for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  return NULL;
}

static gboolean scan(gpointer data, GString *result, GError **error) {
  device_scan_scsi(data);
  return TRUE;
}

static void scanned(const char *result, const GError *error, gpointer address) {
  g_free(address);
  if (error) g_warning("cannot look for SCSI disks: %s", error->message);
}

UeventWait *device_kind_wait(const DeviceKind *kind, const char *address, UeventMonitor *uevents, Reaper *reaper,
                             guint timeout_ms, UeventFunc func, gpointer user_data) {
  g_autofree char *found = kind->needs_scan ? kind->find(address) : NULL;
  if (kind->needs_scan && !found) {
    /* The wait may be over first, and the request gone. */
    TaskRequest request = {.work = scan, .data = g_strdup(address)};
    task_start(reaper, &request, scanned, request.data);
  }
  return uevent_wait(uevents, kind->what, kind->find, address, timeout_ms, func, user_data);
}
