// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/sandbox-pod.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/oci.h"
#include "common/protobuf-text.h"
#include "proto/cri-sandbox.pb-c.h"
#include "shim/cgroup-systemd.h"
#include "shim/cgroup.h"

/* Kubernetes names no more of them. */
#define SYSCTLS_MAX 256

/* Lines of a resolv.conf. */
static char **make_dns(const Runtime__V1__DNSConfig *config) {
  g_autoptr(GStrvBuilder) lines = g_strv_builder_new();
  const struct {
    const char *word;
    char *const *values;
    size_t n_values;
    gboolean one_line;
  } parts[] = {{"nameserver", config->servers, config->n_servers, FALSE},
               {"search", config->searches, config->n_searches, TRUE},
               {"options", config->options, config->n_options, TRUE}};
  for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
    g_autoptr(GString) line = g_string_new(parts[i].word);
    for (size_t k = 0; k < parts[i].n_values; k++) {
      if (k > 0 && !parts[i].one_line) g_string_assign(line, parts[i].word);
      g_string_append_printf(line, " %s", parts[i].values[k]);
      if (!parts[i].one_line) g_strv_builder_add(lines, line->str);
    }
    if (parts[i].one_line && parts[i].n_values > 0) g_strv_builder_add(lines, line->str);
  }
  return g_strv_builder_end(lines);
}

/* ---- sysctls ---- */

static gboolean has_sysctl(const Grpc__Linux *lin, const char *key) {
  for (size_t i = 0; i < lin->n_sysctl; i++)
    if (strcmp(lin->sysctl[i]->key, key) == 0) return TRUE;
  return FALSE;
}

static void add_sysctl(Grpc__Linux *lin, const char *key, const char *value) {
  Grpc__Linux__SysctlEntry *entry = malloc(sizeof *entry);
  grpc__linux__sysctl_entry__init(entry);
  protobuf_set_string(&entry->key, key);
  protobuf_set_string(&entry->value, value);
  lin->sysctl = realloc(lin->sysctl, (lin->n_sysctl + 1) * sizeof *lin->sysctl);
  lin->sysctl[lin->n_sysctl++] = entry;
}

void sandbox_pod_add_sysctls(const Sandbox *sandbox, OciSpec *spec) {
  const Grpc__Linux *pod = sandbox->pod;
  for (size_t i = 0; pod != NULL && spec->linux != NULL && i < pod->n_sysctl; i++)
    if (!has_sysctl(spec->linux, pod->sysctl[i]->key))
      add_sysctl(spec->linux, pod->sysctl[i]->key, pod->sysctl[i]->value);
}

/* ---- resources ---- */

static OciResources *make_resources(const Runtime__V1__LinuxContainerResources *given, GError **error) {
  g_autofree char *json =
      g_strdup_printf("{\"cpu\": {\"period\": %" G_GINT64_FORMAT ", \"quota\": %" G_GINT64_FORMAT
                      ", \"shares\": %" G_GINT64_FORMAT "}, \"memory\": {\"limit\": %" G_GINT64_FORMAT "}}",
                      given->cpu_period, given->cpu_quota, given->cpu_shares, given->memory_limit_in_bytes);
  OciResources *resources = oci_resources_parse(json, strlen(json), "the pod's resources", error);
  return resources;
}

VmDemand sandbox_pod_get_demand(const Sandbox *sandbox) {
  if (sandbox->pod == NULL || sandbox->pod->resources == NULL) return (VmDemand){0};
  return vm_demand_of_resources(sandbox->pod->resources);
}

/* ---- its cgroup ---- */

/* As containerd names that of a pod's own container. */
static char *name_cgroup(const char *parent, const char *id) {
  g_autofree char *last = g_path_get_basename(parent);
  return g_str_has_suffix(last, ".slice") ? g_strdup_printf("%s:cri-containerd:%s", last, id)
                                          : g_build_filename(parent, id, NULL);
}

