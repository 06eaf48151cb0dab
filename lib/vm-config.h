/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtual machine a sandbox gets: plain values, from settings and a sandbox's directory. */
#pragma once

#include <glib.h>

#include "lib/settings.h"
#include "lib/vm-size.h"

/* What all cards have alike, from the settings. */
typedef struct {
  guint queues;     /* 1 or more, each for both directions */
  gboolean in_qemu; /* QEMU itself serves them, never the host's kernel (vhost-net) */
} VmNicOptions;

/* A network card: the other end of a tap device that QEMU makes. */
typedef struct {
  guint number; /* where it sits: VM_CONFIG_NIC_FIRST_SLOT and so on */
  char *tap;
  char *mac;
  guint mtu;
  VmNicOptions options;
} VmNic;

typedef struct {
  char *name;  /* VM_CONFIG_NAME */
  char *uuid;  /* derived from root and id, so that it is the same each time */
  char *title; /* the sandbox's id */
  char *emulator;
  char *machine;  /* "q35" */
  char *firmware; /* qboot.rom; NULL: the machine's own */
  Accelerator accelerator;
  guint vcpus;
  guint max_vcpus;
  guint64 memory_mib;
  guint64 max_memory_mib; /* with what can be plugged in; 0: none can */
  char *kernel;
  char *initrd;
  char *cmdline;
  AgentChannel channel; /* VSOCK or SERIAL, never AUTO */
  guint32 vsock_cid;
  char *agent_socket;    /* SERIAL: unix socket of the port, listened on by QEMU */
  char *console_log;     /* file the serial console is written to */
  char *virtiofs_socket; /* NULL: no shared directory */
  GPtrArray *nics;       /* VmNic */
  VmNicOptions nic_options;
  gboolean reclaim;     /* the guest tells which memory it does not use, and QEMU gives it back to the host */
  guint ports;          /* where something can be plugged in later, at most VM_CONFIG_PORTS_MAX */
  gboolean disk_thread; /* VM_CONFIG_IOTHREAD is there */
  gboolean plug_late;   /* the share and the cards are plugged in once it runs: vm_config_plug_late() */
} VmConfig;

/* libvirt's domain name. Each sandbox has a libvirt root of its own, so all are named alike; the name is
 * part of the monitor's socket path (ROOT/s/KEY/v/lib/qemu/domain-1-NAME/monitor.sock), so it is short. */
#define VM_CONFIG_NAME "kata"
#define VM_CONFIG_PORT_NAME "kata.agent.0" /* name of the virtio-serial port, /dev/virtio-ports/NAME in the guest */
#define VM_CONFIG_VIRTIOFS_TAG "kataShared"
#define VM_CONFIG_IOTHREAD "1" /* libvirt's number of the thread that serves disks */

void vm_config_free(VmConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmConfig, vm_config_free)

/* sandbox_dir: $ROOT/s/KEY. accelerator and channel: resolved. vsock_cid is left 0 for the caller to choose. */
VmConfig *vm_config_new(const kata_settings *settings, const char *sandbox_id, const char *sandbox_dir,
                        Accelerator accelerator, AgentChannel channel, GError **error);

/* A bridge from PCI Express to PCI: devices can be plugged into the bus behind it, and out of it, while the machine
 * runs, unlike the root bus. The guest gives the bridge memory for the devices that are there when it boots, rounded up
 * to 1 MiB, so there must be one, and then there is room for as many as there are slots. */
#define VM_CONFIG_BRIDGE_SLOT 0x08u
#define VM_CONFIG_BRIDGE_BUS 2u

/* Cards sit in slots behind the bridge, by their number, so that the guest can tell them apart. */
#define VM_CONFIG_NICS_MAX 9u
#define VM_CONFIG_NIC_FIRST_SLOT 0x10u
void vm_config_add_nic(VmConfig *config, guint number, const char *tap, const char *mac, guint mtu);
void vm_nic_free(VmNic *nic);
VmNicOptions vm_config_nic_options(const kata_settings *settings);
/* The agent protocol's form of where card number nic sits: the slots on the way to it in hexadecimal digits. */
char *vm_config_nic_pci_path(guint nic);

/* PCI Express ports, eight to a slot of the root bus. */
#define VM_CONFIG_PORTS_MAX 32u
#define VM_CONFIG_PORT_FIRST_SLOT 0x03u
#define VM_CONFIG_PORTS_PER_SLOT 8u
/* The agent protocol's form of what is plugged into port number port (from 0). */
char *vm_config_port_pci_path(guint port);
/* The number libvirt gives the bus behind it. */
#define VM_CONFIG_PORT_BUS(port) ((port) + VM_CONFIG_BRIDGE_BUS + 1u)

/* The share and the cards are not in the domain XML but plugged in once the machine runs, the share into a port of its
 * own behind the others: so machines are alike that differ in nothing else. FALSE: there is no port left for it. */
gboolean vm_config_plug_late(VmConfig *config);

/* The kernel's command line: ours, then the settings' kernel_params. */
char *vm_config_cmdline(const kata_settings *settings, AgentChannel channel);

/* The most a guest may ever have: no more CPUs than the host has, unless somebody says so, and never more memory. */
VmSize vm_config_get_limit(const kata_settings *settings);
/* The size it starts with, and what can be plugged in beyond it. */
void vm_config_set_size(VmConfig *config, const kata_settings *settings, const VmSize *size);
