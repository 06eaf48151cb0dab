/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/device-spec.h"

#include <string.h>
#include <sys/sysmacros.h>

#include "agent/device-kind.h"
#include "agent/device.h"
#include "common/error.h"

#define TYPE_VFIO "vfio-pci"
#define TYPE_VFIO_GUEST "vfio-pci-gk"
#define VFIO_FUNCTIONS_MAX 64
#define ENVIRONMENT_PREFIX "PCIDEVICE_"

const char *const device_handlers[] = {"blk", "mmioblk", "scsi", "nvdimm", "vfio-pci-gk", NULL};

struct DeviceJob {
  Sandbox *sandbox;
  const Grpc__Device *device;
  DeviceJobFunc func;
  gpointer user_data;
  DeviceFound *found;
  UeventWait *wait;
  gsize next_option;
  guint idle;
};

void device_found_free(DeviceFound *found) {
  if (!found) return;
  g_free(found->container_path);
  g_hash_table_unref(found->pci_addresses);
  g_free(found);
}

/* Disks on a bus with addresses have an id, others the name of their node. */
static const char *address_of(const Grpc__Device *device) { return *device->id ? device->id : device->vm_path; }

/* ---- checks ---- */

static Grpc__LinuxDevice *find_device(const OciSpec *spec, const char *path) {
  for (gsize i = 0; i < spec->linux->n_devices; i++)
    if (strcmp(spec->linux->devices[i]->path, path) == 0) return spec->linux->devices[i];
  return NULL;
}

/* "0000:3b:00.0=02/01": the host's address, and where it is plugged into the guest. */
static gboolean check_vfio_option(const char *option, GError **error) {
  const char *equals = strchr(option, '=');
  if (equals > option && device_check_pci_path(equals + 1, NULL)) return TRUE;
  g_autofree char *shown = error_clean_text(option);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "invalid option '%s' of a PCI device: not 'DDDD:BB:DD.F=GUEST-PCI-PATH'", shown);
  return FALSE;
}

static gboolean check_vfio(const Grpc__Device *device, GError **error) {
  if (strcmp(device->type, TYPE_VFIO) == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot give PCI device '%s' to a container by VFIO: this guest has no IOMMU; type '" TYPE_VFIO_GUEST
                "' leaves it to the guest's drivers",
                device->id);
    return FALSE;
  }
  if (device->n_options == 0 || device->n_options > VFIO_FUNCTIONS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "PCI device '%s' must have 1 to %d options, not %zu",
                device->id, VFIO_FUNCTIONS_MAX, device->n_options);
    return FALSE;
  }
  for (gsize i = 0; i < device->n_options; i++)
    if (!check_vfio_option(device->options[i], error)) return FALSE;
  return TRUE;
}

static gboolean check_parts(const Grpc__Device *device, GError **error) {
  const char *missing = NULL;
  if (!*device->type)
    missing = "type";
  else if (!*device->id && !*device->vm_path)
    missing = "id and no vm_path";
  else if (!*device->container_path)
    missing = "container_path";
  if (!missing) return TRUE;
  g_autofree char *shown = error_clean_text(*device->container_path ? device->container_path : address_of(device));
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid device '%s': it has no %s", shown, missing);
  return FALSE;
}

gboolean device_spec_check(const Grpc__Device *device, const OciSpec *spec, GError **error) {
  if (!check_parts(device, error)) return FALSE;
  if (strcmp(device->type, TYPE_VFIO) == 0 || strcmp(device->type, TYPE_VFIO_GUEST) == 0)
    return check_vfio(device, error);
  const DeviceKind *kind = device_kind_find(device->type);
  if (!kind) {
    g_autofree char *type = error_clean_text(device->type);
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "Failed to find the device handler %s", type);
    return FALSE;
  }
  if (!kind->check(address_of(device), error)) return FALSE;
  if (find_device(spec, device->container_path)) return TRUE;
  g_autofree char *shown = error_clean_text(device->container_path);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "Missing devices in OCI spec: no linux.devices entry with path '%s'", shown);
  return FALSE;
}

/* ---- waiting ---- */

static void job_end(DeviceJob *ended, const GError *error) {
  g_autofree DeviceJob *job = ended;
  if (job->wait) uevent_cancel(job->wait);
  if (job->idle) g_source_remove(job->idle);
  if (error) g_clear_pointer(&job->found, device_found_free);
  job->func(job->found, error, job->user_data);
}

static void fail_job(DeviceJob *job, const GError *reason) {
  g_autoptr(GError) error = g_error_copy(reason);
  g_prefix_error(&error, "device '%s': ", job->device->container_path);
  job_end(job, error);
}

