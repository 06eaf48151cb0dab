// SPDX-License-Identifier: LGPL-2.1-or-later
/* A machine's whole state in a file, and a machine out of it. */
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/fds.h"
#include "shim/save-image.h"
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

static gboolean get_maker(Vm *vm, SaveImageMaker *ret_maker, GError **error) {
  unsigned long qemu = 0, libvirt = 0;
  if (virConnectGetVersion(vm->connection, &qemu) == 0 && virGetVersion(&libvirt, NULL, NULL) == 0) {
    *ret_maker = (SaveImageMaker){.qemu_version = qemu, .libvirt_version = libvirt};
    return TRUE;
  }
  vm_set_libvirt_error(error, KATA_ERR_HOST, "cannot ask QEMU and libvirt for their versions", NULL);
  return FALSE;
}

/* libvirt ends the domain with the save: QEMU, our child, is reaped as after a kill. */
static gboolean save_raw(Vm *vm, const char *path, const char *what, GError **error) {
  vm_loop_set_reaping(TRUE);
  int result = virDomainSaveFlags(vm->domain, path, NULL, VIR_DOMAIN_SAVE_PAUSED);
  vm_loop_set_reaping(FALSE);
  malloc_trim(0);
  if (result < 0) {
    g_autofree char *words = vm_root_qemu_words(vm->root_dir);
    vm_set_libvirt_error(error, KATA_ERR_HOST, what, words);
    unlink(path);
    return FALSE;
  }
  vm_forget_ended(vm);
  return TRUE;
}

gboolean vm_save(Vm *vm, const char *path, GError **error) {
  g_autofree char *what = g_strdup_printf("cannot save the virtual machine to '%s'", path);
  SaveImageMaker maker;
  if (!vm_check_running(vm, what, error) || !get_maker(vm, &maker, error)) return FALSE;
  if (access(path, F_OK) == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "%s: it exists", what);
    return FALSE;
  }
  g_autofree char *raw = g_strconcat(path, ".raw", NULL);
  if (!save_raw(vm, raw, what, error)) return FALSE;
  gboolean is_sealed = save_image_seal(raw, path, &maker, error);
  unlink(raw);
  return is_sealed;
}

/* libvirt writes a snapshot's memory as it writes a save, but the machine lives on. */
static gboolean snapshot_raw(Vm *vm, const char *path, const char *const *disks, const char *what, GError **error) {
  g_autofree char *memory = g_markup_printf_escaped("<memory snapshot='external' file='%s'/>", path);
  g_autoptr(GString) xml = g_string_new("<domainsnapshot>");
  g_string_append_printf(xml, "%s<disks>", memory);
  for (; *disks != NULL; disks++) g_string_append_printf(xml, "<disk name='%s' snapshot='no'/>", *disks);
  g_string_append(xml, "</disks></domainsnapshot>");
  virDomainSnapshotPtr snapshot =
      virDomainSnapshotCreateXML(vm->domain, xml->str, VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA);
  malloc_trim(0);
  if (snapshot != NULL) {
    virDomainSnapshotFree(snapshot);
    return TRUE;
  }
  g_autofree char *words = vm_root_qemu_words(vm->root_dir);
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, words);
  unlink(path);
  return FALSE;
}

gboolean vm_save_copy(Vm *vm, const char *path, const char *const *disks, GError **error) {
  g_autofree char *what = g_strdup_printf("cannot save the virtual machine to '%s'", path);
  SaveImageMaker maker;
  if (!vm_check_running(vm, what, error) || !get_maker(vm, &maker, error)) return FALSE;
  g_autofree char *raw = g_strconcat(path, ".raw", NULL);
  unlink(raw);
  unlink(path);
  gboolean is_saved = snapshot_raw(vm, raw, disks, what, error) && save_image_seal(raw, path, &maker, error);
  unlink(raw);
  return is_saved;
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

static gboolean check_maker(Vm *vm, const char *path, GError **error) {
  SaveImageMaker own, maker;
  if (!save_image_read_maker(path, &maker, error) || !get_maker(vm, &own, error)) return FALSE;
  if (own.qemu_version == maker.qemu_version && own.libvirt_version == maker.libvirt_version) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
              "cannot use the saved machine '%s': QEMU %" G_GUINT64_FORMAT " and libvirt %" G_GUINT64_FORMAT
              " wrote it, but here are %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT,
              path, maker.qemu_version, maker.libvirt_version, own.qemu_version, own.libvirt_version);
  return FALSE;
}

typedef struct {
  const char *path;
  GError *error;
} Check;

static gpointer check_thread(gpointer user_data) {
  Check *check = user_data;
  save_image_check(check->path, &check->error);
  return NULL;
}

static gboolean load_paused(Vm *vm, const char *path, const char *domain_xml, GError **error) {
  vm_loop_set_reaping(TRUE);
  int result = virDomainRestoreFlags(vm->connection, path, domain_xml, VIR_DOMAIN_SAVE_PAUSED);
  vm_loop_set_reaping(FALSE);
  malloc_trim(0);
  if (result == 0) return TRUE;
  g_autofree char *what = g_strdup_printf("cannot restore the virtual machine from '%s'", path);
  g_autofree char *words = vm_root_qemu_words(vm->root_dir);
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, words);
  return FALSE;
}

/* Loading takes longer than checking, so the file is checked meanwhile; the guest waits for both. */
gboolean vm_restore(Vm *vm, const char *path, const char *domain_name, const char *domain_xml, GError **error) {
  if (!vm_check_idle(vm, "restore", error) || !check_maker(vm, path, error)) return FALSE;
  autofd int lock = vm_root_lock_cold_cache(vm->cache_dir);
  Check check = {.path = path};
  GThread *checker = g_thread_new("check", check_thread, &check);
  g_autoptr(GError) why = NULL;
  gboolean is_loaded = load_paused(vm, path, domain_xml, &why) && vm_find(vm, domain_name, &why);
  g_thread_join(checker);
  if (is_loaded && check.error == NULL) return TRUE;
  vm_destroy(vm);
  /* A damaged file may be the reason why it did not load. */
  if (check.error != NULL)
    g_propagate_error(error, check.error);
  else
    g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}
