// SPDX-License-Identifier: LGPL-2.1-or-later
/* containerd.runtime.sandbox.v1.Sandbox: the sandbox as a whole. */
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/safe-path.h"
#include "lib/annotations.h"
#include "proto/kata-v1.pb-c.h"
#include "proto/shim-sandbox.pb-c.h"
#include "shim/limits.h"
#include "shim/metrics.h"
#include "shim/orphan.h"
#include "shim/sandbox-network.h"
#include "shim/sandbox-pod.h"
#include "shim/service.h"
#include "shim/store.h"
#include "shim/times.h"

#define PROC_FILE_LIMIT 4096

/* One owner, one sandbox: an id that is not ours is a caller's mistake. FALSE: answered. */
static gboolean check_id(ServiceJob *job, const char *id) {
  if (strcmp(id, job->owner->sandbox->id) == 0) return TRUE;
  ttrpc_call_fail(job->call, TTRPC_NOT_FOUND, "this is the owner of sandbox '%s', not of '%s'", job->owner->sandbox->id,
                  id);
  return FALSE;
}

/* ---- what is said of a sandbox when it is made ---- */

/* Settings of the pod, on top of those of the start. */
static gboolean take_annotations(Sandbox *sandbox,
                                 const Containerd__Runtime__Sandbox__V1__CreateSandboxRequest *request,
                                 GError **error) {
  if (request->n_annotations == 0) return TRUE;
  if (sandbox->has_annotations) return store_save_settings(sandbox, error);
  Grpc__Spec spec = GRPC__SPEC__INIT;
  /* Entries of both maps have the same form: key 1, value 2. */
  spec.n_annotations = request->n_annotations;
  spec.annotations = (Grpc__Spec__AnnotationsEntry **)request->annotations;
  g_autofree char *text = settings_to_text(sandbox->settings);
  g_autoptr(kata_settings) settings = settings_new();
  if (!settings_load_text(settings, text, strlen(text), "the sandbox's settings", error) ||
      !annotations_apply(settings, &spec, error) || !sandbox_change_settings(sandbox, settings, error))
    return FALSE;
  sandbox->has_annotations = TRUE; /* a call that is made again would add to kernel_params once more */
  return store_save_settings(sandbox, error);
}

static gboolean take_request(Sandbox *sandbox, const Containerd__Runtime__Sandbox__V1__CreateSandboxRequest *request,
                             pid_t peer, GError **error) {
  gboolean is_new = sandbox_get_status(sandbox) == SANDBOX_CREATED;
  if (is_new && (!sandbox_pod_take(sandbox, request->options, error) || !take_annotations(sandbox, request, error) ||
                 !sandbox_pod_join_cgroup(sandbox, error)))
    return FALSE;
  return (*request->netns_path == '\0' || sandbox_network_choose(sandbox, request->netns_path, peer, 0, error));
}

/* FALSE: answered. */
static gboolean read_options(ServiceJob *job, const Google__Protobuf__Any *any, gboolean *ret_bound) {
  *ret_bound = FALSE;
  if (any == NULL || strcmp(any->type_url, "kata.v1.SandboxOptions") != 0) return TRUE;
  Kata__V1__SandboxOptions *options = kata__v1__sandbox_options__unpack(NULL, any->value.len, any->value.data);
  if (options == NULL) {
    ttrpc_call_fail(job->call, TTRPC_INVALID_ARGUMENT, "the call's options are not a kata.v1.SandboxOptions");
    return FALSE;
  }
  *ret_bound = options->bound;
  kata__v1__sandbox_options__free_unpacked(options, NULL);
  return TRUE;
}

static void sandbox_create(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__CreateSandboxRequest *request = (const void *)job->request;
  gboolean bound = FALSE;
  if (!check_id(job, request->sandbox_id) || !read_options(job, request->options, &bound)) return;
  pid_t peer = ttrpc_call_get_peer_pid(job->call);
  if (bound && peer != 0)
    orphan_bind_sandbox(job->owner, peer);
  else if (bound)
    g_warning(
        "sandbox '%s' is not bound to its maker, who is in a pid namespace that cannot be seen from here: it "
        "stays until somebody deletes it",
        request->sandbox_id);
  service_set_called(job->owner);
  g_autoptr(GError) error = NULL;
  if (!take_request(job->owner->sandbox, request, peer, &error)) {
    ttrpc_call_fail_error(job->call, error);
    return;
  }
  Containerd__Runtime__Sandbox__V1__CreateSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__CREATE_SANDBOX_RESPONSE__INIT;
  ttrpc_call_reply(job->call, &reply.base);
}

