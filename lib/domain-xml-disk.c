// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/domain-xml-disk.h"

#include "lib/domain-xml-writer.h"
#include "lib/vm-config.h"

#define LETTERS 26u

char *domain_xml_disk_target(guint port) {
  char last = (char)('a' + port % LETTERS);
  return port < LETTERS ? g_strdup_printf("vd%c", last) : g_strdup_printf("vd%c%c", 'a' + port / LETTERS - 1, last);
}

/* cache: what a guest writes is not kept twice, in its memory and the host's; layers that many guests read are. */
char *domain_xml_disk_build(const VmDisk *disk, GError **error) {
  g_autofree char *target = domain_xml_disk_target(disk->port);
  g_autofree char *bus = g_strdup_printf("0x%02x", VM_CONFIG_PORT_BUS(disk->port));
  g_autoptr(XmlWriter) xml = xml_writer_new();
  xml_open(xml, "disk", "type", "block", "device", "disk", "model", "virtio-non-transitional", NULL);
  xml_leaf(xml, "driver", "name", "qemu", "type", "raw", "cache", disk->read_only ? "writeback" : "none", "discard",
           disk->read_only ? NULL : "unmap", NULL);
  xml_leaf(xml, "source", "dev", disk->path, NULL);
  xml_leaf(xml, "target", "dev", target, "bus", "virtio", NULL);
  if (disk->read_only) xml_leaf(xml, "readonly", NULL);
  xml_leaf(xml, "address", "type", "pci", "domain", "0x0000", "bus", bus, "slot", "0x00", "function", "0x0", NULL);
  xml_close(xml);
  return xml_writer_finish(xml, error);
}
