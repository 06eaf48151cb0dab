// SPDX-License-Identifier: LGPL-2.1-or-later
/* All that a new sandbox would meet: versions, files of the guest, the host, settings. */
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/spawn.h"
#include "kata/version.h"
#include "lib/api.h"
#include "lib/context.h"
#include "lib/host.h"

#define QEMU_SECTION "hypervisor.qemu"
#define WORDS_MAX 4096
#define VERSION_TIMEOUT_MS 60000
/* Documentation/arch/x86/boot.rst: "HdrS", and where the text of the version begins. */
#define KERNEL_MAGIC_AT 0x202
#define KERNEL_VERSION_AT 0x20e
#define KERNEL_SECTOR 0x200
#define KERNEL_HEAD (64 * 1024)

static void add_text(struct json_object *object, const char *key, const char *text) {
  json_object_object_add(object, key, json_object_new_string(text));
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

static void add_version(struct json_object *versions, const char *name, const char *program, const char *option,
                        const char *word) {
  g_autofree char *text = ask_version(program, option, word);
  add_text(versions, name, text);
}

static struct json_object *describe_versions(const kata_context *ctx, const kata_settings *settings) {
  struct json_object *versions = json_object_new_object();
  add_text(versions, "libkata", KATA_VERSION);
  add_version(versions, "owner", ctx->owner, "-v", "Version:");
  add_version(versions, "libvirt", ctx->owner, "-v", "Libvirt:");
  add_version(versions, "hypervisor", settings_get_string(settings, QEMU_SECTION, "path"), "--version", "");
  add_version(versions, "virtio_fs_daemon", settings_get_string(settings, QEMU_SECTION, "virtio_fs_daemon"),
              "--version", "");
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

static struct json_object *describe_file(const char *path) {
  struct json_object *file = json_object_new_object();
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

static struct json_object *describe_guest(const kata_settings *settings) {
  struct json_object *guest = json_object_new_object();
  const char *path = settings_get_string(settings, QEMU_SECTION, "kernel");
  struct json_object *kernel = describe_file(path);
  g_autofree char *version = read_kernel_version(path);
  if (version != NULL) add_text(kernel, "version", version);
  json_object_object_add(guest, "kernel", kernel);
  json_object_object_add(guest, "initrd", describe_file(settings_get_string(settings, QEMU_SECTION, "initrd")));
  return guest;
}

/* os-release(5); values may have a shell's quotes. */
static char *read_system_name(void) {
  static const char key[] = "\nPRETTY_NAME=";
  g_autofree char *own = host_read_head("/etc/os-release");
  g_autofree char *file = own != NULL ? g_steal_pointer(&own) : host_read_head("/usr/lib/os-release");
  g_autofree char *text = g_strconcat("\n", file, NULL);
  const char *line = strstr(text, key);
  if (line == NULL) return NULL;
  g_autofree char *value = g_strndup(line + strlen(key), strcspn(line + strlen(key), "\n"));
  return g_shell_unquote(value, NULL);
}

static struct json_object *describe_host(const kata_settings *settings) {
  struct json_object *host = json_object_new_object();
  struct utsname system;
  struct sysinfo info;
  if (uname(&system) == 0) {
    add_text(host, "kernel", system.release);
    add_text(host, "machine", system.machine);
  }
  g_autofree char *name = read_system_name();
  add_text(host, "system", name != NULL ? name : "unknown");
  json_object_object_add(host, "cpus", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
  if (sysinfo(&info) == 0)
    json_object_object_add(host, "memory_mib", json_object_new_int64((gint64)info.totalram * info.mem_unit >> 20));
  json_object_object_add(host, "checks", host_check_to_json(settings));
  return host;
}

char *kata_context_describe(kata_context *ctx, const kata_settings *settings, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(kata_settings) own = NULL;
  if (!api_check(ctx, "context", flags, 0, &error) ||
      (settings == NULL && (own = context_load_settings(ctx, &error)) == NULL))
    return api_fail_null(err, error);
  if (settings == NULL) settings = own;
  struct json_object *document = json_object_new_object();
  json_object_object_add(document, "versions", describe_versions(ctx, settings));
  json_object_object_add(document, "guest", describe_guest(settings));
  json_object_object_add(document, "host", describe_host(settings));
  add_text(document, "root", ctx->root);
  add_text(document, "config_file", ctx->config_file);
  settings_describe_to(settings, document);
  return api_take_json(document);
}