static void sandbox_start_method(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__StartSandboxRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  if (!check_id(job, request->sandbox_id)) return;
  g_autoptr(GError) error = NULL;
  gboolean was_created = sandbox_get_status(sandbox) == SANDBOX_CREATED;
  gboolean started = sandbox_start(sandbox, &error);
  gboolean gone = g_atomic_int_get(&job->gone);
  if (started) limits_follow(sandbox);
  if (started && gone) {
    sandbox_stop(sandbox, 0);
    sandbox_remove(sandbox);
  }
  Google__Protobuf__Timestamp when = time_to_message(sandbox->created_at);
  Containerd__Runtime__Sandbox__V1__StartSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__START_SANDBOX_RESPONSE__INIT;
  reply.pid = sandbox_get_hypervisor_pid(sandbox);
  reply.created_at = &when;
  if (started)
    ttrpc_call_reply(job->call, &reply.base);
  else
    ttrpc_call_fail_error(job->call, error);
  if (was_created && (!started || gone)) service_quit(job->owner);
}

static void sandbox_stop_method(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__StopSandboxRequest *request = (const void *)job->request;
  if (!check_id(job, request->sandbox_id)) return;
  sandbox_stop(job->owner->sandbox, MIN(request->timeout_secs, 3600u) * 1000u);
  Containerd__Runtime__Sandbox__V1__StopSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__STOP_SANDBOX_RESPONSE__INIT;
  ttrpc_call_reply(job->call, &reply.base);
}

static void sandbox_wait(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__WaitSandboxRequest *request = (const void *)job->request;
  if (check_id(job, request->sandbox_id)) sandbox_add_waiter(job->owner->sandbox, job->call);
}

static void sandbox_status(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__SandboxStatusRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  if (!check_id(job, request->sandbox_id)) return;
  static const char *const words[] = {"created", "starting", "running", "stopped"};
  SandboxStatus status = sandbox_get_status(sandbox);
  Google__Protobuf__Timestamp created = time_to_message(sandbox->created_at);
  Google__Protobuf__Timestamp exited = time_to_message(sandbox->exited_at);
  Containerd__Runtime__Sandbox__V1__SandboxStatusResponse__InfoEntry entry =
      CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_STATUS_RESPONSE__INFO_ENTRY__INIT;
  Containerd__Runtime__Sandbox__V1__SandboxStatusResponse__InfoEntry *info[] = {&entry};
  entry.key = "status";
  entry.value = (char *)(sandbox_is_paused(sandbox) ? "paused" : words[status]);
  Containerd__Runtime__Sandbox__V1__SandboxStatusResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_STATUS_RESPONSE__INIT;
  reply.sandbox_id = sandbox->id;
  reply.pid = sandbox_get_hypervisor_pid(sandbox);
  reply.state = status == SANDBOX_RUNNING ? "SANDBOX_READY" : "SANDBOX_NOTREADY";
  reply.info = info;
  reply.n_info = 1;
  reply.created_at = &created;
  if (status == SANDBOX_STOPPED) reply.exited_at = &exited;
  ttrpc_call_reply(job->call, &reply.base);
}

static void sandbox_ping(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__PingRequest *request = (const void *)job->request;
  if (!check_id(job, request->sandbox_id)) return;
  Containerd__Runtime__Sandbox__V1__PingResponse reply = CONTAINERD__RUNTIME__SANDBOX__V1__PING_RESPONSE__INIT;
  ttrpc_call_reply(job->call, &reply.base);
}

static void sandbox_platform(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__PlatformRequest *request = (const void *)job->request;
  if (!check_id(job, request->sandbox_id)) return;
  Containerd__Types__Platform platform = CONTAINERD__TYPES__PLATFORM__INIT;
  Containerd__Runtime__Sandbox__V1__PlatformResponse reply = CONTAINERD__RUNTIME__SANDBOX__V1__PLATFORM_RESPONSE__INIT;
  platform.os = "linux";
  platform.architecture = "amd64";
  reply.platform = &platform;
  ttrpc_call_reply(job->call, &reply.base);
}

