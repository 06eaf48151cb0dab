// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/vm.h"

#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/safe-path.h"
#include "shim/vm-loop.h"
#include "shim/vm-private.h"
#include "shim/vm-root.h"
#include "shim/vm-user.h"

/* What libvirt needs to clean up, on a busy machine. */
#define CLEAN_UP_MS 2000
#define PASSWD_BUFFER_BYTES 4096

/* ---- what libvirt says ---- */

/* libvirt's message may be many lines, QEMU's among them: the first belongs in ours, the others in the detail. */
void vm_set_libvirt_error(GError **error, kata_error_code code, const char *what, const char *qemu_words) {
  const virError *why = virGetLastError();
  const char *text = why != NULL && why->message != NULL ? why->message : "libvirt gave no reason";
  g_auto(GStrv) parts = g_strsplit(text, "\n", 2);
  g_autoptr(GError) made = g_error_new(KATA_ERROR, (int)code, "%s: %s", what, parts[0] != NULL ? parts[0] : "");
  if (parts[0] != NULL && parts[1] != NULL) error_append_detail(made, g_strchomp(parts[1]));
  error_append_detail(made, qemu_words);
  g_propagate_error(error, g_steal_pointer(&made));
}

/* ---- opening and closing ---- */

gboolean vm_get_user(uid_t *ret_uid, gid_t *ret_gid, GError **error) {
  char buffer[PASSWD_BUFFER_BYTES];
  struct passwd entry, *found = NULL;
  int reason = getpwnam_r(VM_USER, &entry, buffer, sizeof buffer, &found);
  if (found == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST,
                "cannot find the user '" VM_USER "' that QEMU runs as: %s; install libvirt-daemon-system",
                reason != 0 ? g_strerror(reason) : "no such user");
    return FALSE;
  }
  *ret_uid = entry.pw_uid;
  *ret_gid = entry.pw_gid;
  return TRUE;
}

static gboolean connect_embedded(Vm *vm, GError **error) {
  g_autofree char *escaped = g_uri_escape_string(vm->root_dir, "/", FALSE);
  g_autofree char *uri = g_strconcat("qemu:///embed?root=", escaped, NULL);
  g_autofree char *log_path = vm_root_log_path(vm->root_dir);
  if (!vm_loop_start(log_path, error)) return FALSE;
  vm->connection = virConnectOpen(uri);
  /* What parsing and probing left behind is given back: an idle owner's memory counts. */
  malloc_trim(0);
  if (vm->connection != NULL) return TRUE;
  g_autofree char *what = g_strdup_printf("cannot open libvirt's embedded driver at '%s'", vm->root_dir);
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, NULL);
  vm_loop_stop();
  return FALSE;
}

