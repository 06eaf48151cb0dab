// SPDX-License-Identifier: LGPL-2.1-or-later
/* Helpers that an owner left behind when it crashed, found by what stands on their command lines. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/safe-path.h"
#include "shim/vm.h"

#define COMMAND_LINE_BYTES (1024 * 1024)
#define KILL_WAIT_MS 5000

static gboolean is_path_character(char character) {
  return g_ascii_isalnum(character) || character == '_' || character == '-' || character == '.' || character == '/';
}

/* Whether needle stands in text as the beginning of a path, not as the middle of a longer one. */
static gboolean names_path(const char *text, gsize length, const char *needle) {
  gsize needle_length = strlen(needle);
  for (const char *at = text; (at = memmem(at, (gsize)(text + length - at), needle, needle_length)) != NULL; at++) {
    if (at == text || !is_path_character(at[-1])) return TRUE;
  }
  return FALSE;
}

static gboolean is_helper_program(const char *pid) {
  g_autofree char *link = g_strdup_printf("/proc/%s/exe", pid);
  g_autofree char *program = g_file_read_link(link, NULL);
  if (program == NULL) return FALSE;
  g_autofree char *name = g_path_get_basename(program);
  return g_str_has_prefix(name, "qemu") || g_str_has_prefix(name, "virtiofsd");
}

/* Opens the process if it is a helper that names the path; -1 if not. The descriptor comes first: what is read
 * after it is about that process or, if it has ended meanwhile, the signal goes nowhere. */
static int open_stray(const char *pid, const char *path) {
  autofd int pidfd = pidfd_open((pid_t)atoi(pid), 0);
  if (pidfd < 0 || !is_helper_program(pid)) return -1;
  g_autofree char *file = g_strdup_printf("/proc/%s/cmdline", pid);
  gsize length = 0;
  g_autofree char *text = safe_read_file(file, COMMAND_LINE_BYTES, &length, NULL);
  return text != NULL && names_path(text, length, path) ? fd_steal(&pidfd) : -1;
}

static void wait_for_end(int pidfd) {
  struct pollfd ended = {.fd = pidfd, .events = POLLIN};
  int count;
  do count = poll(&ended, 1, KILL_WAIT_MS);
  while (count < 0 && errno == EINTR);
  siginfo_t info;
  waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
}

guint vm_kill_strays(const char *sandbox_dir) {
  g_autoptr(GArray) strays = g_array_new(FALSE, FALSE, sizeof(int));
  g_autofree char *path = g_strconcat(sandbox_dir, "/", NULL);
  g_autoptr(GDir) proc =
      g_path_is_absolute(sandbox_dir) && strcmp(sandbox_dir, "/") != 0 ? g_dir_open("/proc", 0, NULL) : NULL;
  const char *name;
  while (proc != NULL && (name = g_dir_read_name(proc)) != NULL) {
    int pidfd = g_ascii_isdigit(*name) ? open_stray(name, path) : -1;
    if (pidfd >= 0 && pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0)
      g_array_append_val(strays, pidfd);
    else
      fd_clear(&pidfd);
  }
  for (guint i = 0; i < strays->len; i++) {
    autofd int pidfd = g_array_index(strays, int, i);
    wait_for_end(pidfd);
  }
  return strays->len;
}

gboolean vm_is_ours(pid_t pid, const char *sandbox_dir) {
  g_autofree char *number = g_strdup_printf("%d", (int)pid);
  g_autofree char *path = g_strconcat(sandbox_dir, "/", NULL);
  autofd int pidfd = open_stray(number, path);
  return pidfd >= 0;
}
