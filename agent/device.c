/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/device.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

#define SYS_DEVICES "/sys/devices"
#define SLOT_MAX 0x1f
#define FUNCTION_MAX 7
#define BUS_MAX 0xff
/* A bridge below a bridge below a bridge; upstream's runtime knows three. */
#define PCI_PARTS_MAX 8
#define SCSI_ID_MAX 255
#define SCSI_LUN_MAX 16383

/* ---- PCI ---- */

static gboolean parse_part(const char *part, gboolean is_first_of_many, guint *ret_slot, guint *ret_function) {
  g_auto(GStrv) numbers = g_strsplit(part, ".", 2);
  guint64 slot = 0;
  guint64 function = 0;
  if (!numbers[0] || !g_ascii_string_to_unsigned(numbers[0], 16, 0, is_first_of_many ? BUS_MAX : SLOT_MAX, &slot, NULL))
    return FALSE;
  if (numbers[1] && !g_ascii_string_to_unsigned(numbers[1], 16, 0, FUNCTION_MAX, &function, NULL)) return FALSE;
  *ret_slot = (guint)slot;
  *ret_function = (guint)function;
  return TRUE;
}

gboolean device_check_pci_path(const char *path, GError **error) {
  g_auto(GStrv) parts = g_strsplit(path, "/", PCI_PARTS_MAX + 1);
  guint n_parts = g_strv_length(parts);
  gboolean is_fine = n_parts >= 1 && n_parts <= PCI_PARTS_MAX;
  for (guint i = 0; is_fine && i < n_parts; i++) {
    guint slot = 0;
    guint function = 0;
    is_fine = parse_part(parts[i], i == 0 && n_parts >= 3, &slot, &function);
  }
  if (is_fine) return TRUE;
  g_autofree char *shown = error_clean_text(path);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "invalid guest PCI path '%s': not slots in hexadecimal from the root bus on, such as '02/01'", shown);
  return FALSE;
}

/* The first entry that matches, as a whole path. */
static char *find_entry(const char *directory, const char *pattern) {
  g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);
  for (const char *name; entries && (name = g_dir_read_name(entries));)
    if (fnmatch(pattern, name, 0) == 0) return g_build_filename(directory, name, NULL);
  return NULL;
}

/* Below a bridge the bus's number is whatever the kernel gave it. */
static char *find_in_bus(const char *directory, guint slot, guint function) {
  g_autofree char *pattern = g_strdup_printf("[0-9a-f]*:[0-9a-f][0-9a-f]:%02x.%x", slot, function);
  return find_entry(directory, pattern);
}

char *device_find_pci(const char *path) {
  if (!device_check_pci_path(path, NULL)) return NULL;
  g_auto(GStrv) parts = g_strsplit(path, "/", -1);
  guint n_parts = g_strv_length(parts);
  g_autofree char *directory = g_strdup(SYS_DEVICES "/pci0000:00");
  for (guint i = 0; i < n_parts; i++) {
    guint slot = 0;
    guint function = 0;
    parse_part(parts[i], TRUE, &slot, &function);
    char *next =
        slot > SLOT_MAX ? g_strdup_printf(SYS_DEVICES "/pci0000:%02x", slot) : find_in_bus(directory, slot, function);
    if (!next) return NULL;
    g_free(directory);
    directory = next;
  }
  return g_steal_pointer(&directory);
}

/* The name of what the virtio device at a PCI path is for the kernel's class "block" or "net". */
static char *find_virtio_name(const char *path, const char *class) {
  g_autofree char *pci = device_find_pci(path);
  g_autofree char *virtio = pci ? find_entry(pci, "virtio[0-9]*") : NULL;
  g_autofree char *parent = virtio ? g_build_filename(virtio, class, NULL) : NULL;
  g_autofree char *entry = parent ? find_entry(parent, "[!.]*") : NULL;
  return entry ? g_path_get_basename(entry) : NULL;
}