static gboolean make_scope(Sandbox *sandbox, const char *name, GError **error) {
  g_autofree char *unit = NULL, *slice = NULL;
  pid_t pid = getpid();
  if (sandbox->scope != NULL) return TRUE; /* by a call that failed later */
  if (!cgroup_systemd_parse(name, &unit, &slice) || !cgroup_systemd_is_there()) return TRUE;
  if (!cgroup_systemd_start(name, &pid, 1, error)) return FALSE;
  sandbox->scope = g_strdup(name);
  return TRUE;
}

/* The owner is in it before it starts anything. */
gboolean sandbox_pod_join_cgroup(Sandbox *sandbox, GError **error) {
  if (sandbox->pod == NULL || *sandbox->pod->cgroupspath == '\0' || sandbox->cgroups != NULL) return TRUE;
  const char *name = sandbox->pod->cgroupspath;
  g_autofree char *path = cgroup_expand_path(name, error);
  if (path == NULL) return FALSE;
  g_auto(GStrv) home = cgroup_find(getpid()); /* before systemd moves this process */
  if (!make_scope(sandbox, name, error)) return FALSE;
  g_auto(GStrv) cgroups = cgroup_make(path, getpid(), error);
  return cgroups != NULL && cgroup_note(sandbox->dir, cgroups, error) &&
         sandbox_join_cgroup(sandbox, g_steal_pointer(&cgroups), g_steal_pointer(&home), error);
}

/* ---- all of it ---- */

static gboolean take_linux(Sandbox *sandbox, const Runtime__V1__LinuxPodSandboxConfig *config, GError **error) {
  if (config->n_sysctls > SYSCTLS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the pod has more than %d sysctls", SYSCTLS_MAX);
    return FALSE;
  }
  OciResources *resources = config->resources != NULL ? make_resources(config->resources, error) : NULL;
  if (config->resources != NULL && resources == NULL) return FALSE;
  Grpc__Linux *pod = malloc(sizeof *pod);
  grpc__linux__init(pod);
  pod->resources = resources;
  g_autofree char *cgroup = *config->cgroup_parent != '\0' ? name_cgroup(config->cgroup_parent, sandbox->id) : NULL;
  if (cgroup != NULL) protobuf_set_string(&pod->cgroupspath, cgroup);
  for (size_t i = 0; i < config->n_sysctls; i++) add_sysctl(pod, config->sysctls[i]->key, config->sysctls[i]->value);
  g_mutex_lock(&sandbox->lock);
  gboolean is_first = sandbox->pod == NULL; /* others look at it without the lock: it is never exchanged */
  if (is_first) sandbox->pod = pod;
  g_mutex_unlock(&sandbox->lock);
  if (!is_first) protobuf_c_message_free_unpacked(&pod->base, NULL);
  sandbox->demand = sandbox_pod_get_demand(sandbox);
  return TRUE;
}

gboolean sandbox_pod_take(Sandbox *sandbox, const Google__Protobuf__Any *options, GError **error) {
  if (options == NULL || !g_str_has_suffix(options->type_url, "runtime.v1.PodSandboxConfig")) return TRUE;
  Runtime__V1__PodSandboxConfig *config =
      runtime__v1__pod_sandbox_config__unpack(NULL, options->value.len, options->value.data);
  if (config == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "the call's options are not a runtime.v1.PodSandboxConfig, as their type says");
    return FALSE;
  }
  g_free(sandbox->hostname);
  sandbox->hostname = *config->hostname != '\0' ? g_strdup(config->hostname) : NULL;
  const Runtime__V1__DNSConfig *dns = config->dns_config;
  gboolean says_any = dns != NULL && dns->n_servers + dns->n_searches + dns->n_options > 0;
  if (says_any && sandbox->dns == NULL) sandbox->dns = make_dns(dns);
  gboolean taken = config->linux == NULL || take_linux(sandbox, config->linux, error);
  runtime__v1__pod_sandbox_config__free_unpacked(config, NULL);
  return taken;
}
