// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/spawn.h"
#include "kata/kata.h"
#include "shim/cgroup.h"
#include "shim/share.h"

#define SETTINGS_LIMIT (1024u * 1024u)

/* ---- settings ---- */

kata_settings *background_read_settings(const char *file, GError **error) {
  g_autoptr(kata_settings) settings = settings_new();
  if (g_strcmp0(file, "-") != 0) {
    const char *path = file != NULL ? file : KATA_SYSCONFDIR "/kata.conf";
    return settings_load_default(settings, path, file != NULL, error) ? g_steal_pointer(&settings) : NULL;
  }
  g_autofree char *text = g_malloc(SETTINGS_LIMIT);
  ssize_t length = fd_read_all(STDIN_FILENO, text, SETTINGS_LIMIT);
  if (length < 0) {
    error_set_errno(error, errno, "cannot read settings from standard input");
    return NULL;
  }
  return settings_load_text(settings, text, (gsize)length, "standard input", error) ? g_steal_pointer(&settings) : NULL;
}

int background_answer(struct json_object *answer) {
  puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(answer);
  return 0;
}

static int write_settings(const kata_settings *settings, GError **error) {
  char *text = kata_settings_to_text(settings);
  autofd int fd = memfd_create("settings", MFD_CLOEXEC);
  gboolean written = fd >= 0 && fd_write_all(fd, text, strlen(text)) && lseek(fd, 0, SEEK_SET) == 0;
  kata_free(text);
  if (written) return fd_steal(&fd);
  error_set_errno(error, errno, "cannot pass settings on");
  return -1;
}

/* ---- the process ---- */

/* What the program, or libvirt's and a sanitizer's libraries, look at. The caller's sockets, tokens and the like, which
 * QEMU would have too, are none of its business. */
static const char *const kept_names[] = {
    "PATH=",         "LANG=",          "LC_",          "TMPDIR=", "LD_LIBRARY_PATH=", "LIBVIRT_",
    "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};

static const char **choose_environment(void) {
  GPtrArray *kept = g_ptr_array_new();
  for (char **entry = environ; *entry != NULL; entry++)
    for (gsize i = 0; i < G_N_ELEMENTS(kept_names); i++)
      if (g_str_has_prefix(*entry, kept_names[i])) g_ptr_array_add(kept, *entry);
  g_ptr_array_add(kept, NULL);
  return (const char **)g_ptr_array_free(kept, FALSE);
}

#define BACKGROUND_NICE 19
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13) /* ioprio_set(2): class 3 */

/* Not SCHED_IDLE: on a machine that always has something to do it would never end, and holds its lock. With autogroups
 * (sched(7)) it is the session's niceness that counts. */
void background_yield(void) {
  setpriority(PRIO_PROCESS, 0, BACKGROUND_NICE);
  syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
  autofd int group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (group >= 0) fd_write_all(group, G_STRINGIFY(BACKGROUND_NICE), strlen(G_STRINGIFY(BACKGROUND_NICE)));
}

/* Only so that it does not stay a zombie. */
static gpointer reap_thread(gpointer user_data) {
  autofd int pidfd = GPOINTER_TO_INT(user_data);
  siginfo_t info;
  while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR) continue;
  return NULL;
}

gboolean background_start(Sandbox *sandbox, const char *flag, const kata_settings *settings, GError **error) {
  int outer = share_get_outer_namespace();
  if (outer < 0) return TRUE;
  autofd int input = write_settings(settings, error);
  if (input < 0) return FALSE;
  const char *const argv[] = {"/proc/self/exe", flag, "background", "-config", "-", NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  g_autofree const char **environment = choose_environment();
  options.argv = argv;
  options.envp = environment;
  options.cwd = "/";
  options.stdin_fd = input;
  options.stderr_fd = STDERR_FILENO;
  options.namespaces = &outer;
  options.n_namespaces = 1;
  options.new_session = TRUE;
  int pidfd = -1;
  pid_t pid = spawn_start(&options, &pidfd, error);
  if (pid < 0) return FALSE;
  if (sandbox->cgroups != NULL) cgroup_add(sandbox->home_cgroups, pid, NULL);
  g_thread_unref(g_thread_new("background", reap_thread, GINT_TO_POINTER(pidfd)));
  return TRUE;
}
