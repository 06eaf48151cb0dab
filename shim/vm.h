/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One virtual machine through libvirt's embedded QEMU driver; the only files that know libvirt.
 * Calls on one Vm come one after another; they block, so a main loop leaves them to a thread.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct Vm Vm;

/* At the program's start, before there are threads: libvirt shall not find the system bus. Where it does, it has
 * systemd-machined move QEMU out of the sandbox's cgroup into a scope of its own, whatever its settings say of cgroups.
 */
void vm_hide_bus(void);

/* Opens the embedded driver with root_dir (made if missing, PATHS_LIBVIRT) as its private root: one
 * per process, for good: libvirt never lets go of it. cache_dir: capability cache, made if missing, kept across
 * sandboxes, one for each accelerator. libvirt's own warnings go to root_dir/log/libvirt.log. Makes the process a
 * subreaper (prctl(2)): QEMU is its child. */
Vm *vm_open(const char *root_dir, const char *cache_dir, GError **error);

/* Starts a transient domain. The error's detail has libvirt's and QEMU's words. */
gboolean vm_start(Vm *vm, const char *domain_xml, GError **error);

/* Finds the domain that an earlier owner with the same root started, and lets it go on if it is paused.
 * KATA_ERR_NOT_FOUND if it runs no more. */
gboolean vm_adopt(Vm *vm, const char *domain_name, GError **error);

/* The same, but one that is paused stays so. */
gboolean vm_find(Vm *vm, const char *domain_name, GError **error);

/* QEMU's process, 0 when there is none. */
pid_t vm_get_pid(const Vm *vm);

/* Readable once QEMU has ended; owned by vm; -1 when there is none. */
int vm_get_pidfd(const Vm *vm);

/* Attaches a directory shared by a running virtiofsd. */
gboolean vm_attach_virtiofs(Vm *vm, const char *socket_path, const char *tag, GError **error);

/* Plugs a device in, given as libvirt's XML. what: the error's beginning. The guest may take its time to notice. */
gboolean vm_attach(Vm *vm, const char *device_xml, const char *what, GError **error);

/* Takes one out. TRUE: the guest was asked; it may refuse. */
gboolean vm_detach(Vm *vm, const char *device_xml, const char *what, GError **error);

/* Takes a disk out: disk_xml as it was plugged in, target its name in that. KATA_ERR_TIMEOUT: the guest does not let it
 * go, and it stays. */
gboolean vm_detach_disk(Vm *vm, const char *disk_xml, const char *target, guint timeout_ms, GError **error);

/* Tells the guest that a disk has got larger, or smaller. */
gboolean vm_resize_disk(Vm *vm, const char *target, guint64 bytes, GError **error);

/* Stops the machine's processors, and lets them go on. */
gboolean vm_suspend(Vm *vm, GError **error);
gboolean vm_resume(Vm *vm, GError **error);

/* Writes the machine's state (memory and devices, not disks) to a file, which must not exist, synced to disk and
 * readable by its owner only, and ends QEMU. On failure the machine is as it was, unless just the last step failed, for
 * want of space (vm_get_pid() tells). The file ends in a seal with a checksum and the versions of QEMU and libvirt;
 * pages of zeros are not in it. No vhost-user device, such as virtio-fs, may be there: QEMU 7.2 cannot save it. */
gboolean vm_save(Vm *vm, const char *path, GError **error);
/* The same, but the machine stays as it is, running or paused. disks: names of all it has (domain_xml_disk_target()),
 * which are no part of it either. A file that is there is replaced. */
gboolean vm_save_copy(Vm *vm, const char *path, const char *const *disks, GError **error);
/* The domain XML within a saved machine; NULL with KATA_ERR_INVALID_ARGUMENT if the file is none. To be freed with
 * g_free(). */
char *vm_read_saved_xml(Vm *vm, const char *path, GError **error);
/* Makes a machine from it, paused. domain_xml: as read, with other paths; name, UUID and devices must be the same.
 * KATA_ERR_INVALID_ARGUMENT: the file is damaged, or no saved machine; KATA_ERR_UNSUPPORTED: another version of QEMU or
 * libvirt wrote it. */
gboolean vm_restore(Vm *vm, const char *path, const char *domain_name, const char *domain_xml, GError **error);

/* Lets the guest have this many virtual CPUs, at most as many as the domain XML provides for. */
gboolean vm_set_vcpus(Vm *vm, guint vcpus, GError **error);

/* Plugs memory in that others can map too, as virtiofsd must. */
gboolean vm_add_memory(Vm *vm, guint64 mib, GError **error);

/* Kills QEMU if it runs, waits until it has ended (at most some seconds) and reaps it. Idempotent. libvirt's own
 * cleaning up goes on in a thread of its, inside root_dir. */
void vm_destroy(Vm *vm);

/* Closes the connection; a running QEMU stays. */
void vm_free(Vm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Vm, vm_free)

/* ---- without a connection ---- */

/* The user QEMU runs as: who must be able to open the kernel, the initrd and virtiofsd's socket. */
gboolean vm_get_user(uid_t *ret_uid, gid_t *ret_gid, GError **error);

/* libvirt's, as "9.0.0". */
char *vm_get_library_version(void);

/* Ends every QEMU and virtiofsd whose command line names sandbox_dir: after an owner's crash. Returns how many. */
guint vm_kill_strays(const char *sandbox_dir);

/* Whether pid is a QEMU or virtiofsd whose command line names sandbox_dir. */
gboolean vm_is_ours(pid_t pid, const char *sandbox_dir);

/* Fills the capability cache (half a second and more), so that the first sandbox need not. Uses vm_open() with a
 * temporary root, so that the process can have no other. */
gboolean vm_warm_cache(const char *cache_dir, GError **error);