void vm_hide_bus(void) { g_setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/dev/null", TRUE); }

Vm *vm_open(const char *root_dir, const char *cache_dir, GError **error) {
  uid_t uid;
  gid_t gid;
  if (!safe_path_check(root_dir, "libvirt root directory", error) ||
      !safe_path_check(cache_dir, "libvirt cache directory", error) || !vm_get_user(&uid, &gid, error) ||
      !vm_root_prepare(root_dir, cache_dir, error))
    return NULL;
  g_autoptr(Vm) vm = g_new0(Vm, 1);
  vm->root_dir = g_strdup(root_dir);
  vm->cache_dir = g_strdup(cache_dir);
  vm->pidfd = -1;
  return connect_embedded(vm, error) ? g_steal_pointer(&vm) : NULL;
}

static void forget_process(Vm *vm) {
  vm->pid = 0;
  fd_clear(&vm->pidfd);
}

static void forget_domain(Vm *vm) {
  if (vm->domain != NULL) virDomainFree(vm->domain);
  vm->domain = NULL;
}

/* libvirt cleans up behind QEMU in a thread of its own; until it has, it may make files and directories below the root
 * directory, also one that was removed meanwhile. While QEMU is a zombie it waits, for a minute and more, and holds the
 * domain's lock, which every question about the domain needs; it writes nothing meanwhile. */
static void wait_until_cleaned_up(Vm *vm) {
  if (vm->domain == NULL || vm->pidfd >= 0 || vm->is_zombie) return;
  for (int waited = 0; waited < CLEAN_UP_MS && virDomainIsActive(vm->domain) == 1; waited++) g_usleep(1000);
}

void vm_free(Vm *vm) {
  if (vm == NULL) return;
  wait_until_cleaned_up(vm);
  forget_process(vm);
  forget_domain(vm);
  if (vm->connection != NULL) {
    virConnectClose(vm->connection);
    vm_loop_stop();
  }
  g_free(vm->root_dir);
  g_free(vm->cache_dir);
  g_free(vm);
}

/* ---- QEMU's process ---- */

/* FALSE if QEMU has ended already. */
static gboolean take_process(Vm *vm) {
  pid_t pid = vm_root_read_pid(vm->root_dir, virDomainGetName(vm->domain));
  autofd int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
  /* Asked after the descriptor is there, so that the pid cannot be another process's by now. */
  if (pidfd < 0 || virDomainIsActive(vm->domain) != 1) return FALSE;
  vm->pid = pid;
  vm->pidfd = fd_steal(&pidfd);
  vm->is_zombie = FALSE;
  return TRUE;
}

pid_t vm_get_pid(const Vm *vm) { return vm->pid; }

int vm_get_pidfd(const Vm *vm) { return vm->pidfd; }

/* ---- the domain ---- */

/* FALSE with an error if a machine runs. */
gboolean vm_check_idle(Vm *vm, const char *action, GError **error) {
  if (vm->pidfd >= 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot %s the virtual machine: one runs already", action);
    return FALSE;
  }
  /* Waits until libvirt has done with one that was destroyed. */
  if (vm->domain != NULL) virDomainDestroy(vm->domain);
  forget_domain(vm);
  virResetLastError();
  return TRUE;
}

static void set_ended_error(const Vm *vm, GError **error) {
  g_autofree char *words = vm_root_qemu_words(vm->root_dir);
  g_autoptr(GError) made =
      g_error_new(KATA_ERROR, KATA_ERR_GUEST, "cannot start the virtual machine: QEMU ended as soon as it had begun");
  error_append_detail(made, words);
  g_propagate_error(error, g_steal_pointer(&made));
}

gboolean vm_start(Vm *vm, const char *domain_xml, GError **error) {
  if (!vm_check_idle(vm, "start", error)) return FALSE;
  autofd int lock = vm_root_lock_cold_cache(vm->cache_dir);
  vm_loop_set_reaping(TRUE);
  vm->domain = virDomainCreateXML(vm->connection, domain_xml, VIR_DOMAIN_NONE);
  vm_loop_set_reaping(FALSE);
  if (vm->domain == NULL) {
    g_autofree char *words = vm_root_qemu_words(vm->root_dir);
    vm_set_libvirt_error(error, KATA_ERR_HOST, "cannot start the virtual machine", words);
  } else if (!take_process(vm)) {
    set_ended_error(vm, error);
  }
  malloc_trim(0);
  return vm->pidfd >= 0;
}

gboolean vm_find(Vm *vm, const char *domain_name, GError **error) {
  if (!vm_check_idle(vm, "take over", error)) return FALSE;
  vm->domain = virDomainLookupByName(vm->connection, domain_name);
  if (vm->domain != NULL && take_process(vm)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
              "cannot take over the virtual machine '%s' in '%s': it runs no more", domain_name, vm->root_dir);
  return FALSE;
}

gboolean vm_adopt(Vm *vm, const char *domain_name, GError **error) {
  if (!vm_find(vm, domain_name, error)) return FALSE;
  int state = 0;
  /* Whoever paused it would look for the owner that is gone. */
  if (virDomainGetState(vm->domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_PAUSED) virDomainResume(vm->domain);
  return TRUE;
}

gboolean vm_check_running(const Vm *vm, const char *what, GError **error) {
  virResetLastError();
  if (vm->pidfd >= 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "%s: no virtual machine runs", what);
  return FALSE;
}

gboolean vm_attach_virtiofs(Vm *vm, const char *socket_path, const char *tag, GError **error) {
  g_autofree char *xml = g_markup_printf_escaped(
      "<filesystem type='mount'><driver type='virtiofs' queue='1024'/><source socket='%s'/><target dir='%s'/>"
      "</filesystem>",
      socket_path, tag);
  g_autofree char *what = g_strdup_printf("cannot attach the shared directory '%s' to the virtual machine", tag);
  return vm_attach(vm, xml, what, error);
}

gboolean vm_set_vcpus(Vm *vm, guint vcpus, GError **error) {
  static const char what[] = "cannot plug virtual CPUs in";
  if (!vm_check_running(vm, what, error)) return FALSE;
  if (virDomainSetVcpusFlags(vm->domain, vcpus, VIR_DOMAIN_AFFECT_LIVE) == 0) return TRUE;
  vm_set_libvirt_error(error, KATA_ERR_HOST, what, NULL);
  return FALSE;
}

gboolean vm_add_memory(Vm *vm, guint64 mib, GError **error) {
  static const char what[] = "cannot plug memory in";
  g_autofree char *xml =
      g_strdup_printf("<memory model='dimm' access='shared'><target><size unit='MiB'>%" G_GUINT64_FORMAT
                      "</size><node>0</node></target></memory>",
                      mib);
  return vm_attach(vm, xml, what, error);
}

/*
 * virDomainDestroy() is not called: it sends SIGTERM and looks every 200 ms whether QEMU has been
 * reaped. libvirt sees the monitor's end and cleans up in a thread of its own; what it writes lies below the root
 * directory.
 */
void vm_destroy(Vm *vm) {
  vm_kill_process(vm);
  forget_process(vm);
}

/* QEMU has ended at libvirt's hands: what is left of its process goes as if it had been killed. */
void vm_forget_ended(Vm *vm) { vm_destroy(vm); }

char *vm_get_library_version(void) {
  unsigned long version = 0;
  if (virGetVersion(&version, NULL, NULL) != 0) return g_strdup("unknown");
  return g_strdup_printf("%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
}

/* ---- the cache ---- */

gboolean vm_warm_cache(const char *cache_dir, GError **error) {
  g_autofree char *root_dir = g_dir_make_tmp("kata-XXXXXX", error);
  if (root_dir == NULL) return FALSE;
  g_autofree char *capabilities = NULL;
  g_autoptr(Vm) vm = vm_open(root_dir, cache_dir, error);
  if (vm != NULL) {
    autofd int lock = vm_root_lock_cold_cache(cache_dir);
    virResetLastError();
    vm_loop_set_reaping(TRUE);
    capabilities = virConnectGetDomainCapabilities(vm->connection, NULL, "x86_64", "q35", NULL, 0);
    vm_loop_set_reaping(FALSE);
    if (capabilities == NULL) vm_set_libvirt_error(error, KATA_ERR_HOST, "cannot ask QEMU what it is capable of", NULL);
  }
  g_clear_pointer(&vm, vm_free);
  gboolean is_removed = safe_remove_tree(root_dir, capabilities != NULL ? error : NULL);
  return capabilities != NULL && is_removed;
}
