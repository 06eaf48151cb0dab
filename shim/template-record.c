// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where templates are made, what is on record of attempts that failed, and whether it is worth while to make one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "lib/paths.h"
#include "shim/spare-memory.h"
#include "shim/template.h"

#define WORK_DIR PATHS_DEFAULT_ROOT "/t"
#define FAILED ".failed"
/* After a failure nobody tries for this long, then twice as long, and so on. */
#define RETRY_SECONDS 600
#define FAILURES_MAX 5u
#define RECORD_LIMIT 4096u
/* So much of the disk is left alone by who was not asked: a template has some 30 MiB, and the raw save lies beside it.
 */
#define FREE_DISK_BYTES (G_GUINT64_CONSTANT(1) << 30)
/* A template that somebody has used within this is not taken away for another that nobody has asked for. */
#define IN_USE_SECONDS 3600

/* ---- places ---- */

char *template_work_directory(const kata_settings *settings) {
  g_autofree char *sum =
      g_compute_checksum_for_string(G_CHECKSUM_SHA256, settings_get_string(settings, "factory", "template_path"), -1);
  return g_strdup_printf(WORK_DIR "/%.8s", sum);
}

gboolean template_make_work_directory(const kata_settings *settings, GError **error) {
  g_autofree char *work = template_work_directory(settings);
  const char *const paths[] = {PATHS_DEFAULT_ROOT, WORK_DIR, work};
  for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
    if (mkdir(paths[i], 0711) == 0 || errno == EEXIST) continue;
    error_set_errno(error, errno, "cannot make the directory '%s'", paths[i]);
    return FALSE;
  }
  return TRUE;
}

int template_lock_work(const kata_settings *settings, gboolean wait, GError **error) {
  g_autofree char *work = template_work_directory(settings);
  g_autofree char *path = g_build_filename(work, "lock", NULL);
  if (wait) return fd_lock_file(path, error);
  autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd_steal(&fd);
  error_set_errno(error, errno, "cannot lock '%s'", path);
  return -1;
}

/* ---- failures ---- */

static char *record_path(const kata_settings *settings, const char *key) {
  g_autofree char *work = template_work_directory(settings);
  return g_strdup_printf("%s/%s" FAILED, work, key);
}

static gboolean read_record(const char *path, TemplateFailure *ret_failure) {
  struct stat st;
  g_autofree char *text = stat(path, &st) == 0 ? safe_read_file(path, RECORD_LIMIT, NULL, NULL) : NULL;
  char *end = NULL;
  if (text == NULL) return FALSE;
  *ret_failure = (TemplateFailure){.count = (guint)g_ascii_strtoull(text, &end, 10), .at = st.st_mtim.tv_sec};
  ret_failure->why = g_strdup(g_strstrip(end));
  return TRUE;
}

static guint count_failures(const char *path) {
  TemplateFailure failure = {0};
  read_record(path, &failure);
  g_free(failure.why);
  return failure.count;
}

void template_note_failure(const kata_settings *settings, const char *key, const char *why) {
  if (!template_make_work_directory(settings, NULL)) return;
  g_autofree char *path = record_path(settings, key);
  g_autofree char *text = g_strdup_printf("%u\n%.1000s\n", count_failures(path) + 1, why);
  autofd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 || !fd_write_all(fd, text, strlen(text))) g_debug("cannot write '%s': %s", path, g_strerror(errno));
}

void template_forget_failure(const kata_settings *settings, const char *key) {
  g_autofree char *path = record_path(settings, key);
  unlink(path);
}

void template_for_each_failure(const kata_settings *settings, TemplateFailureFunc func, gpointer user_data) {
  g_autofree char *work = template_work_directory(settings);
  g_autoptr(GDir) dir = g_dir_open(work, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    TemplateFailure failure = {0};
    g_autofree char *path = g_build_filename(work, name, NULL);
    g_autofree char *key = g_str_has_suffix(name, FAILED) ? g_strndup(name, strlen(name) - strlen(FAILED)) : NULL;
    if (key == NULL || !read_record(path, &failure)) continue;
    func(settings, key, &failure, user_data);
    g_free(failure.why);
  }
}

/* ---- whether to make one ---- */

/* The first time that a template turns out to be bad it is made again at once: a file can be damaged. */
static gboolean is_time_to_try(const kata_settings *settings, const char *key, gboolean was_bad) {
  g_autofree char *path = record_path(settings, key);
  struct stat st;
  guint count = count_failures(path);
  if (count == 0 || (was_bad && count == 1)) return TRUE;
  return count < FAILURES_MAX && stat(path, &st) == 0 && time(NULL) - st.st_mtim.tv_sec >= RETRY_SECONDS << (count - 1);
}

static gboolean has_room(const char *directory) {
  g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
  guint n_used = 0;
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    struct stat st;
    g_autofree char *path = g_build_filename(directory, name, NULL);
    if (template_is_key(name) && lstat(path, &st) == 0 && time(NULL) - st.st_mtim.tv_sec < IN_USE_SECONDS) n_used++;
  }
  return n_used < TEMPLATES_MAX;
}

/* The directory itself need not be there yet. */
static gboolean has_disk(const char *directory) {
  struct statvfs fs;
  g_autofree char *parent = g_path_get_dirname(directory);
  if (statvfs(directory, &fs) < 0 && statvfs(parent, &fs) < 0) return TRUE;
  return (guint64)fs.f_bavail * fs.f_frsize >= FREE_DISK_BYTES;
}

gboolean template_is_worth_while(const kata_settings *settings, const char *key, gboolean was_bad, guint64 guest_mib) {
  const char *directory = settings_get_string(settings, "factory", "template_path");
  g_autofree char *path = template_path(settings, key);
  if (access(path, F_OK) == 0 || !is_time_to_try(settings, key, was_bad) || !has_room(directory) ||
      !has_disk(directory) || !spare_memory_check(guest_mib, NULL))
    return FALSE;
  if (!template_make_work_directory(settings, NULL)) return FALSE;
  autofd int lock = template_lock_work(settings, FALSE, NULL);
  return lock >= 0;
}
