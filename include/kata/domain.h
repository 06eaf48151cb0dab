/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain XML: the virtual machine that settings describe, for libvirt. */
#ifndef KATA_DOMAIN_H
#define KATA_DOMAIN_H

#include <kata/error.h>
#include <kata/settings.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_domain_xml: writes the libvirt domain XML of a sandbox (libvirt's "Domain XML format", driver
 * qemu). Pure: it starts nothing and looks at nothing on the host but its number of CPUs if
 * default_vcpus is -1. A setting "auto" must have been replaced by what it stands for, or is taken
 * as KVM and vsock.
 * @settings: the settings.
 * @sandbox_id: names the domain, its directory and its sockets.
 * @root: the root directory the sandbox would live in.
 * @flags: 0.
 * Returns: text to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_INVALID_ARGUMENT, KATA_ERR_CONFIG. Since: 0.1
 */
char *kata_domain_xml(const kata_settings *settings, const char *sandbox_id, const char *root, uint32_t flags,
                      kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