/* What the machine costs the host, as the kernel counts it for its process. */
static gboolean read_machine(guint32 pid, Grpc__CpuUsage *cpu, Grpc__MemoryData *memory) {
  g_autofree char *stat_path = g_strdup_printf("/proc/%u/stat", pid);
  g_autofree char *statm_path = g_strdup_printf("/proc/%u/statm", pid);
  g_autofree char *stat = safe_read_file(stat_path, PROC_FILE_LIMIT, NULL, NULL);
  g_autofree char *statm = safe_read_file(statm_path, PROC_FILE_LIMIT, NULL, NULL);
  /* The name, in parentheses, may hold anything; after it utime and stime are words 11 and 12 (proc(5)). */
  const char *end = stat != NULL ? strrchr(stat, ')') : NULL;
  g_auto(GStrv) words = g_strsplit(end != NULL ? end + 1 : "", " ", -1);
  g_auto(GStrv) sizes = g_strsplit(statm != NULL ? statm : "", " ", -1);
  if (g_strv_length(words) < 14 || g_strv_length(sizes) < 2) return FALSE;
  guint64 tick_ns = G_GUINT64_CONSTANT(1000000000) / (guint64)sysconf(_SC_CLK_TCK);
  cpu->usage_in_usermode = g_ascii_strtoull(words[12], NULL, 10) * tick_ns;
  cpu->usage_in_kernelmode = g_ascii_strtoull(words[13], NULL, 10) * tick_ns;
  cpu->total_usage = cpu->usage_in_usermode + cpu->usage_in_kernelmode;
  memory->usage = g_ascii_strtoull(sizes[1], NULL, 10) * (guint64)sysconf(_SC_PAGESIZE);
  return TRUE;
}

static void sandbox_metrics(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__SandboxMetricsRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  if (!check_id(job, request->sandbox_id)) return;
  Grpc__StatsContainerResponse stats = GRPC__STATS_CONTAINER_RESPONSE__INIT;
  Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
  Grpc__CpuStats cpu = GRPC__CPU_STATS__INIT;
  Grpc__CpuUsage usage = GRPC__CPU_USAGE__INIT;
  Grpc__MemoryStats memory = GRPC__MEMORY_STATS__INIT;
  Grpc__MemoryData data = GRPC__MEMORY_DATA__INIT;
  guint32 pid = sandbox_get_hypervisor_pid(sandbox);
  if (pid == 0 || !read_machine(pid, &usage, &data)) {
    ttrpc_call_fail(job->call, TTRPC_NOT_FOUND, "sandbox '%s' is not running: it has no counters", sandbox->id);
    return;
  }
  cpu.cpu_usage = &usage;
  memory.usage = &data;
  cgroup.cpu_stats = &cpu;
  cgroup.memory_stats = &memory;
  stats.cgroup_stats = &cgroup;
  g_autoptr(Google__Protobuf__Any) any = metrics_build(&stats, metrics_host_has_version2());
  Google__Protobuf__Timestamp now = time_to_message(g_get_real_time());
  Containerd__Types__Metric metric = CONTAINERD__TYPES__METRIC__INIT;
  Containerd__Runtime__Sandbox__V1__SandboxMetricsResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_METRICS_RESPONSE__INIT;
  metric.timestamp = &now;
  metric.id = sandbox->id;
  metric.data = any;
  reply.metrics = &metric;
  ttrpc_call_reply(job->call, &reply.base);
}

static void sandbox_shutdown(ServiceJob *job) {
  const Containerd__Runtime__Sandbox__V1__ShutdownSandboxRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  if (!check_id(job, request->sandbox_id)) return;
  SandboxStatus status = sandbox_get_status(sandbox);
  if (status == SANDBOX_RUNNING || status == SANDBOX_STARTING) {
    ttrpc_call_fail(job->call, TTRPC_FAILED_PRECONDITION, "sandbox '%s' is running; stop it first", sandbox->id);
    return;
  }
  sandbox_stop(sandbox, 0);
  sandbox_remove(sandbox);
  Containerd__Runtime__Sandbox__V1__ShutdownSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__SHUTDOWN_SANDBOX_RESPONSE__INIT;
  ttrpc_call_reply(job->call, &reply.base);
  service_quit(job->owner);
}

static const ServiceMethod methods[] = {
    {"CreateSandbox", sandbox_create},    {"StartSandbox", sandbox_start_method, TRUE},
    {"StopSandbox", sandbox_stop_method}, {"WaitSandbox", sandbox_wait},
    {"SandboxStatus", sandbox_status},    {"PingSandbox", sandbox_ping},
    {"Platform", sandbox_platform},       {"ShutdownSandbox", sandbox_shutdown},
    {"SandboxMetrics", sandbox_metrics},  {NULL, NULL},
};

void sandbox_service_add(Owner *owner) {
  service_add(owner, &containerd__runtime__sandbox__v1__sandbox__descriptor, methods);
}
