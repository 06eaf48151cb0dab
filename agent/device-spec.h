/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices the host gives to a container: found in the guest, and put into its OCI document. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "agent/sandbox.h"
#include "common/oci.h"
#include "proto/agent.pb-c.h"

/* Devices one request may name. */
#define DEVICE_LIST_MAX 256

/* The types that are known, for GetGuestDetails; NULL ends it. */
extern const char *const device_handlers[];

typedef struct {
  char *container_path;
  char type; /* 'b', 'c'; 0: it has no node, guest drivers use it */
  dev_t numbers;
  gint64 host_major; /* as the document has them; 0 until it was rewritten */
  gint64 host_minor;
  GHashTable *pci_addresses; /* the host's -> the guest's, "DDDD:BB:DD.F" */
} DeviceFound;

void device_found_free(DeviceFound *found);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DeviceFound, device_found_free)

typedef struct DeviceJob DeviceJob;
/* found: the caller's; NULL with error. */
typedef void (*DeviceJobFunc)(DeviceFound *found, const GError *error, gpointer user_data);

/* What can be said before anything is waited for. */
gboolean device_spec_check(const Grpc__Device *device, const OciSpec *spec, GError **error);

/* Waits for a checked device. func is called once, from the main loop, never before this returns. */
DeviceJob *device_job_start(Sandbox *sandbox, const Grpc__Device *device, DeviceJobFunc func, gpointer user_data);
/* func is still called, with an error. */
void device_job_cancel(DeviceJob *job);

/* Puts the guest's numbers (of a DeviceFound each) where the host's are: devices, rules of the device cgroup, limits
 * and weights of block I/O, and the PCI addresses in variables named PCIDEVICE_... */
void device_spec_apply(const GPtrArray *found, OciSpec *spec);
/* The variables alone, of a process that comes later. */
void device_spec_apply_to_process(const GPtrArray *found, OciProcess *process);
/* The limits and weights of block I/O alone, of resources that come later. resources: may be NULL. */
void device_spec_apply_to_resources(const GPtrArray *found, OciResources *resources);
