// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/host.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

#define KVM_DEVICE "/dev/kvm"
#define VSOCK_DEVICE "/dev/vhost-vsock"
#define HEAD_BYTES (64u << 10)

static gboolean opens_read_write(const char *path) {
  autofd int fd = open(path, O_RDWR | O_CLOEXEC);
  return fd >= 0;
}

char *host_read_head(const char *path) {
  autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
  g_autofree char *text = g_malloc(HEAD_BYTES + 1);
  ssize_t length = fd >= 0 ? fd_read_all(fd, text, HEAD_BYTES) : -1;
  if (length < 0) return NULL;
  text[length] = '\0';
  return g_steal_pointer(&text);
}

/* One word of the first "flags" line of /proc/cpuinfo. */
static gboolean cpu_has_flag(const char *cpuinfo, const char *flag) {
  const char *line = strstr(cpuinfo, "\nflags");
  if (line == NULL) return FALSE;
  g_autofree char *flags = g_strndup(line + 1, strcspn(line + 1, "\n"));
  g_auto(GStrv) words = g_strsplit(flags, " ", -1);
  return g_strv_contains((const char *const *)words, flag);
}

gboolean host_has_kvm(void) {
  g_autofree char *cpuinfo = host_read_head("/proc/cpuinfo");
  if (cpuinfo == NULL) return FALSE;
  if (!cpu_has_flag(cpuinfo, "vmx") && !cpu_has_flag(cpuinfo, "svm")) return FALSE;
  return opens_read_write(KVM_DEVICE);
}

gboolean host_has_vhost_vsock(void) { return opens_read_write(VSOCK_DEVICE); }

gboolean host_resolve_accelerator(Accelerator wanted, Accelerator *ret, GError **error) {
  if (wanted == ACCELERATOR_TCG) {
    *ret = ACCELERATOR_TCG;
    return TRUE;
  }
  gboolean has_kvm = host_has_kvm();
  if (wanted == ACCELERATOR_KVM && !has_kvm) {
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST,
                "cannot use the accelerator 'kvm': %s does not open read-write, or the CPU has neither vmx nor svm "
                "(load kvm_intel or kvm_amd, or set accelerator to \"tcg\")",
                KVM_DEVICE);
    return FALSE;
  }
  *ret = has_kvm ? ACCELERATOR_KVM : ACCELERATOR_TCG;
  return TRUE;
}

gboolean host_resolve_channel(AgentChannel wanted, AgentChannel *ret, GError **error) {
  if (wanted == CHANNEL_SERIAL) {
    *ret = CHANNEL_SERIAL;
    return TRUE;
  }
  gboolean has_vsock = host_has_vhost_vsock();
  if (wanted == CHANNEL_VSOCK && !has_vsock) {
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST,
                "cannot use the agent channel 'vsock': %s does not open read-write (load vhost_vsock, or set "
                "agent_channel to \"serial\")",
                VSOCK_DEVICE);
    return FALSE;
  }
  *ret = has_vsock ? CHANNEL_VSOCK : CHANNEL_SERIAL;
  return TRUE;
}