char *device_find_pci_net(const char *path) { return find_virtio_name(path, "net"); }

/* The kernel makes the node before it announces the device, but not before the directory is there. */
static char *node_of(const char *name) {
  if (!name) return NULL;
  g_autofree char *node = g_build_filename("/dev", name, NULL);
  return device_find_block_node(node);
}

char *device_find_pci_block(const char *path) {
  g_autofree char *name = find_virtio_name(path, "block");
  return node_of(name);
}

/* ---- SCSI ---- */

static gboolean parse_scsi_address(const char *address, guint *ret_id, guint *ret_lun) {
  g_auto(GStrv) numbers = g_strsplit(address, ":", -1);
  guint64 id = 0;
  guint64 lun = 0;
  if (g_strv_length(numbers) != 2 || !g_ascii_string_to_unsigned(numbers[0], 10, 0, SCSI_ID_MAX, &id, NULL) ||
      !g_ascii_string_to_unsigned(numbers[1], 10, 0, SCSI_LUN_MAX, &lun, NULL))
    return FALSE;
  *ret_id = (guint)id;
  *ret_lun = (guint)lun;
  return TRUE;
}

gboolean device_check_scsi_address(const char *address, GError **error) {
  guint id = 0;
  guint lun = 0;
  if (parse_scsi_address(address, &id, &lun)) return TRUE;
  g_autofree char *shown = error_clean_text(address);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "invalid SCSI address '%s': not 'ID:LUN' with an ID up to %d and a LUN up to %d", shown, SCSI_ID_MAX,
              SCSI_LUN_MAX);
  return FALSE;
}

char *device_find_scsi_block(const char *address) {
  guint id = 0;
  guint lun = 0;
  if (!parse_scsi_address(address, &id, &lun)) return NULL;
  g_autofree char *pattern = g_strdup_printf("[0-9]*:0:%u:%u", id, lun);
  g_autofree char *device = find_entry("/sys/class/scsi_device", pattern);
  g_autofree char *parent = device ? g_build_filename(device, "device/block", NULL) : NULL;
  g_autofree char *entry = parent ? find_entry(parent, "[!.]*") : NULL;
  g_autofree char *name = entry ? g_path_get_basename(entry) : NULL;
  return node_of(name);
}

void device_scan_scsi(const char *address) {
  guint id = 0;
  guint lun = 0;
  if (!parse_scsi_address(address, &id, &lun)) return;
  g_autofree char *text = g_strdup_printf("0 %u %u", id, lun);
  g_autoptr(GDir) hosts = g_dir_open("/sys/class/scsi_host", 0, NULL);
  for (const char *host; hosts && (host = g_dir_read_name(hosts));) {
    g_autofree char *path = g_build_filename("/sys/class/scsi_host", host, "scan", NULL);
    autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
    /* One that refuses is not the one: the wait for the disk will tell. */
    if (fd >= 0 && !fd_write_all(fd, text, strlen(text)))
      g_debug("'%s' does not look for disk '%s': %s", path, address, g_strerror(errno));
  }
}

/* ---- nodes ---- */

char *device_find_block_node(const char *path) {
  struct stat info;
  return lstat(path, &info) == 0 && S_ISBLK(info.st_mode) ? g_strdup(path) : NULL;
}

gboolean device_get_numbers(const char *node, char *ret_type, dev_t *ret_numbers, GError **error) {
  struct stat info;
  if (lstat(node, &info) < 0) {
    error_set_errno(error, errno, "cannot look at device '%s'", node);
    return FALSE;
  }
  if (!S_ISBLK(info.st_mode) && !S_ISCHR(info.st_mode)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "'%s' is not a device", node);
    return FALSE;
  }
  *ret_type = S_ISBLK(info.st_mode) ? 'b' : 'c';
  *ret_numbers = info.st_rdev;
  return TRUE;
}
