/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a config.json's annotations say of its place in a pod: containerd's, CRI-O's (which Podman writes too) and
 * dockershim's words. Pure. */
#pragma once

#include <glib.h>

#include "oci.h"

typedef enum { POD_NONE, POD_SANDBOX, POD_CONTAINER } PodRole;

typedef struct {
  PodRole role;
  const char *sandbox_id; /* of a POD_CONTAINER, the document's; else NULL */
  const char *id_key;     /* the annotation that names it */
} PodPlace;

/* Another word than "sandbox" or "container", and a container that does not name its sandbox, are errors. */
gboolean pod_read_place(const OciSpec *spec, PodPlace *ret, GError **error);
