// SPDX-License-Identifier: LGPL-2.1-or-later
/* A sandbox's machine while it runs: pause, size, what it costs the host, its console. */
#include <fcntl.h>
#include <json-c/json.h>
#include <unistd.h>

#include "common/error.h"
#include "lib/api.h"
#include "lib/owner-client.h"
#include "lib/sandbox.h"
#include "proto/kata-v1.pb-c.h"

#define OWNER_SERVICE (&kata__v1__owner__descriptor)

static gboolean call(const kata_sandbox *sandbox, const char *method, const ProtobufCMessage *request, GError **error) {
  return owner_call(sandbox->ctx, sandbox->id, OWNER_SERVICE, method, request, OWNER_QUICK_MS, NULL, error);
}

static int set_paused(kata_sandbox *sandbox, gboolean paused, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  Kata__V1__PauseSandboxRequest request = KATA__V1__PAUSE_SANDBOX_REQUEST__INIT;
  request.paused = paused;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) || !call(sandbox, "PauseSandbox", &request.base, &error))
    return api_fail(err, error);
  return 0;
}

int kata_sandbox_pause(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  return set_paused(sandbox, TRUE, flags, err);
}

int kata_sandbox_resume(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  return set_paused(sandbox, FALSE, flags, err);
}

int kata_sandbox_resize(kata_sandbox *sandbox, uint32_t vcpus, uint64_t memory_mib, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  Kata__V1__ResizeSandboxRequest request = KATA__V1__RESIZE_SANDBOX_REQUEST__INIT;
  request.vcpus = vcpus;
  request.memory_mib = memory_mib;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) ||
      !owner_call(sandbox->ctx, sandbox->id, OWNER_SERVICE, "ResizeSandbox", &request.base, 0, NULL, &error))
    return api_fail(err, error);
  return 0;
}

static char *stats_to_json(const Kata__V1__SandboxStatsResponse *stats) {
  struct json_object *json = json_object_new_object(), *processes = json_object_new_array();
  json_object_object_add(json, "vcpus", json_object_new_int64(stats->vcpus));
  json_object_object_add(json, "memory_mib", json_object_new_uint64(stats->memory_mib));
  json_object_object_add(json, "containers", json_object_new_int64(stats->containers));
  json_object_object_add(json, "processes", processes);
  for (gsize i = 0; i < stats->n_processes; i++) {
    const Kata__V1__HostProcess *process = stats->processes[i];
    struct json_object *entry = json_object_new_object();
    json_object_object_add(entry, "name", json_object_new_string(process->name));
    json_object_object_add(entry, "pid", json_object_new_int64(process->pid));
    json_object_object_add(entry, "cpu_us", json_object_new_uint64(process->cpu_us));
    json_object_object_add(entry, "resident_bytes", json_object_new_uint64(process->resident_bytes));
    json_object_array_add(processes, entry);
  }
  char *text = g_strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_SPACED));
  json_object_put(json);
  return text;
}

char *kata_sandbox_get_stats(kata_sandbox *sandbox, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OwnerReply) reply = NULL;
  Kata__V1__SandboxStatsRequest request = KATA__V1__SANDBOX_STATS_REQUEST__INIT;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) ||
      !owner_ask(sandbox->ctx, sandbox->id, OWNER_SERVICE, "SandboxStats", &request.base, OWNER_QUICK_MS, &reply,
                 &error))
    return api_fail_null(err, error);
  return stats_to_json((Kata__V1__SandboxStatsResponse *)reply);
}

static gboolean attach_console(const kata_sandbox *sandbox, int fd, GError **error) {
  if (fd < 0 || fcntl(fd, F_GETFD) < 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "fd: descriptor %d is not open", fd);
    return FALSE;
  }
  g_autofree char *stream = g_strdup_printf("pidfd://%d/%d", (int)getpid(), fd);
  Kata__V1__ConsoleRequest request = KATA__V1__CONSOLE_REQUEST__INIT;
  request.stream = stream;
  return call(sandbox, "Console", &request.base, error);
}

int kata_sandbox_attach_console(kata_sandbox *sandbox, int fd, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(sandbox, "sandbox", flags, 0, &error) || !attach_console(sandbox, fd, &error))
    return api_fail(err, error);
  return 0;
}
