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
 * as KVM and, where guests start neither from templates nor from the pool, vsock.
 * @settings: the settings.
 * @sandbox_id: names the domain, its directory and its sockets.
 * @root: the root directory the sandbox would live in.
 * @flags: 0.
 * Returns: text to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_INVALID_ARGUMENT, KATA_ERR_CONFIG. Since: 0.1
 */
char *kata_domain_xml(const kata_settings *settings, const char *sandbox_id, const char *root, uint32_t flags,
                      kata_error **err);

/**
 * kata_domain_xml_for_bundle: as kata_domain_xml(), for the guest that a bundle's container would get now: with the
 * size that its limits ask for, and the network cards for the interfaces that are in the network namespace its
 * config.json names by a path. It starts nothing. What an engine or a hook adds to the namespace later is not there;
 * what annotations ask for is, if kata_settings_load_annotations() has put it into @settings. A thread of its own looks
 * into the namespace and has ended when the call returns.
 * @settings, @sandbox_id, @root: as there.
 * @bundle: the bundle's directory.
 * @flags: 0.
 * Returns: text to be released with kata_free(), or NULL.
 * Errors: as there; KATA_ERR_NOT_FOUND (no bundle, no such namespace), KATA_ERR_PERMISSION_DENIED (may not enter the
 * namespace), KATA_ERR_UNSUPPORTED (an interface a guest cannot be connected to). Since: 0.1
 */
char *kata_domain_xml_for_bundle(const kata_settings *settings, const char *sandbox_id, const char *root,
                                 const char *bundle, uint32_t flags, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
