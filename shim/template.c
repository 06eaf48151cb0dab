// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/template.h"

#include <config.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "lib/domain-xml.h"
#include "shim/launch-private.h"

/* Raised when templates made before are of no use any more. */
#define TEMPLATE_VERSION 1
#define KEY_LENGTH 32u

gboolean template_is_wanted(const Sandbox *sandbox) {
  return settings_get_bool(sandbox->settings, "factory", "enable_template") && sandbox->channel == CHANNEL_SERIAL &&
         sandbox->restoring == NULL;
}

char *template_path(const kata_settings *settings, const char *key) {
  return g_build_filename(settings_get_string(settings, "factory", "template_path"), key, NULL);
}

gboolean template_is_key(const char *name) {
  return strlen(name) == KEY_LENGTH && strspn(name, "0123456789abcdef") == KEY_LENGTH;
}

void template_discard(const kata_settings *settings, const char *key) {
  g_autofree char *path = template_path(settings, key);
  unlink(path);
}

/* ---- the key ---- */

/* A file is the same as long as these are: reading it whole would take longer than a start. */
static gboolean add_file(GChecksum *sum, const char *path, GError **error) {
  struct stat st;
  if (path == NULL) return TRUE;
  if (stat(path, &st) < 0) {
    error_set_errno(error, errno, "cannot look at '%s'", path);
    return FALSE;
  }
  g_autofree char *text = g_strdup_printf(
      "%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld\n", path,
      (guint64)st.st_dev, (guint64)st.st_ino, (gint64)st.st_size, (gint64)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  g_checksum_update(sum, (const guchar *)text, -1);
  return TRUE;
}

/* The machine without what is one sandbox's own. */
static char *describe_machine(const VmConfig *config, GError **error) {
  VmConfig neutral = *config;
  neutral.title = neutral.uuid = (char *)"-";
  neutral.console_log = (char *)"/console";
  if (neutral.agent_socket != NULL) neutral.agent_socket = (char *)"/agent";
  return domain_xml_build(&neutral, error);
}

static char *make_key(const VmConfig *config, GError **error) {
  g_autofree char *xml = describe_machine(config, error);
  if (xml == NULL) return NULL;
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_autofree char *version = g_strdup_printf("%d " PACKAGE_VERSION "\n", TEMPLATE_VERSION);
  g_checksum_update(sum, (const guchar *)version, -1);
  g_checksum_update(sum, (const guchar *)xml, -1);
  if (!add_file(sum, config->kernel, error) || !add_file(sum, config->initrd, error) ||
      !add_file(sum, config->emulator, error) || !add_file(sum, config->firmware, error))
    return NULL;
  return g_strndup(g_checksum_get_string(sum), KEY_LENGTH);
}

/* All machines of a template have its UUID: libvirt wants it so. Version 8 of RFC 9562, as others'. */
static char *make_uuid(const char *key) {
  return g_strdup_printf("%.8s-%.4s-8%.3s-8%.3s-%.12s", key, key + 8, key + 13, key + 17, key + 20);
}

VmConfig *template_make_config(Sandbox *sandbox, char **ret_key, GError **error) {
  g_autoptr(VmConfig) config = launch_make_config(sandbox, error);
  if (config == NULL) return NULL;
  if (!vm_config_plug_late(config)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "all its ports are for disks (setting hypervisor.qemu.pcie_root_port)");
    return NULL;
  }
  g_autofree char *key = make_key(config, error);
  if (key == NULL) return NULL;
  g_free(config->uuid);
  config->uuid = make_uuid(key);
  *ret_key = g_steal_pointer(&key);
  return g_steal_pointer(&config);
}
