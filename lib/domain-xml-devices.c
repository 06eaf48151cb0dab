// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/domain-xml-devices.h"

/*
 * Devices sit on the root bus itself or behind the one bridge, each in a slot of its own: libvirt would put a PCIe
 * port in front of each, and every port costs the guest's start (port and bridge: 1 %). Slots 0x00 (host bridge) and
 * 0x1f (ICH9) of the root bus are the machine's.
 */
enum { SLOT_SHARE = 0x02, SLOT_BALLOON = 0x09 };
/* Behind the bridge. The agent's is there so that there is one: see VM_CONFIG_BRIDGE_SLOT. */
enum { SLOT_AGENT = 0x01 };
G_STATIC_ASSERT(VM_CONFIG_PORT_FIRST_SLOT + VM_CONFIG_PORTS_MAX / VM_CONFIG_PORTS_PER_SLOT <= VM_CONFIG_BRIDGE_SLOT);

/* Without the registers of virtio before 1.0, which need I/O ports. */
#define MODERN "virtio-non-transitional"

static void write_address_on(XmlWriter *xml, guint bus, guint slot) {
  g_autofree char *bus_text = g_strdup_printf("0x%02x", bus);
  g_autofree char *slot_text = g_strdup_printf("0x%02x", slot);
  xml_leaf(xml, "address", "type", "pci", "domain", "0x0000", "bus", bus_text, "slot", slot_text, "function", "0x0",
           NULL);
}

static void write_address(XmlWriter *xml, guint slot) { write_address_on(xml, 0, slot); }

/* libvirt wants a port in front of it. */
static void write_bridge(XmlWriter *xml) {
  xml_leaf(xml, "controller", "type", "pci", "index", "0", "model", "pcie-root", NULL);
  xml_open(xml, "controller", "type", "pci", "index", "1", "model", "pcie-root-port", NULL);
  write_address(xml, VM_CONFIG_BRIDGE_SLOT);
  xml_close(xml);
  xml_open(xml, "controller", "type", "pci", "index", "2", "model", "pcie-to-pci-bridge", NULL);
  write_address_on(xml, 1, 0);
  xml_close(xml);
}

/* What libvirt adds on its own if it is not told otherwise. */
static void write_absent(XmlWriter *xml, const VmConfig *config) {
  xml_leaf(xml, "controller", "type", "usb", "model", "none", NULL);
  if (!config->reclaim) xml_leaf(xml, "memballoon", "model", "none", NULL);
}

/* Nobody blows it up: it is there for the guest to say which pages it has no use for. */
static void write_balloon(XmlWriter *xml) {
  xml_open(xml, "memballoon", "model", MODERN, "autodeflate", "off", "freePageReporting", "on", NULL);
  write_address(xml, SLOT_BALLOON);
  xml_close(xml);
}

static void write_console(XmlWriter *xml, const VmConfig *config) {
  xml_open(xml, "serial", "type", "file", NULL);
  xml_leaf(xml, "source", "path", config->console_log, "append", "on", NULL);
  xml_leaf(xml, "target", "type", "isa-serial", "port", "0", NULL);
  xml_close(xml);
}

/* QEMU listens; one host process at a time may connect. */
static void write_port(XmlWriter *xml, const VmConfig *config) {
  /* Port 0 is reserved for a console, so one port needs two. */
  xml_open(xml, "controller", "type", "virtio-serial", "index", "0", "model", MODERN, "ports", "2", NULL);
  write_address_on(xml, VM_CONFIG_BRIDGE_BUS, SLOT_AGENT);
  xml_close(xml);
  xml_open(xml, "channel", "type", "unix", NULL);
  xml_leaf(xml, "source", "mode", "bind", "path", config->agent_socket, NULL);
  xml_leaf(xml, "target", "type", "virtio", "name", VM_CONFIG_PORT_NAME, NULL);
  xml_leaf(xml, "address", "type", "virtio-serial", "controller", "0", "bus", "0", "port", "1", NULL);
  xml_close(xml);
}

static void write_vsock(XmlWriter *xml, const VmConfig *config) {
  xml_open(xml, "vsock", "model", MODERN, NULL);
  g_autofree char *cid = g_strdup_printf("%u", config->vsock_cid);
  gboolean chosen = config->vsock_cid != 0;
  xml_leaf(xml, "cid", "auto", chosen ? "no" : "yes", "address", chosen ? cid : NULL, NULL);
  write_address_on(xml, VM_CONFIG_BRIDGE_BUS, SLOT_AGENT);
  xml_close(xml);
}

