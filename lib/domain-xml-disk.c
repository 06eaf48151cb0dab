// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/domain-xml-disk.h"

#include <string.h>

#include "lib/domain-xml-writer.h"
#include "lib/vm-config.h"

#define LETTERS 26u

char *domain_xml_disk_target(guint port) {
  char last = (char)('a' + port % LETTERS);
  return port < LETTERS ? g_strdup_printf("vd%c", last) : g_strdup_printf("vd%c%c", 'a' + port / LETTERS - 1, last);
}

/* What a guest writes is not kept twice, in its memory and the host's; layers that many guests read are. */
static const char *cache_mode(const VmDisk *disk) {
  const DiskOptions *options = disk->options;
  if (!options->cache_set) return disk->read_only ? "writeback" : "none";
  return options->cache_direct ? "none" : options->cache_noflush ? "unsafe" : "writeback";
}

static void write_driver(XmlWriter *xml, const VmDisk *disk) {
  const DiskOptions *options = disk->options;
  const char *cache = cache_mode(disk);
  /* Linux' own asynchronous I/O is that only past the host's cache. */
  gboolean can = g_strcmp0(options->aio, "native") != 0 || strcmp(cache, "none") == 0;
  g_autofree char *queues = options->queues > 0 ? g_strdup_printf("%u", options->queues) : NULL;
  xml_leaf(xml, "driver", "name", "qemu", "type", "raw", "cache", cache, "io", can ? options->aio : NULL, "discard",
           disk->read_only ? NULL : "unmap", "iothread", options->own_thread ? VM_CONFIG_IOTHREAD : NULL, "queues",
           queues, NULL);
}

static void write_sectors(XmlWriter *xml, const DiskOptions *options) {
  if (options->logical_bytes == 0 && options->physical_bytes == 0) return;
  g_autofree char *logical = options->logical_bytes > 0 ? g_strdup_printf("%u", options->logical_bytes) : NULL;
  g_autofree char *physical = options->physical_bytes > 0 ? g_strdup_printf("%u", options->physical_bytes) : NULL;
  xml_leaf(xml, "blockio", "logical_block_size", logical, "physical_block_size", physical, NULL);
}

char *domain_xml_disk_build(const VmDisk *disk, GError **error) {
  g_autofree char *target = domain_xml_disk_target(disk->port);
  g_autofree char *bus = g_strdup_printf("0x%02x", VM_CONFIG_PORT_BUS(disk->port));
  g_autoptr(XmlWriter) xml = xml_writer_new();
  xml_open(xml, "disk", "type", "block", "device", "disk", "model", "virtio-non-transitional", NULL);
  write_driver(xml, disk);
  xml_leaf(xml, "source", "dev", disk->path, NULL);
  xml_leaf(xml, "target", "dev", target, "bus", "virtio", NULL);
  write_sectors(xml, disk->options);
  if (disk->read_only) xml_leaf(xml, "readonly", NULL);
  xml_leaf(xml, "address", "type", "pci", "domain", "0x0000", "bus", bus, "slot", "0x00", "function", "0x0", NULL);
  xml_close(xml);
  return xml_writer_finish(xml, error);
}
