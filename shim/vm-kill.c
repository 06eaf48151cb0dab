// SPDX-License-Identifier: LGPL-2.1-or-later
/* The end of a QEMU: killed, reaped, and only then missed by libvirt.
 *
 * A process that dies closes its sockets before it becomes a zombie, and in between it gives the guest's memory back.
 * libvirt sees the monitor's end, sends the process a signal and, as long as that works, looks again every 200 ms, with
 * the domain's lock held. So QEMU's sockets are held open here until QEMU has been reaped: whoever then reads an end
 * finds no process. Where descriptors of another process may not be had (no CAP_SYS_PTRACE), libvirt takes its time. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fds.h"
#include "shim/vm-private.h"

/* A killed QEMU ends within milliseconds, unless the kernel holds it in a disk's or a file server's hands. */
#define KILL_WAIT_MS 5000
/* How long somebody else, who has got an adopted QEMU as a child, may take to reap it. */
#define REAP_WAIT_MS 50

static gboolean is_socket(const char *directory, const char *name) {
  g_autofree char *path = g_build_filename(directory, name, NULL);
  g_autofree char *target = g_file_read_link(path, NULL);
  return target != NULL && g_str_has_prefix(target, "socket:");
}

/* Descriptors of our own for the sockets that the process has. */
static GArray *hold_sockets(pid_t pid, int pidfd) {
  GArray *held = g_array_new(FALSE, FALSE, sizeof(int));
  g_array_set_clear_func(held, (GDestroyNotify)fd_clear);
  g_autofree char *directory = g_strdup_printf("/proc/%d/fd", (int)pid);
  g_autoptr(GDir) list = g_dir_open(directory, 0, NULL);
  const char *name;
  while (list != NULL && (name = g_dir_read_name(list)) != NULL) {
    int fd = is_socket(directory, name) ? pidfd_getfd(pidfd, atoi(name), 0) : -1;
    if (fd >= 0) g_array_append_val(held, fd);
  }
  return held;
}

static void wait_for_end(const Vm *vm) {
  struct pollfd ended = {.fd = vm->pidfd, .events = POLLIN};
  int count;
  do count = poll(&ended, 1, KILL_WAIT_MS);
  while (count < 0 && errno == EINTR);
  if (count == 0) g_warning("QEMU, process %d, does not end %d ms after SIGKILL", (int)vm->pid, KILL_WAIT_MS);
}

void vm_kill_process(Vm *vm) {
  if (vm->pidfd < 0) return;
  g_autoptr(GArray) held = hold_sockets(vm->pid, vm->pidfd);
  pidfd_send_signal(vm->pidfd, SIGKILL, NULL, 0);
  wait_for_end(vm);
  siginfo_t info;
  waitid(P_PIDFD, (id_t)vm->pidfd, &info, WEXITED | WNOHANG);
  /* An adopted one is the child of init, or of a subreaper, which may have other things to do. */
  for (int waited = 0; waited < REAP_WAIT_MS && kill(vm->pid, 0) == 0; waited++) g_usleep(1000);
  vm->is_zombie = kill(vm->pid, 0) == 0;
}
