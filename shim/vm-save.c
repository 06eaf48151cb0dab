// SPDX-License-Identifier: LGPL-2.1-or-later
/* A machine's whole state in a file, and a machine out of it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fds.h"
#include "shim/vm-loop.h"
#include "shim/vm-private.h"
#include "shim/vm-root.h"

gboolean vm_suspend(Vm *vm, GError **error) {
  static const char what[] = "cannot pause the virtual machine";
  if (!vm_check_running(vm, what, error)) return FALSE;
  if (virDomainSuspend(vm->domain) == 0) return TRUE;
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, NULL);
  return FALSE;
}

gboolean vm_resume(Vm *vm, GError **error) {
  static const char what[] = "cannot let the virtual machine go on";
  if (!vm_check_running(vm, what, error)) return FALSE;
  if (virDomainResume(vm->domain) == 0) return TRUE;
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, NULL);
  return FALSE;
}

/* libvirt ends the domain with the save: QEMU, our child, is reaped as after a kill. */
gboolean vm_save(Vm *vm, const char *path, GError **error) {
  g_autofree char *what = g_strdup_printf("cannot save the virtual machine to '%s'", path);
  if (!vm_check_running(vm, what, error)) return FALSE;
  vm_loop_set_reaping(TRUE);
  int result = virDomainSaveFlags(vm->domain, path, NULL, VIR_DOMAIN_SAVE_PAUSED);
  vm_loop_set_reaping(FALSE);
  if (result < 0) {
    g_autofree char *words = vm_root_qemu_words(vm->root_dir);
    vm_set_libvirt_error(error, KATA_ERR_HOST, what, words);
    return FALSE;
  }
  vm_forget_ended(vm);
  return TRUE;
}

char *vm_read_saved_xml(Vm *vm, const char *path, GError **error) {
  g_autofree char *what = g_strdup_printf("cannot read the saved virtual machine '%s'", path);
  virResetLastError();
  char *xml = virDomainSaveImageGetXMLDesc(vm->connection, path, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE);
  if (xml == NULL) {
    vm_set_libvirt_error(error, KATA_ERR_INVALID_ARGUMENT, what, NULL);
    return NULL;
  }
  char *copy = g_strdup(xml);
  free(xml);
  return copy;
}

gboolean vm_restore(Vm *vm, const char *path, const char *domain_name, const char *domain_xml, GError **error) {
  g_autofree char *what = g_strdup_printf("cannot restore the virtual machine from '%s'", path);
  if (!vm_check_idle(vm, "restore", error)) return FALSE;
  autofd int lock = vm_root_lock_cold_cache(vm->cache_dir);
  vm_loop_set_reaping(TRUE);
  int result = virDomainRestoreFlags(vm->connection, path, domain_xml, VIR_DOMAIN_SAVE_PAUSED);
  vm_loop_set_reaping(FALSE);
  if (result < 0) {
    g_autofree char *words = vm_root_qemu_words(vm->root_dir);
    vm_set_libvirt_error(error, KATA_ERR_HOST, what, words);
    return FALSE;
  }
  return vm_adopt(vm, domain_name, error);
}
