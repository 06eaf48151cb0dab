/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Health, and calls about the sandbox and the guest as a whole. */
#include <config.h> /* configure's, not this room's */
#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/device-spec.h"
#include "agent/entropy.h"
#include "agent/rpc.h"
#include "common/error.h"
#include "common/safe-path.h"
#include "proto/health.pb-c.h"

#define MEMORY_BLOCK_SIZE "/sys/devices/system/memory/block_size_bytes"
#define MEMORY_PROBE "/sys/devices/system/memory/probe"
#define SMALL_FILE_MAX 4096

void rpc_check(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  Grpc__HealthCheckResponse reply = GRPC__HEALTH_CHECK_RESPONSE__INIT;
  reply.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
  ttrpc_call_reply(call, &reply.base);
}

void rpc_version(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  Grpc__VersionCheckResponse reply = GRPC__VERSION_CHECK_RESPONSE__INIT;
  reply.grpc_version = (char *)RPC_GRPC_VERSION;
  reply.agent_version = (char *)PACKAGE_VERSION;
  ttrpc_call_reply(call, &reply.base);
}

void rpc_create_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  sandbox_create(user_data, (const Grpc__CreateSandboxRequest *)request, rpc_answer, call);
}

typedef struct {
  TtrpcCall *call;
  Sandbox *sandbox;
} Destroy;

static void sandbox_destroyed(gpointer user_data) {
  g_autofree Destroy *destroy = user_data;
  rpc_reply_empty(destroy->call);
  destroy->sandbox->stop_func(destroy->sandbox->stop_data);
}

void rpc_destroy_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  g_autoptr(GError) error = NULL;
  g_autofree Destroy *destroy = g_new(Destroy, 1);
  *destroy = (Destroy){call, user_data};
  if (sandbox_destroy(user_data, sandbox_destroyed, destroy, &error))
    g_steal_pointer(&destroy);
  else
    ttrpc_call_fail_error(call, error);
}

static guint64 read_memory_block_size(void) {
  g_autofree char *text = safe_read_file(MEMORY_BLOCK_SIZE, SMALL_FILE_MAX, NULL, NULL);
  return text ? g_ascii_strtoull(text, NULL, 16) : 0;
}

void rpc_get_guest_details(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__GuestDetailsRequest *asked = (const Grpc__GuestDetailsRequest *)request;
  const Sandbox *sandbox = user_data;
  Grpc__AgentDetails details = GRPC__AGENT_DETAILS__INIT;
  details.version = (char *)PACKAGE_VERSION;
  details.init_daemon = sandbox->config->is_init;
  details.n_storage_handlers = g_strv_length((char **)storage_drivers);
  details.storage_handlers = (char **)storage_drivers;
  details.n_device_handlers = g_strv_length((char **)device_handlers);
  details.device_handlers = (char **)device_handlers;
  details.supports_seccomp = TRUE;
  Grpc__GuestDetailsResponse reply = GRPC__GUEST_DETAILS_RESPONSE__INIT;
  reply.agent_details = &details;
  if (asked->mem_block_size) reply.mem_block_size_bytes = read_memory_block_size();
  if (asked->mem_hotplug_probe) reply.support_mem_hotplug_probe = access(MEMORY_PROBE, F_OK) == 0;
  ttrpc_call_reply(call, &reply.base);
}

void rpc_set_guest_date_time(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__SetGuestDateTimeRequest *asked = (const Grpc__SetGuestDateTimeRequest *)request;
  struct timeval now = {.tv_sec = asked->sec, .tv_usec = asked->usec};
  g_autoptr(GError) error = NULL;
  if (settimeofday(&now, NULL) < 0)
    error_set_errno(&error, errno, "cannot set the guest's clock to %" G_GINT64_FORMAT " s", asked->sec);
  rpc_answer(error, call);
}

void rpc_reseed_random_dev(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__ReseedRandomDevRequest *asked = (const Grpc__ReseedRandomDevRequest *)request;
  g_autoptr(GError) error = NULL;
  entropy_add(asked->data.data, asked->data.len, &error);
  rpc_answer(error, call);
}
