// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/vm-root.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "shim/vm-user.h"

#define QEMU_WORDS_BYTES 4096
#define PID_FILE_BYTES 32
#define COLD_CACHE_WAIT_MS 20000
#define COLD_CACHE_POLL_MS 20

/*
 * security_driver, namespaces, cgroup_controllers: QEMU belongs in the owner's own cgroup and namespaces, which
 *   are the pod's; libvirt's would cost time and touch the host.
 * dynamic_ownership: libvirt would hand the kernel and initrd, which all sandboxes share, to QEMU's user and back.
 * hugetlbfs_mount: else libvirt leaves a directory on every hugetlbfs of the host.
 * capability_filters: without this one libvirt reads the CPU's features by two questions, with it by some
 *   400 before the guest may run (0.13 s a start instead of 0.5 s; libvirt 9.0).
 */
static const char qemu_conf[] = "user = \"" VM_USER
                                "\"\n"
                                "group = \"" VM_USER
                                "\"\n"
                                "security_driver = \"none\"\n"
                                "security_default_confined = 0\n"
                                "dynamic_ownership = 0\n"
                                "remember_owner = 0\n"
                                "stdio_handler = \"file\"\n"
                                "namespaces = []\n"
                                "cgroup_controllers = []\n"
                                "hugetlbfs_mount = []\n"
                                "seccomp_sandbox = 1\n"
                                "max_core = 0\n"
                                "capability_filters = [ \"cpu-unavailable-features\" ]\n";

static gboolean make_directory(const char *path, mode_t mode, GError **error) {
  if (g_mkdir_with_parents(path, (int)mode) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make the directory '%s'", path);
  return FALSE;
}

/* An earlier owner of this root may have had its cache elsewhere. */
static gboolean link_cache(const char *root_dir, const char *cache_dir, GError **error) {
  g_autofree char *link = g_build_filename(root_dir, "cache", NULL);
  g_autofree char *target = g_file_read_link(link, NULL);
  if (g_strcmp0(target, cache_dir) == 0) return TRUE;
  if ((target == NULL || unlink(link) == 0) && symlink(cache_dir, link) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make the link '%s' to '%s'", link, cache_dir);
  return FALSE;
}

/* QEMU's user passes through to its own files and sees no names, whatever the umask. */
static gboolean make_passage(const char *path, GError **error) {
  if (!make_directory(path, 0711, error)) return FALSE;
  if (chmod(path, 0711) == 0) return TRUE;
  error_set_errno(error, errno, "cannot let QEMU's user pass through '%s'", path);
  return FALSE;
}

gboolean vm_root_prepare(const char *root_dir, const char *cache_dir, GError **error) {
  g_autofree char *etc = g_build_filename(root_dir, "etc", NULL);
  g_autofree char *lib = g_build_filename(root_dir, "lib", NULL);
  g_autofree char *log = g_build_filename(root_dir, "log", NULL);
  g_autofree char *conf = g_build_filename(etc, "qemu.conf", NULL);
  return make_passage(root_dir, error) && make_passage(lib, error) && make_directory(etc, 0700, error) &&
         make_directory(log, 0700, error) && make_directory(cache_dir, 0755, error) &&
         link_cache(root_dir, cache_dir, error) &&
         safe_write_file(conf, qemu_conf, sizeof qemu_conf - 1, 0600, FALSE, error);
}

char *vm_root_log_path(const char *root_dir) { return g_build_filename(root_dir, "log", "libvirt.log", NULL); }

pid_t vm_root_read_pid(const char *root_dir, const char *domain_name) {
  g_autofree char *name = g_strconcat(domain_name, ".pid", NULL);
  g_autofree char *path = g_build_filename(root_dir, "run", "qemu", name, NULL);
  g_autofree char *text = safe_read_file(path, PID_FILE_BYTES, NULL, NULL);
  gint64 pid = text != NULL ? g_ascii_strtoll(text, NULL, 10) : 0;
  return pid > 0 && pid <= G_MAXINT32 ? (pid_t)pid : 0;
}

/* ---- QEMU's words ---- */

/* libvirt writes the environment and the command line into QEMU's log, line by line, each but the last ending
 * in a backslash, and notes of its own with a date "2026-01-31 12:00:00.000+0000: "; QEMU's date has a T. */
static gboolean is_libvirts_line(const char *line) {
  if (g_str_has_suffix(line, " \\") || strcmp(line, "-msg timestamp=on") == 0) return TRUE;
  return strlen(line) > 10 && g_ascii_isdigit(line[0]) && line[4] == '-' && line[10] == ' ';
}

static void append_words(GString *words, const char *path) {
  autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) return;
  gboolean is_cut = st.st_size > QEMU_WORDS_BYTES;
  if (is_cut) lseek(fd, -QEMU_WORDS_BYTES, SEEK_END);
  char buffer[QEMU_WORDS_BYTES];
  ssize_t length = fd_read_all(fd, buffer, sizeof buffer);
  if (length <= 0) return;
  g_autofree char *text = g_utf8_make_valid(buffer, length);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    if ((is_cut && line == lines) || **line == '\0' || is_libvirts_line(*line)) continue;
    g_string_append_printf(words, "%s%s", words->len > 0 ? "\n" : "", *line);
  }
}

char *vm_root_qemu_words(const char *root_dir) {
  g_autofree char *path = g_build_filename(root_dir, "log", "qemu", NULL);
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  g_autoptr(GString) words = g_string_new(NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *log = g_build_filename(path, name, NULL);
    if (g_str_has_suffix(name, ".log")) append_words(words, log);
  }
  return words->len > 0 ? g_string_free(g_steal_pointer(&words), FALSE) : NULL;
}

/* ---- the capability cache ---- */

static gboolean cache_is_cold(const char *cache_dir) {
  g_autofree char *path = g_build_filename(cache_dir, "qemu", "capabilities", NULL);
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
    if (g_str_has_suffix(name, ".xml")) return FALSE;
  return TRUE;
}

int vm_root_lock_cold_cache(const char *cache_dir) {
  if (!cache_is_cold(cache_dir)) return -1;
  g_autofree char *path = g_build_filename(cache_dir, "lock", NULL);
  autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return -1;
  for (int waited = 0; waited < COLD_CACHE_WAIT_MS; waited += COLD_CACHE_POLL_MS) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return cache_is_cold(cache_dir) ? fd_steal(&fd) : -1;
    g_usleep(COLD_CACHE_POLL_MS * 1000);
  }
  return -1;
}
