// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is plugged into a running machine and taken out of it. */

#include "shim/vm-private.h"
#include "shim/vm-root.h"

#define POLL_MS 20

gboolean vm_attach(Vm *vm, const char *device_xml, const char *what, GError **error) {
  if (!vm_check_running(vm, what, error)) return FALSE;
  if (virDomainAttachDeviceFlags(vm->domain, device_xml, VIR_DOMAIN_AFFECT_LIVE) == 0) return TRUE;
  g_autofree char *words = vm_root_qemu_words(vm->root_dir);
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, words);
  return FALSE;
}

gboolean vm_detach(Vm *vm, const char *device_xml, const char *what, GError **error) {
  if (!vm_check_running(vm, what, error)) return FALSE;
  if (virDomainDetachDeviceFlags(vm->domain, device_xml, VIR_DOMAIN_AFFECT_LIVE) == 0) return TRUE;
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, NULL);
  return FALSE;
}

/* Asks libvirt, not QEMU: the entry goes with QEMU's message that the guest has let the disk go. */
static gboolean has_disk(const Vm *vm, const char *target) {
  virDomainBlockInfo info;
  if (virDomainGetBlockInfo(vm->domain, target, &info, 0) == 0) return TRUE;
  const virError *why = virGetLastError();
  return why == NULL || why->code != VIR_ERR_INVALID_ARG;
}

gboolean vm_detach_disk(Vm *vm, const char *disk_xml, const char *target, guint timeout_ms, GError **error) {
  g_autofree char *what = g_strdup_printf("cannot take the disk '%s' out of the virtual machine", target);
  if (!vm_check_running(vm, what, error)) return FALSE;
  /* libvirt waits for the guest for some seconds, and answers the same if that did nothing. */
  if (virDomainDetachDeviceFlags(vm->domain, disk_xml, VIR_DOMAIN_AFFECT_LIVE) < 0) {
    vm_set_libvirt_error(error, KATA_ERR_HOST, what, NULL);
    return FALSE;
  }
  gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
  while (has_disk(vm, target)) {
    if (g_get_monotonic_time() > deadline) {
      g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "%s: the guest does not let it go", what);
      return FALSE;
    }
    g_usleep(POLL_MS * 1000);
  }
  return TRUE;
}

gboolean vm_resize_disk(Vm *vm, const char *target, guint64 bytes, GError **error) {
  g_autofree char *what = g_strdup_printf("cannot change the size of the disk '%s'", target);
  if (!vm_check_running(vm, what, error)) return FALSE;
  if (virDomainBlockResize(vm->domain, target, bytes, VIR_DOMAIN_BLOCK_RESIZE_BYTES) == 0) return TRUE;
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, NULL);
  return FALSE;
}
