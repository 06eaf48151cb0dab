// SPDX-License-Identifier: LGPL-2.1-or-later
/* Templates by command, and in the background of a start. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/spawn.h"
#include "kata/kata.h"
#include "lib/host.h"
#include "shim/cgroup.h"
#include "shim/share.h"
#include "shim/start.h"
#include "shim/template.h"

#define SETTINGS_LIMIT (1024u * 1024u)
/* An attempt that failed is made again only after this. */
#define RETRY_SECONDS 600
/* The first container of the sandbox starts meanwhile. */
#define BACKGROUND_DELAY_S 3
#define BACKGROUND_NICE 19

/* ---- settings ---- */

static kata_settings *read_settings(const char *file, GError **error) {
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

/* ---- create ---- */

/* Before there is any thread. */
static gboolean enter(const kata_settings *settings, GError **error) {
  Accelerator accelerator = ACCELERATOR_TCG;
  umask(022);
  return host_resolve_accelerator(settings_get_accelerator(settings), &accelerator, error) &&
         share_enter_namespace(accelerator == ACCELERATOR_TCG, error);
}

static int create(kata_settings *settings, GError **error) {
  gboolean is_new = FALSE;
  g_autofree char *key = enter(settings, error) ? template_build(settings, &is_new, error) : NULL;
  if (key == NULL) return 1;
  printf("template %s %s\n", key, is_new ? "made" : "is there already");
  return 0;
}

static int create_in_background(kata_settings *settings, GError **error) {
  setpriority(PRIO_PROCESS, 0, BACKGROUND_NICE);
  sleep(BACKGROUND_DELAY_S);
  gboolean is_new = FALSE;
  g_autoptr(GError) why = NULL;
  g_autofree char *key = enter(settings, &why) ? template_build(settings, &is_new, &why) : NULL;
  if (key != NULL) return 0;
  g_propagate_prefixed_error(error, g_steal_pointer(&why), "cannot make a template: ");
  return 1;
}

/* ---- list and remove ---- */

typedef void (*TemplateFunc)(const char *name, const char *path, const struct stat *st);

static int for_each(const kata_settings *settings, TemplateFunc func, GError **error) {
  const char *directory = settings_get_string(settings, "factory", "template_path");
  if (access(directory, F_OK) < 0 && errno == ENOENT) return 0;
  g_autoptr(GDir) dir = g_dir_open(directory, 0, error);
  if (dir == NULL) return 1;
  const char *name;
  while ((name = g_dir_read_name(dir)) != NULL) {
    struct stat st;
    g_autofree char *path = g_build_filename(directory, name, NULL);
    if (template_is_key(name) && lstat(path, &st) == 0) func(name, path, &st);
  }
  return 0;
}

static void print_template(const char *name, const char *path, const struct stat *st) {
  g_autoptr(GDateTime) used = g_date_time_new_from_unix_utc(st->st_mtim.tv_sec);
  g_autofree char *when = g_date_time_format_iso8601(used);
  printf("%-32s  %6.1f MiB  %s\n", name, (double)st->st_size / (1 << 20), when);
}

static void remove_template(const char *name, const char *path, const struct stat *st) {
  if (unlink(path) == 0) printf("template %s removed\n", name);
}

/* So that the next start tries again. */
static void forget_failures(void) {
  g_autoptr(GDir) dir = g_dir_open(TEMPLATE_WORK_DIR, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = g_build_filename(TEMPLATE_WORK_DIR, name, NULL);
    if (g_str_has_suffix(name, TEMPLATE_FAILED)) unlink(path);
  }
}

int action_template(const ShimOptions *options) {
  const char *what = options->template_;
  g_autoptr(GError) error = NULL;
  int status = 1;
  g_autoptr(kata_settings) settings = read_settings(options->config, &error);
  if (settings == NULL) return action_report(options, error);
  if (strcmp(what, "create") == 0)
    status = create(settings, &error);
  else if (strcmp(what, "background") == 0)
    status = create_in_background(settings, &error);
  else if (strcmp(what, "list") == 0)
    status = for_each(settings, print_template, &error);
  else if (strcmp(what, "remove") == 0)
    status = for_each(settings, remove_template, &error), forget_failures();
  else
    g_set_error(&error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "-template '%s': neither create, list nor remove", what);
  return error != NULL ? action_report(options, error) : status;
}

/* ---- in the background of a start ---- */

static gboolean has_failed_lately(const char *key) {
  struct stat st;
  g_autofree char *path = template_failure_path(key);
  return stat(path, &st) == 0 && time(NULL) - st.st_mtim.tv_sec < RETRY_SECONDS;
}

/* With the size the guest has got. */
static int write_settings(Sandbox *sandbox, GError **error) {
  g_autoptr(kata_settings) settings = settings_copy(sandbox->settings);
  g_autofree char *vcpus = g_strdup_printf("%u", sandbox->size.vcpus);
  g_autofree char *memory = g_strdup_printf("%" G_GUINT64_FORMAT, sandbox->size.memory_mib);
  if (!settings_set(settings, "hypervisor.qemu", "default_vcpus", vcpus, error) ||
      !settings_set(settings, "hypervisor.qemu", "default_memory", memory, error))
    return -1;
  char *text = kata_settings_to_text(settings);
  autofd int fd = memfd_create("settings", MFD_CLOEXEC);
  gboolean written = fd >= 0 && fd_write_all(fd, text, strlen(text)) && lseek(fd, 0, SEEK_SET) == 0;
  kata_free(text);
  if (written) return fd_steal(&fd);
  error_set_errno(error, errno, "cannot pass settings on");
  return -1;
}

/* Only so that it does not stay a zombie. */
static gpointer reap_thread(gpointer user_data) {
  autofd int pidfd = GPOINTER_TO_INT(user_data);
  siginfo_t info;
  while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR) continue;
  return NULL;
}

/* It is no part of the sandbox: it leaves the sandbox's mounts and cgroup, and has no network. */
static gboolean spawn_builder(Sandbox *sandbox, GError **error) {
  int outer = share_get_outer_namespace();
  if (outer < 0) return TRUE;
  autofd int settings = write_settings(sandbox, error);
  if (settings < 0) return FALSE;
  static const char *const argv[] = {"/proc/self/exe", "-template", "background", "-config", "-", NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  options.cwd = "/";
  options.stdin_fd = settings;
  options.stderr_fd = STDERR_FILENO;
  options.namespaces = &outer;
  options.n_namespaces = 1;
  options.new_session = TRUE;
  int pidfd = -1;
  pid_t pid = spawn_start(&options, &pidfd, error);
  if (pid < 0) return FALSE;
  if (sandbox->cgroups != NULL) cgroup_add(sandbox->home_cgroups, pid, NULL);
  g_thread_unref(g_thread_new("builder", reap_thread, GINT_TO_POINTER(pidfd)));
  return TRUE;
}

void template_follow_start(Sandbox *sandbox) {
  if (sandbox->template_key == NULL || sandbox->from_template) return;
  g_autofree char *path = template_path(sandbox->settings, sandbox->template_key);
  if (access(path, F_OK) == 0 || has_failed_lately(sandbox->template_key)) return;
  g_autoptr(GError) error = NULL;
  if (!spawn_builder(sandbox, &error)) g_warning("cannot make a template: %s", error->message);
}
