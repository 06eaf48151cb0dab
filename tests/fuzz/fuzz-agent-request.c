// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a host may send to the agent. The first byte of the input chooses the method, the rest is the request as it is
 * on the wire; it is decoded as the agent does it, and goes through what the handlers check and rewrite before they
 * touch the guest. The network calls are carried out, in an empty network namespace.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/attributes.h"
#include "agent/device-kind.h"
#include "agent/device-spec.h"
#include "agent/mount.h"
#include "agent/net-interface.h"
#include "agent/net-neighbor.h"
#include "agent/net-route-update.h"
#include "agent/netlink.h"
#include "agent/spec.h"
#include "agent/storage-private.h"
#include "agent/user.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/protobuf-json.h"
#include "common/safe-path.h"
#include "common/ttrpc-message.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:100::/home/user:/bin/sh\nbroken:x\n:::::\n";
static const char group[] = "root:x:0:\nusers:x:100:user,root\nmany:x:4294967295:user\nbroken\n";
static const SpecKernel kernel = {.cpus = "0-3", .mems = "0", .has_io_weight = TRUE};

/* Errors are set if and only if something failed. What is not UTF-8 in them is replaced when they are sent. */
static void check(gboolean done, GError *error) {
  g_assert(done == (error == NULL));
  if (error) g_assert(*error->message);
  g_clear_error(&error);
}

/* call: uses &error. */
#define CHECK(call)            \
  do {                         \
    GError *error = NULL;      \
    gboolean is_done = (call); \
    check(is_done, error);     \
  } while (0)

/* ---- containers ---- */

static void check_user(const Grpc__StringUser *asked, const Grpc__Process *process) {
  Grpc__User user = GRPC__USER__INIT;
  if (process && process->user) user.username = process->user->username;
  GError *error = NULL;
  if (!user_is_named(asked, &user)) return;
  gboolean done = user_resolve(passwd, group, asked, &user, &error);
  check(done, error);
  g_free(user.additionalgids);
}

static void check_spec(const Grpc__Spec *spec) {
  GError *error = NULL;
  SpecPlace place = {.container_id = "fuzz",
                     .rootfs = "/run/kata-containers/fuzz/rootfs",
                     .ipc_path = "/proc/1/ns/ipc",
                     .uts_path = "/proc/1/ns/uts",
                     .network_path = "/proc/1/ns/net",
                     .kernel = kernel};
  OciSpec *prepared = spec_prepare(spec, &place, &error);
  check(prepared != NULL, error);
  if (!prepared) return;
  g_assert_cmpstr(prepared->root->path, ==, place.rootfs);
  g_assert(prepared->linux->cgroupspath[0] == '/' && strstr(prepared->linux->cgroupspath, "/../") == NULL);
  g_strfreev(spec_get_device_weights(prepared->linux->resources));
  g_autofree char *text = oci_spec_to_json(prepared);
  g_assert(strlen(text) > 0);
  oci_spec_free(prepared);
}

static void check_process(const Grpc__Process *process) {
  GError *error = NULL;
  OciProcess *prepared = process ? spec_prepare_process(process, &error) : NULL;
  if (process) check(prepared != NULL, error);
  oci_process_free(prepared);
}

static void check_storages(Grpc__Storage *const *storages, gsize n_storages) {
  for (gsize i = 0; i < n_storages; i++) {
    unsigned long flags = 0;
    g_autofree char *options = NULL;
    CHECK(mount_parse_options(storages[i]->options, storages[i]->n_options, &flags, &options, &error));
    CHECK(safe_path_check(storages[i]->mount_point, "mount point", &error));
    const StorageDriver *driver = storage_driver_find(storages[i]->driver);
    if (driver && driver->check) CHECK(driver->check(storages[i], &error));
    const DeviceKind *kind = driver && driver->device ? device_kind_find(driver->device) : NULL;
    if (kind) CHECK(kind->check(storages[i]->source, &error));
    g_autoptr(GPtrArray) words = storage_copy_options(storages[i]);
    storage_take_option(words, "fsgid=");
    storage_has_option(storages[i], "mode=");
  }
}

/* Those that are right get numbers, as if the guest had found them. */
static void check_devices(const Grpc__CreateContainerRequest *request) {
  g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)device_found_free);
  for (gsize i = 0; i < request->n_devices; i++) {
    const Grpc__Device *device = request->devices[i];
    CHECK(device_spec_check(device, request->oci, &error));
    if (!device_spec_check(device, request->oci, NULL)) continue;
    DeviceFound *entry = g_new0(DeviceFound, 1);
    entry->container_path = g_strdup(device->container_path);
    entry->type = 'b';
    entry->numbers = makedev(253, i);
    entry->pci_addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_hash_table_insert(entry->pci_addresses, g_strdup("0000:3b:00.0"), g_strdup("0000:00:05.0"));
    g_ptr_array_add(found, entry);
  }
  g_autoptr(OciSpec) spec = oci_spec_copy(request->oci);
  g_assert(spec);
  device_spec_apply(found, spec);
  if (spec->process) device_spec_apply_to_process(found, spec->process);
}