static void node_came(const char *found, const GError *wait_error, gpointer user_data) {
  DeviceJob *job = user_data;
  g_autoptr(GError) error = wait_error ? g_error_copy(wait_error) : NULL;
  job->wait = NULL;
  if (error || !device_get_numbers(found, &job->found->type, &job->found->numbers, &error))
    fail_job(job, error);
  else
    job_end(job, NULL);
}

static void wait_for_function(DeviceJob *job);

static void function_came(const char *found, const GError *error, gpointer user_data) {
  DeviceJob *job = user_data;
  job->wait = NULL;
  if (error) {
    fail_job(job, error);
    return;
  }
  const char *option = job->device->options[job->next_option++];
  g_hash_table_insert(job->found->pci_addresses, g_strndup(option, (gsize)(strchr(option, '=') - option)),
                      g_path_get_basename(found));
  wait_for_function(job);
}

static void wait_for_function(DeviceJob *job) {
  if (job->next_option >= job->device->n_options) {
    job_end(job, NULL);
    return;
  }
  const char *path = strchr(job->device->options[job->next_option], '=') + 1;
  job->wait = uevent_wait(job->sandbox->uevents, "PCI device", device_find_pci, path,
                          job->sandbox->config->hotplug_timeout_ms, function_came, job);
}

DeviceJob *device_job_start(Sandbox *sandbox, const Grpc__Device *device, DeviceJobFunc func, gpointer user_data) {
  DeviceJob *job = g_new0(DeviceJob, 1);
  job->sandbox = sandbox;
  job->device = device;
  job->func = func;
  job->user_data = user_data;
  job->found = g_new0(DeviceFound, 1);
  job->found->container_path = g_strdup(device->container_path);
  job->found->pci_addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  const DeviceKind *kind = device_kind_find(device->type);
  if (kind)
    job->wait = device_kind_wait(kind, address_of(device), sandbox->uevents, sandbox->reaper,
                                 sandbox->config->hotplug_timeout_ms, node_came, job);
  else
    wait_for_function(job);
  return job;
}

static gboolean tell_cancelled(gpointer user_data) {
  DeviceJob *job = user_data;
  job->idle = 0;
  g_autoptr(GError) error =
      g_error_new(KATA_ERROR, KATA_ERR_CANCELLED, "device '%s' is not wanted any more", job->device->container_path);
  job_end(job, error);
  return G_SOURCE_REMOVE;
}

void device_job_cancel(DeviceJob *job) {
  if (job->wait) uevent_cancel(g_steal_pointer(&job->wait));
  if (!job->idle) job->idle = g_idle_add_full(G_PRIORITY_DEFAULT, tell_cancelled, job, NULL);
}

/* ---- the document ---- */

static void set_text(char **field, const char *value) {
  if (*field != (char *)protobuf_c_empty_string) g_free(*field);
  *field = g_strdup(value);
}

/* 0 is a number too: absent would mean any. */
static void set_numbers(Grpc__LinuxDeviceCgroup *rule, dev_t numbers) {
  rule->major_given_case = GRPC__LINUX_DEVICE_CGROUP__MAJOR_GIVEN_MAJOR;
  rule->major = major(numbers);
  rule->minor_given_case = GRPC__LINUX_DEVICE_CGROUP__MINOR_GIVEN_MINOR;
  rule->minor = minor(numbers);
}

static gboolean has_numbers(const Grpc__LinuxDeviceCgroup *rule, gint64 old_major, gint64 old_minor) {
  return rule->major_given_case == GRPC__LINUX_DEVICE_CGROUP__MAJOR_GIVEN_MAJOR && rule->major == old_major &&
         rule->minor_given_case == GRPC__LINUX_DEVICE_CGROUP__MINOR_GIVEN_MINOR && rule->minor == old_minor;
}

static void append_rule(Grpc__LinuxResources *resources, const DeviceFound *found) {
  Grpc__LinuxDeviceCgroup *rule = g_new(Grpc__LinuxDeviceCgroup, 1);
  const char type[] = {found->type, '\0'};
  grpc__linux_device_cgroup__init(rule);
  rule->allow = TRUE;
  set_text(&rule->type, type);
  set_numbers(rule, found->numbers);
  set_text(&rule->access, "rwm");
  resources->devices = g_renew(Grpc__LinuxDeviceCgroup *, resources->devices, resources->n_devices + 1);
  resources->devices[resources->n_devices++] = rule;
}

/* A rule for the host's numbers becomes one for the guest's, with the access it gives. Without one access is allowed,
 * unless there are no rules at all and everything is. */