/* virtiofsd is the owner's, not libvirt's: see docs/ARCHITECTURE.md. */
void domain_xml_write_share(XmlWriter *xml, const VmConfig *config) {
  xml_open(xml, "filesystem", "type", "mount", NULL);
  xml_leaf(xml, "driver", "type", "virtiofs", "queue", "1024", NULL);
  xml_leaf(xml, "source", "socket", config->virtiofs_socket, NULL);
  xml_leaf(xml, "target", "dir", VM_CONFIG_VIRTIOFS_TAG, NULL);
  if (config->plug_late)
    write_address_on(xml, VM_CONFIG_PORT_BUS(config->ports), 0);
  else
    write_address(xml, SLOT_SHARE);
  xml_close(xml);
}

static void write_nic_driver(XmlWriter *xml, const VmNicOptions *options) {
  if (options->queues <= 1 && !options->in_qemu) return;
  g_autofree char *queues = options->queues > 1 ? g_strdup_printf("%u", options->queues) : NULL;
  xml_leaf(xml, "driver", "name", options->in_qemu ? "qemu" : NULL, "queues", queues, NULL);
}

/* libvirt makes the tap, in the network namespace of the thread that starts the machine. */
void domain_xml_write_nic(XmlWriter *xml, const VmNic *nic) {
  g_autofree char *mtu = g_strdup_printf("%u", nic->mtu);
  xml_open(xml, "interface", "type", "ethernet", NULL);
  xml_leaf(xml, "mac", "address", nic->mac, NULL);
  xml_leaf(xml, "target", "dev", nic->tap, NULL);
  xml_leaf(xml, "model", "type", MODERN, NULL);
  write_nic_driver(xml, &nic->options);
  xml_leaf(xml, "mtu", "size", mtu, NULL);
  xml_leaf(xml, "rom", "enabled", "no", NULL); /* nobody boots from it */
  write_address_on(xml, VM_CONFIG_BRIDGE_BUS, VM_CONFIG_NIC_FIRST_SLOT + nic->number);
  xml_close(xml);
}

/* Eight functions of a slot cost the guest's start some 20 million instructions, eight slots as many again. */
static void write_port_for_plugging(XmlWriter *xml, guint port) {
  g_autofree char *index = g_strdup_printf("%u", VM_CONFIG_PORT_BUS(port));
  g_autofree char *slot = g_strdup_printf("0x%02x", VM_CONFIG_PORT_FIRST_SLOT + port / VM_CONFIG_PORTS_PER_SLOT);
  g_autofree char *function = g_strdup_printf("0x%x", port % VM_CONFIG_PORTS_PER_SLOT);
  gboolean is_first = port % VM_CONFIG_PORTS_PER_SLOT == 0;
  xml_open(xml, "controller", "type", "pci", "index", index, "model", "pcie-root-port", NULL);
  xml_leaf(xml, "target", "chassis", index, "port", index, NULL);
  xml_leaf(xml, "address", "type", "pci", "domain", "0x0000", "bus", "0x00", "slot", slot, "function", function,
           "multifunction", is_first ? "on" : NULL, NULL);
  xml_close(xml);
}

void domain_xml_write_devices(XmlWriter *xml, const VmConfig *config) {
  xml_open(xml, "devices", NULL);
  xml_text(xml, "emulator", config->emulator);
  write_absent(xml, config);
  write_bridge(xml);
  write_console(xml, config);
  if (config->channel == CHANNEL_SERIAL)
    write_port(xml, config);
  else
    write_vsock(xml, config);
  if (config->reclaim) write_balloon(xml);
  if (config->virtiofs_socket != NULL && !config->plug_late) domain_xml_write_share(xml, config);
  for (guint i = 0; i < config->nics->len && !config->plug_late; i++) domain_xml_write_nic(xml, config->nics->pdata[i]);
  guint ports = config->ports + (config->plug_late ? 1 : 0);
  for (guint i = 0; i < ports; i++) write_port_for_plugging(xml, i);
  xml_close(xml);
}
