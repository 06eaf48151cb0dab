// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/loopback.h"

static const Grpc__LinuxNamespace *find_entry(const OciSpec *spec) {
  for (size_t i = 0; spec->linux != NULL && i < spec->linux->n_namespaces; i++)
    if (strcmp(spec->linux->namespaces[i]->type, "network") == 0) return spec->linux->namespaces[i];
  return NULL;
}

static void go_back(int before) {
  if (setns(before, CLONE_NEWNET) < 0) g_warning("cannot go back to our own network namespace: %s", g_strerror(errno));
}

static gboolean enter_new(int before, GError **error) {
  if (unshare(CLONE_NEWNET) < 0) {
    error_set_errno(error, errno, "cannot make a network namespace");
    return FALSE;
  }
  if (loopback_set_up(error)) return TRUE;
  go_back(before);
  return FALSE;
}

static gboolean enter_path(const char *path, GError **error) {
  autofd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0 && setns(fd, CLONE_NEWNET) == 0) return TRUE;
  error_set_errno(error, errno, "config.json: linux.namespaces: cannot enter the network namespace '%s'", path);
  return FALSE;
}

gboolean netns_enter(const OciSpec *spec, int *ret_before, GError **error) {
  const Grpc__LinuxNamespace *entry = find_entry(spec);
  *ret_before = -1;
  if (entry == NULL) return TRUE;
  autofd int before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (before < 0) {
    error_set_errno(error, errno, "cannot open our own network namespace");
    return FALSE;
  }
  if (!(*entry->path != '\0' ? enter_path(entry->path, error) : enter_new(before, error))) return FALSE;
  *ret_before = fd_steal(&before);
  return TRUE;
}

void netns_enter_of(pid_t pid, int *ret_before) {
  g_autofree char *path = g_strdup_printf("/proc/%d/ns/net", (int)pid);
  autofd int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  autofd int before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  *ret_before = fd >= 0 && before >= 0 && setns(fd, CLONE_NEWNET) == 0 ? fd_steal(&before) : -1;
}

void netns_leave(int *before) {
  if (*before >= 0) go_back(*before);
  fd_clear(before);
}
