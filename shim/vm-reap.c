// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libvirt starts QEMU, and the QEMU it probes, as daemons: their parents end at once. To see whether such a QEMU has
 * ended it looks for the pid, every 200 ms for up to 40 s, and takes a zombie for a living process. How fast
 * zombies go is init's affair, and a container's init may never reap: so the owner inherits and reaps them itself.
 */
#include "shim/vm-reap.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/safe-path.h"

#define CHILDREN_BYTES 65536
#define STAT_BYTES 4096

/* A daemon has a session of another process's making. What libvirt waits for itself is in ours, even if it is a QEMU.
 */
static gboolean is_ended_daemon(const char *pid) {
  g_autofree char *path = g_strdup_printf("/proc/%s/stat", pid);
  g_autofree char *text = safe_read_file(path, STAT_BYTES, NULL, NULL);
  const char *name = text != NULL ? strchr(text, '(') : NULL;
  const char *rest = name != NULL ? strrchr(name, ')') : NULL;
  char state = 0;
  int session = 0;
  return rest != NULL && g_str_has_prefix(name, "(qemu") && sscanf(rest, ") %c %*d %*d %d", &state, &session) == 2 &&
         state == 'Z' && session != (int)getsid(0);
}

static void reap_children_of(const char *thread) {
  g_autofree char *path = g_strdup_printf("/proc/self/task/%s/children", thread);
  g_autofree char *text = safe_read_file(path, CHILDREN_BYTES, NULL, NULL);
  g_auto(GStrv) pids = g_strsplit(text != NULL ? text : "", " ", -1);
  for (char **pid = pids; *pid != NULL; pid++)
    if (**pid != '\0' && is_ended_daemon(*pid)) waitpid((pid_t)atoi(*pid), NULL, WNOHANG);
}

void vm_reap_orphans(void) {
  g_autoptr(GDir) threads = g_dir_open("/proc/self/task", 0, NULL);
  const char *thread;
  while (threads != NULL && (thread = g_dir_read_name(threads)) != NULL) reap_children_of(thread);
}
