// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/disk-options.h"

#include <string.h>

#include "common/error.h"

#define QEMU "hypervisor.qemu"
#define SECTOR_MIN 512u

static gboolean read_sector(const kata_settings *settings, const char *key, guint *ret_bytes, GError **error) {
  guint bytes = (guint)settings_get_int(settings, QEMU, key);
  *ret_bytes = bytes;
  if (bytes == 0 || (bytes >= SECTOR_MIN && (bytes & (bytes - 1)) == 0)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
              "'%s' of section [" QEMU "] is %u: it must be 0 or a power of two from %u on", key, bytes, SECTOR_MIN);
  return FALSE;
}

static gboolean check_together(const DiskOptions *options, GError **error) {
  if (options->cache_set && options->cache_direct && options->cache_noflush) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
                "block_device_cache_direct and block_device_cache_noflush of section [" QEMU
                "] cannot both be true: libvirt has no mode of that kind");
    return FALSE;
  }
  if (options->logical_bytes <= options->physical_bytes || options->physical_bytes == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_CONFIG,
              "block_device_logical_sector_size of section [" QEMU
              "] is greater than block_device_physical_sector_size");
  return FALSE;
}

gboolean disk_options_read(const kata_settings *settings, DiskOptions *ret_options, GError **error) {
  DiskOptions options = {.cache_set = settings_get_bool(settings, QEMU, "block_device_cache_set"),
                         .cache_direct = settings_get_bool(settings, QEMU, "block_device_cache_direct"),
                         .cache_noflush = settings_get_bool(settings, QEMU, "block_device_cache_noflush"),
                         .own_thread = settings_get_bool(settings, QEMU, "enable_iothreads"),
                         .queues = (guint)settings_get_int(settings, QEMU, "block_device_num_queues")};
  const char *aio = settings_get_string(settings, QEMU, "block_device_aio");
  options.aio = strcmp(aio, "threads") != 0 ? aio : NULL;
  if (!read_sector(settings, "block_device_logical_sector_size", &options.logical_bytes, error) ||
      !read_sector(settings, "block_device_physical_sector_size", &options.physical_bytes, error) ||
      !check_together(&options, error))
    return FALSE;
  *ret_options = options;
  return TRUE;
}
