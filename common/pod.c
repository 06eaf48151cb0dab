// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pod.h"

#include <string.h>

#include "error.h"

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

static gboolean read_dialect(const OciSpec *spec, const Dialect *dialect, const char *type, PodPlace *ret,
                             GError **error) {
  if (strcmp(type, dialect->sandbox_word) == 0) {
    ret->role = POD_SANDBOX;
    return TRUE;
  }
  if (strcmp(type, "container") != 0) {
    g_autofree char *shown = error_clean_text(type);
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "config.json: annotations: '%s' is '%s', neither '%s' nor 'container'", dialect->type_key, shown,
                dialect->sandbox_word);
    return FALSE;
  }
  const char *id = oci_spec_get_annotation(spec, dialect->id_key);
  if (id == NULL || *id == '\0') {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "config.json: annotations: '%s' is 'container', but '%s' does not say of which sandbox",
                dialect->type_key, dialect->id_key);
    return FALSE;
  }
  *ret = (PodPlace){POD_CONTAINER, id, dialect->id_key};
  return TRUE;
}

gboolean pod_read_place(const OciSpec *spec, PodPlace *ret, GError **error) {
  *ret = (PodPlace){.role = POD_NONE};
  for (gsize i = 0; i < G_N_ELEMENTS(dialects); i++) {
    const char *type = oci_spec_get_annotation(spec, dialects[i].type_key);
    if (type != NULL) return read_dialect(spec, &dialects[i], type, ret, error);
  }
  return TRUE;
}