static void apply_rules(Grpc__LinuxResources *resources, const DeviceFound *found, GHashTable *changed) {
  gboolean is_named = FALSE;
  if (!resources || resources->n_devices == 0) return;
  for (gsize i = 0; i < resources->n_devices; i++) {
    Grpc__LinuxDeviceCgroup *rule = resources->devices[i];
    if (*rule->type != found->type || !has_numbers(rule, found->host_major, found->host_minor)) continue;
    /* One device's number in the guest may be another's on the host. */
    if (!g_hash_table_add(changed, rule)) continue;
    set_numbers(rule, found->numbers);
    is_named = TRUE;
  }
  if (is_named) return;
  append_rule(resources, found);
  g_hash_table_add(changed, resources->devices[resources->n_devices - 1]);
}

static void apply_one(DeviceFound *found, OciSpec *spec, GHashTable *changed) {
  Grpc__LinuxDevice *device = found->type ? find_device(spec, found->container_path) : NULL;
  if (!device) return;
  const char type[] = {found->type, '\0'};
  found->host_major = device->major;
  found->host_minor = device->minor;
  set_text(&device->type, type);
  device->major = major(found->numbers);
  device->minor = minor(found->numbers);
  apply_rules(spec->linux->resources, found, changed);
}

static void rewrite_block_numbers(const GPtrArray *found, gint64 *number_major, gint64 *number_minor) {
  for (guint i = 0; i < found->len; i++) {
    const DeviceFound *device = g_ptr_array_index(found, i);
    if (device->type != 'b' || device->host_major != *number_major || device->host_minor != *number_minor) continue;
    *number_major = major(device->numbers);
    *number_minor = minor(device->numbers);
    return;
  }
}

static void apply_to_limits(const GPtrArray *found, Grpc__LinuxThrottleDevice **limits, gsize n_limits) {
  for (gsize i = 0; i < n_limits; i++) rewrite_block_numbers(found, &limits[i]->major, &limits[i]->minor);
}

void device_spec_apply_to_resources(const GPtrArray *found, OciResources *resources) {
  Grpc__LinuxBlockIO *block_io = resources ? resources->blockio : NULL;
  if (!block_io) return;
  for (gsize i = 0; i < block_io->n_weightdevice; i++)
    rewrite_block_numbers(found, &block_io->weightdevice[i]->major, &block_io->weightdevice[i]->minor);
  apply_to_limits(found, block_io->throttlereadbpsdevice, block_io->n_throttlereadbpsdevice);
  apply_to_limits(found, block_io->throttlewritebpsdevice, block_io->n_throttlewritebpsdevice);
  apply_to_limits(found, block_io->throttlereadiopsdevice, block_io->n_throttlereadiopsdevice);
  apply_to_limits(found, block_io->throttlewriteiopsdevice, block_io->n_throttlewriteiopsdevice);
}

/* "PCIDEVICE_VENDOR_NAME=0000:3b:00.0,0000:3b:00.1" */
static char *rewrite_variable(const GPtrArray *found, const char *variable) {
  const char *equals = strchr(variable, '=');
  if (!g_str_has_prefix(variable, ENVIRONMENT_PREFIX) || !equals) return g_strdup(variable);
  g_auto(GStrv) addresses = g_strsplit(equals + 1, ",", -1);
  for (char **address = addresses; *address; address++)
    for (guint i = 0; i < found->len; i++) {
      const DeviceFound *device = g_ptr_array_index(found, i);
      const char *guest = g_hash_table_lookup(device->pci_addresses, *address);
      if (!guest) continue;
      g_free(*address);
      *address = g_strdup(guest);
      break;
    }
  g_autofree char *value = g_strjoinv(",", addresses);
  g_autofree char *name = g_strndup(variable, (gsize)(equals - variable));
  return g_strconcat(name, "=", value, NULL);
}

static gboolean has_pci_addresses(const GPtrArray *found) {
  for (guint i = 0; i < found->len; i++)
    if (g_hash_table_size(((const DeviceFound *)g_ptr_array_index(found, i))->pci_addresses) > 0) return TRUE;
  return FALSE;
}

void device_spec_apply_to_process(const GPtrArray *found, OciProcess *process) {
  if (!has_pci_addresses(found)) return;
  for (gsize i = 0; i < process->n_env; i++) {
    char *variable = rewrite_variable(found, process->env[i]);
    set_text(&process->env[i], variable);
    g_free(variable);
  }
}

void device_spec_apply(const GPtrArray *found, OciSpec *spec) {
  g_autoptr(GHashTable) changed = g_hash_table_new(NULL, NULL);
  for (guint i = 0; i < found->len; i++) apply_one(g_ptr_array_index(found, i), spec, changed);
  device_spec_apply_to_resources(found, spec->linux->resources);
  if (spec->process) device_spec_apply_to_process(found, spec->process);
}
