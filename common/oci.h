/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Documents of the OCI runtime specification: config.json, process, resources, state. */
#pragma once

#include <glib.h>

#include "proto/oci.pb-c.h"

/* config.json may be this long, and each of its lists may have this many entries. */
#define OCI_DOCUMENT_LIMIT (16u << 20)
#define OCI_LIST_LIMIT 32768u

typedef Grpc__Spec OciSpec;
typedef Grpc__Process OciProcess;
typedef Grpc__LinuxResources OciResources;

void oci_spec_free(OciSpec *spec);
void oci_process_free(OciProcess *process);
void oci_resources_free(OciResources *resources);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OciSpec, oci_spec_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OciProcess, oci_process_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OciResources, oci_resources_free)

/* Parse and check. where names the document in errors ("config.json"). The texts that runc's callers match are kept:
 * "process property must not be empty", "Cwd must be an absolute path", "args must not be empty" and the like. */
OciSpec *oci_spec_parse(const char *text, gsize length, const char *where, GError **error);
OciProcess *oci_process_parse(const char *text, gsize length, const char *where, GError **error);
OciResources *oci_resources_parse(const char *text, gsize length, const char *where, GError **error);

/* BUNDLE/config.json, with runc's error text when it is not there. */
OciSpec *oci_spec_load(const char *bundle, GError **error);

/* As they would stand in a file; to be freed with g_free(). */
char *oci_spec_to_json(const OciSpec *spec);
char *oci_process_to_json(const OciProcess *process);

/* An annotation's value, or NULL. */
const char *oci_spec_get_annotation(const OciSpec *spec, const char *key);

/* Whole copies, to be changed freely. */
OciSpec *oci_spec_copy(const OciSpec *spec);
OciProcess *oci_process_copy(const OciProcess *process);
OciResources *oci_resources_copy(const OciResources *resources);
Grpc__Linux *oci_linux_copy(const Grpc__Linux *lin);
