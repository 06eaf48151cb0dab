/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of vm*.c know of a machine. */
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "common/error.h"
#include "shim/vm.h"

struct Vm {
  char *root_dir;
  char *cache_dir;
  virConnectPtr connection;
  virDomainPtr domain;
  pid_t pid;
  int pidfd;
  gboolean is_zombie; /* QEMU has ended, and whoever is its parent has not reaped it */
};

/* what, and libvirt's last words; the detail gets the rest of them and qemu_words (may be NULL). */
void vm_set_libvirt_error(GError **error, kata_error_code code, const char *what, const char *qemu_words);

/* FALSE with an error if one runs; waits until libvirt has done with one that has ended. */
gboolean vm_check_idle(Vm *vm, const char *action, GError **error);

void vm_forget_ended(Vm *vm);

/* Nothing if none runs. The process has been reaped afterwards, or is_zombie says that it has not. */
void vm_kill_process(Vm *vm);

/* FALSE with an error unless a machine runs; libvirt's last error is forgotten. */
gboolean vm_check_running(const Vm *vm, const char *what, GError **error);