static void check_create(const Grpc__CreateContainerRequest *request) {
  CHECK(id_check(request->container_id, "container", &error));
  CHECK(spec_check(request->oci, &error));
  if (spec_check(request->oci, NULL)) {
    check_spec(request->oci);
    check_devices(request);
  }
  check_user(request->string_user, request->oci ? request->oci->process : NULL);
  check_storages(request->storages, request->n_storages);
}

static void check_update(const Grpc__UpdateContainerRequest *request) {
  if (!request->resources) return;
  g_autoptr(OciResources) resources = oci_resources_copy(request->resources);
  CHECK(spec_prepare_resources(resources, &kernel, &error));
  CHECK(spec_check_memory_update(request->resources, 1u << 20, &error));
  struct json_object *json = protobuf_to_json(&resources->base, PROTOBUF_JSON_OCI);
  json_object_put(json);
}

/* ---- network ---- */

/* NULL where there may be no namespace of one's own. */
static Netlink *get_netlink(void) {
  static gboolean is_tried;
  static Netlink *netlink;
  if (!is_tried && geteuid() == 0 && unshare(CLONE_NEWNET) == 0) netlink = netlink_open(0, NULL);
  is_tried = TRUE;
  return netlink;
}

static void check_interface(const Types__Interface *message) {
  GError *error = NULL;
  g_autoptr(NetInterface) wanted = net_interface_parse(message, &error);
  check(wanted != NULL, error);
  if (!wanted) return;
  g_autofree char *text = net_interface_describe(wanted);
  g_assert(*text);
  if (!get_netlink()) return;
  error = NULL;
  int index = net_interface_find(wanted, get_netlink(), &error);
  check(index >= 0, error);
}

static void check_network(const ProtobufCMessage *message) {
  if (message->descriptor == &grpc__update_interface_request__descriptor) {
    const Grpc__UpdateInterfaceRequest *request = (const void *)message;
    if (request->interface) check_interface(request->interface);
  } else if (message->descriptor == &grpc__update_routes_request__descriptor && get_netlink()) {
    const Grpc__UpdateRoutesRequest *request = (const void *)message;
    if (request->routes) CHECK(net_routes_replace(get_netlink(), request->routes, &error));
  } else if (message->descriptor == &grpc__add_arpneighbors_request__descriptor && get_netlink()) {
    const Grpc__AddARPNeighborsRequest *request = (const void *)message;
    if (request->neighbors) CHECK(net_neighbors_add(get_netlink(), request->neighbors, &error));
  }
}

/* ---- all ---- */

static void check_message(const ProtobufCMessage *message) {
  if (message->descriptor == &grpc__create_container_request__descriptor) {
    check_create((const void *)message);
  } else if (message->descriptor == &grpc__exec_process_request__descriptor) {
    const Grpc__ExecProcessRequest *request = (const void *)message;
    check_process(request->process);
    check_user(request->string_user, request->process);
  } else if (message->descriptor == &grpc__update_container_request__descriptor) {
    check_update((const void *)message);
  } else if (message->descriptor == &grpc__create_sandbox_request__descriptor) {
    const Grpc__CreateSandboxRequest *request = (const void *)message;
    check_storages(request->storages, request->n_storages);
  } else if (message->descriptor == &grpc__update_ephemeral_mounts_request__descriptor) {
    const Grpc__UpdateEphemeralMountsRequest *request = (const void *)message;
    check_storages(request->storages, request->n_storages);
  } else {
    check_network(message);
  }
}

static const ProtobufCMessageDescriptor *choose(uint8_t number) {
  unsigned n_agent = grpc__agent_service__descriptor.n_methods;
  number %= n_agent + grpc__health__descriptor.n_methods;
  return number < n_agent ? grpc__agent_service__descriptor.methods[number].input
                          : grpc__health__descriptor.methods[number - n_agent].input;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static gboolean is_quiet;
  if (!is_quiet) log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_FORMAT_JSON, G_LOG_LEVEL_ERROR);
  is_quiet = TRUE;
  if (size < 1) return 0;
  ProtobufCMessage *message = ttrpc_unpack(choose(data[0]), data + 1, size - 1);
  if (message == NULL) return 0;
  check_message(message);
  protobuf_c_message_free_unpacked(message, NULL);
  return 0;
}
