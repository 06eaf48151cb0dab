// SPDX-License-Identifier: LGPL-2.1-or-later
#include "env-facts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/spawn.h"

#define HYPERVISOR "hypervisor.qemu"
#define WORDS_MAX 4096
#define VERSION_TIMEOUT_MS 60000
/* Documentation/arch/x86/boot.rst: "HdrS", and where the text of the version begins. */
#define KERNEL_MAGIC_AT 0x202
#define KERNEL_VERSION_AT 0x20e
#define KERNEL_SECTOR 0x200
#define KERNEL_HEAD (64 * 1024)

static const char *get_text(json_object *object, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(object, key, &value) && value != NULL ? json_object_get_string(value) : "";
}

static void add_text(json_object *object, const char *key, const char *text) {
  json_object_object_add(object, key, json_object_new_string(text));
}

const char *env_facts_setting(json_object *settings, const char *key) {
  for (gsize i = 0; i < json_object_array_length(settings); i++) {
    json_object *setting = json_object_array_get_idx(settings, i);
    if (strcmp(get_text(setting, "section"), HYPERVISOR) == 0 && strcmp(get_text(setting, "key"), key) == 0)
      return get_text(setting, "value");
  }
  return "";
}

/* What follows word in a program's own account of its version, up to the line's end, or why it gives none. */
static char *ask_version(const char *program, const char *option, const char *word) {
  const char *argv[] = {program, option, NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  options.die_with_parent = TRUE;
  options.new_session = TRUE;
  int status = 0;
  g_autofree char *words = NULL;
  g_autoptr(GError) error = NULL;
  if (!spawn_run(&options, NULL, WORDS_MAX, VERSION_TIMEOUT_MS, &words, NULL, NULL, &status, &error))
    return g_strdup_printf("unknown: %s", error->message);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return g_strdup_printf("unknown: '%s %s' failed", program, option);
  char *line = strstr(words, word);
  if (line == NULL) return g_strdup_printf("unknown: '%s %s' does not tell", program, option);
  line = g_strchug(line + strlen(word));
  line[strcspn(line, "\n")] = '\0';
  return error_clean_text(line);
}

static void add_version(json_object *versions, const char *name, const char *program, const char *option,
                        const char *word) {
  g_autofree char *text = ask_version(program, option, word);
  add_text(versions, name, text);
}

json_object *env_facts_versions(json_object *settings) {
  json_object *versions = json_object_new_object();
  const char *owner = g_getenv("KATA_OWNER");
  if (owner == NULL || *owner == '\0') owner = KATA_OWNER_PATH;
  add_text(versions, "katactl", KATA_VERSION);
  add_text(versions, "libkata", kata_version());
  add_version(versions, "owner", owner, "-v", "Version:");
  add_version(versions, "libvirt", owner, "-v", "Libvirt:");
  add_version(versions, "hypervisor", env_facts_setting(settings, "path"), "--version", "");
  add_version(versions, "virtio_fs_daemon", env_facts_setting(settings, "virtio_fs_daemon"), "--version", "");
  return versions;
}

/* The version a bzImage has in its head, or NULL. */
static char *read_kernel_version(const char *path) {
  autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  g_autofree char *head = g_malloc0(KERNEL_HEAD + 1);
  ssize_t length = fd >= 0 ? pread(fd, head, KERNEL_HEAD, 0) : -1;
  if (length < KERNEL_VERSION_AT + 2 || memcmp(head + KERNEL_MAGIC_AT, "HdrS", 4) != 0) return NULL;
  const guint8 *at = (const guint8 *)head + KERNEL_VERSION_AT;
  gsize begin = (at[0] | (gsize)at[1] << 8) + KERNEL_SECTOR;
  if (begin == KERNEL_SECTOR || begin >= (gsize)length) return NULL;
  return error_clean_text(head + begin);
}

static json_object *describe_file(const char *path) {
  json_object *file = json_object_new_object();
  struct stat info;
  add_text(file, "path", path);
  gboolean exists = stat(path, &info) == 0;
  json_object_object_add(file, "exists", json_object_new_boolean(exists));
  if (!exists) return file;
  g_autoptr(GDateTime) modified = g_date_time_new_from_unix_utc(info.st_mtime);
  g_autofree char *time = g_date_time_format_iso8601(modified);
  json_object_object_add(file, "bytes", json_object_new_int64(info.st_size));
  add_text(file, "modified", time);
  return file;
}

json_object *env_facts_guest(json_object *settings) {
  json_object *guest = json_object_new_object();
  const char *path = env_facts_setting(settings, "kernel");
  json_object *kernel = describe_file(path);
  g_autofree char *version = read_kernel_version(path);
  if (version != NULL) add_text(kernel, "version", version);
  json_object_object_add(guest, "kernel", kernel);
  json_object_object_add(guest, "initrd", describe_file(env_facts_setting(settings, "initrd")));
  return guest;
}

json_object *env_facts_host(App *app, GError **error) {
  kata_error *err = NULL;
  autokatafree char *checks = kata_host_check(app->context, 0, &err);
  if (checks == NULL) {
    app_take_error(err, error);
    return NULL;
  }
  json_object *host = json_object_new_object();
  struct utsname system;
  struct sysinfo info;
  if (uname(&system) == 0) {
    add_text(host, "kernel", system.release);
    add_text(host, "machine", system.machine);
  }
  g_autofree char *name = g_get_os_info(G_OS_INFO_KEY_PRETTY_NAME);
  add_text(host, "system", name != NULL ? name : "unknown");
  json_object_object_add(host, "cpus", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
  if (sysinfo(&info) == 0)
    json_object_object_add(host, "memory_mib", json_object_new_int64((gint64)info.totalram * info.mem_unit >> 20));
  json_object_object_add(host, "checks", json_tokener_parse(checks));
  return host;
}
