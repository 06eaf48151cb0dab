// SPDX-License-Identifier: LGPL-2.1-or-later
/* One builder for each section; none looks at anything but the configuration. */
#include "lib/domain-xml.h"

#include "lib/domain-xml-devices.h"
#include "lib/domain-xml-writer.h"

static void write_identity(XmlWriter *xml, const VmConfig *config) {
  xml_text(xml, "name", config->name);
  xml_text(xml, "uuid", config->uuid);
  xml_text(xml, "title", config->title);
}

/* How many times memory can be plugged in. */
#define MEMORY_SLOTS "32"

static gboolean can_grow(const VmConfig *config) { return config->max_memory_mib > config->memory_mib; }

static void write_memory(XmlWriter *xml, const VmConfig *config) {
  if (can_grow(config)) {
    g_autofree char *most = g_strdup_printf("%" G_GUINT64_FORMAT, config->max_memory_mib);
    xml_open(xml, "maxMemory", "slots", MEMORY_SLOTS, "unit", "MiB", NULL);
    xml_content(xml, most);
    xml_close(xml);
  }
  xml_open(xml, "memory", "unit", "MiB", NULL);
  g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, config->memory_mib);
  xml_content(xml, size);
  xml_close(xml);
  if (config->virtiofs_socket == NULL) return;
  /* virtiofsd reads and writes the guest's memory itself. */
  xml_open(xml, "memoryBacking", NULL);
  xml_leaf(xml, "source", "type", "memfd", NULL);
  xml_leaf(xml, "access", "mode", "shared", NULL);
  xml_close(xml);
}

static void write_vcpus(XmlWriter *xml, const VmConfig *config) {
  g_autofree char *now = g_strdup_printf("%u", config->vcpus);
  g_autofree char *most = g_strdup_printf("%u", config->max_vcpus);
  xml_open(xml, "vcpu", "placement", "static", "current", config->vcpus < config->max_vcpus ? now : NULL, NULL);
  xml_content(xml, most);
  xml_close(xml);
}

static void write_threads(XmlWriter *xml, const VmConfig *config) {
  if (config->disk_thread) xml_text(xml, "iothreads", VM_CONFIG_IOTHREAD);
}

static void write_boot(XmlWriter *xml, const VmConfig *config) {
  xml_open(xml, "os", NULL);
  xml_open(xml, "type", "arch", "x86_64", "machine", config->machine, NULL);
  xml_content(xml, "hvm");
  xml_close(xml);
  if (config->firmware != NULL) {
    xml_open(xml, "loader", "type", "rom", NULL);
    xml_content(xml, config->firmware);
    xml_close(xml);
  }
  xml_text(xml, "kernel", config->kernel);
  xml_text(xml, "initrd", config->initrd);
  xml_text(xml, "cmdline", config->cmdline);
  xml_close(xml);
}

static void write_features(XmlWriter *xml) {
  xml_open(xml, "features", NULL);
  xml_leaf(xml, "acpi", NULL);
  xml_leaf(xml, "apic", NULL);
  xml_leaf(xml, "vmport", "state", "off", NULL);
  xml_leaf(xml, "smm", "state", "off", NULL);
  xml_close(xml);
}

static void write_cpu(XmlWriter *xml, const VmConfig *config) {
  const char *mode = config->accelerator == ACCELERATOR_TCG ? "maximum" : "host-passthrough";
  if (!can_grow(config) && !config->plug_late) {
    xml_leaf(xml, "cpu", "mode", mode, "check", "none", NULL);
    return;
  }
  /* libvirt plugs memory only into a machine with a NUMA node. A share it plugs in where memory is shared; having taken
   * a machine over it only sees that by the node (libvirt 9.0 has forgotten the name of the default memory by then). */
  g_autofree char *cpus = g_strdup_printf("0-%u", config->max_vcpus - 1);
  g_autofree char *memory = g_strdup_printf("%" G_GUINT64_FORMAT, config->memory_mib);
  xml_open(xml, "cpu", "mode", mode, "check", "none", NULL);
  xml_open(xml, "numa", NULL);
  xml_leaf(xml, "cell", "id", "0", "cpus", cpus, "memory", memory, "unit", "MiB", "memAccess",
           config->virtiofs_socket != NULL ? "shared" : NULL, NULL);
  xml_close(xml);
  xml_close(xml);
}

static void write_clock(XmlWriter *xml) {
  xml_open(xml, "clock", "offset", "utc", NULL);
  xml_leaf(xml, "timer", "name", "hpet", "present", "no", NULL);
  xml_close(xml);
}

/* A guest lives once: whatever ends it ends QEMU. */
static void write_lifecycle(XmlWriter *xml) {
  xml_text(xml, "on_poweroff", "destroy");
  xml_text(xml, "on_reboot", "destroy");
  xml_text(xml, "on_crash", "destroy");
  xml_open(xml, "pm", NULL);
  xml_leaf(xml, "suspend-to-mem", "enabled", "no", NULL);
  xml_leaf(xml, "suspend-to-disk", "enabled", "no", NULL);
  xml_close(xml);
}

char *domain_xml_build(const VmConfig *config, GError **error) {
  g_autoptr(XmlWriter) xml = xml_writer_new();
  xml_open(xml, "domain", "type", config->accelerator == ACCELERATOR_TCG ? "qemu" : "kvm", NULL);
  write_identity(xml, config);
  write_memory(xml, config);
  write_vcpus(xml, config);
  write_threads(xml, config);
  write_boot(xml, config);
  write_features(xml);
  write_cpu(xml, config);
  write_clock(xml);
  write_lifecycle(xml);
  domain_xml_write_devices(xml, config);
  xml_close(xml);
  return xml_writer_finish(xml, error);
}

char *domain_xml_build_nic(const VmNic *nic, GError **error) {
  g_autoptr(XmlWriter) xml = xml_writer_new();
  domain_xml_write_nic(xml, nic);
  return xml_writer_finish(xml, error);
}

char *domain_xml_build_share(const VmConfig *config, GError **error) {
  g_autoptr(XmlWriter) xml = xml_writer_new();
  domain_xml_write_share(xml, config);
  return xml_writer_finish(xml, error);
}
