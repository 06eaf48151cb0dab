// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pod.h"

#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/pod.h"
#include "common/safe-path.h"
#include "monitor.h"

/* A process's name has 15 at most. */
#define COMM_BYTES 64

/* Podman and CRI-O name the sandbox by its first container, which may itself have joined another one's. */
static char *resolve(App *app, const char *id, const char *key, GError **error) {
  g_autoptr(kata_container) container = kata_container_open(app->context, id, 0, NULL);
  if (container != NULL) return g_strdup(kata_container_get_sandbox_id(container));
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_open(app->context, id, 0, NULL);
  if (sandbox != NULL) return g_strdup(id);
  g_autofree char *shown = error_clean_text(id);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
              "config.json: annotations: sandbox '%s', which '%s' names, does not exist", shown, key);
  return NULL;
}

static char *find_connected(App *app, const OciSpec *spec) {
  for (size_t i = 0; spec->linux != NULL && i < spec->linux->n_namespaces; i++) {
    const Grpc__LinuxNamespace *entry = spec->linux->namespaces[i];
    if (strcmp(entry->type, "network") != 0 || *entry->path == '\0') continue;
    autokatafree char *id = kata_sandbox_find_netns(app->context, entry->path, 0, NULL);
    return g_strdup(id);
  }
  return NULL;
}

/* It writes CRI-O's words into the containers of its pods; where the pod has no container of its own ("podman pod
 * create
 * --infra=false") they name the pod, and its containers share nothing unless they are told to. */
static gboolean is_podmans(const OciSpec *spec) {
  return g_strcmp0(oci_spec_get_annotation(spec, "io.container.manager"), "libpod") == 0;
}

static char *find_sandbox(App *app, const OciSpec *spec, GError **error) {
  PodPlace place;
  if (!pod_read_place(spec, &place, error)) return NULL;
  if (place.role == POD_CONTAINER) {
    g_autoptr(GError) unknown = NULL;
    char *id = resolve(app, place.sandbox_id, place.id_key, &unknown);
    if (id != NULL) return id;
    if (is_podmans(spec)) return find_connected(app, spec);
    g_propagate_error(error, g_steal_pointer(&unknown));
    return NULL;
  }
  return place.role == POD_SANDBOX ? NULL : find_connected(app, spec);
}

/* Whether it is a namespace of a process that stands for a container, which has others in its guest. */
static gboolean is_containers(const char *path) {
  int pid = 0;
  if (sscanf(path, "/proc/%d/ns/", &pid) != 1) return FALSE;
  g_autofree char *name_path = g_strdup_printf("/proc/%d/comm", pid);
  g_autofree char *name = safe_read_file(name_path, COMM_BYTES, NULL, NULL);
  return name != NULL && (strcmp(g_strchomp(name), MONITOR_NAME) == 0 || strcmp(name, "katactl") == 0);
}

/* A container in a guest of its own would get namespaces of its own, without a word. */
static gboolean check_shared(const OciSpec *spec, GError **error) {
  static const char *const in_guest[] = {"ipc", "uts", "pid", NULL};
  for (size_t i = 0; spec->linux != NULL && i < spec->linux->n_namespaces; i++) {
    const Grpc__LinuxNamespace *entry = spec->linux->namespaces[i];
    if (!g_strv_contains(in_guest, entry->type) || !is_containers(entry->path)) continue;
    g_set_error(
        error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
        "config.json: linux.namespaces: the %s namespace '%s' is in another container's guest, and a guest has one "
        "network: share that as well (engines: --network container:ID)",
        entry->type, entry->path);
    return FALSE;
  }
  return TRUE;
}

char *pod_find_sandbox(App *app, const OciSpec *spec, GError **error) {
  g_autoptr(GError) why = NULL;
  char *id = find_sandbox(app, spec, &why);
  if (id == NULL && why == NULL) check_shared(spec, &why);
  if (why != NULL) g_propagate_error(error, g_steal_pointer(&why));
  return id;
}
