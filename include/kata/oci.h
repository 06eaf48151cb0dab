/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OCI documents: what the OCI runtime specification has a runtime tell of itself, and a config.json to begin with. */
#ifndef KATA_OCI_H
#define KATA_OCI_H

#include <kata/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_oci_features: what containers in guests can have, as the OCI runtime specification's "Features Structure" has
 * it. It is the same on every host.
 * @flags: 0.
 * Returns: JSON, indented by two blanks, to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
char *kata_oci_features(uint32_t flags, kata_error **err);

/** KATA_OCI_SPEC_ROOTLESS: for a user without rights on the host, as runc writes it. Since: 0.1 */
#define KATA_OCI_SPEC_ROOTLESS (1u << 0)

/**
 * kata_oci_spec: a config.json to begin with: a shell on a terminal, in the read-only root file system "rootfs".
 * @flags: 0 or KATA_OCI_SPEC_ROOTLESS, which maps the caller's effective user and group to root.
 * Returns: JSON, indented by tabs, with a newline at its end, to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
char *kata_oci_spec(uint32_t flags, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
