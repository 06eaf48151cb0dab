/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a well-formed OCI document must say, beyond its members' types. */
#pragma once

#include "common/oci.h"

/* where names the document in errors. Mount destinations that are relative are made absolute, as runc takes them. */
gboolean oci_check_spec(OciSpec *spec, const char *where, GError **error);
gboolean oci_check_process(const OciProcess *process, const char *where, GError **error);
gboolean oci_check_resources(const OciResources *resources, const char *where, GError **error);
