// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pod.h"

#include <string.h>

#include "common/error.h"

/* In the order they are looked at; who has a key of one kind has the id's of the same. */
typedef struct {
  const char *type_key;
  const char *sandbox_word;
  const char *id_key;
} Dialect;

static const Dialect dialects[] = {
    {"io.kubernetes.cri.container-type", "sandbox", "io.kubernetes.cri.sandbox-id"},
    {"io.kubernetes.cri-o.ContainerType", "sandbox", "io.kubernetes.cri-o.SandboxID"},
    {"io.kubernetes.docker.type", "podsandbox", "io.kubernetes.sandbox.id"},
};

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

static char *find_annotated(App *app, const OciSpec *spec, const Dialect *dialect, const char *type, GError **error) {
  if (strcmp(type, dialect->sandbox_word) == 0) return NULL;
  if (strcmp(type, "container") != 0) {
    g_autofree char *shown = error_clean_text(type);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "config.json: annotations: '%s' is '%s', neither '%s' nor 'container'", dialect->type_key, shown,
                dialect->sandbox_word);
    return NULL;
  }
  const char *id = oci_spec_get_annotation(spec, dialect->id_key);
  if (id != NULL && *id != '\0') return resolve(app, id, dialect->id_key, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "config.json: annotations: '%s' is 'container', but '%s' does not say of which sandbox",
              dialect->type_key, dialect->id_key);
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

char *pod_find_sandbox(App *app, const OciSpec *spec, GError **error) {
  for (gsize i = 0; i < G_N_ELEMENTS(dialects); i++) {
    const char *type = oci_spec_get_annotation(spec, dialects[i].type_key);
    if (type != NULL) return find_annotated(app, spec, &dialects[i], type, error);
  }
  return find_connected(app, spec);
}
