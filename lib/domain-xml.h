/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/vm-config.h"

/* The libvirt domain XML of a virtual machine; to be freed with g_free(). Pure.
 * vsock_cid 0: libvirt chooses it. */
char *domain_xml_build(const VmConfig *config, GError **error);

/* The <interface> of one card, for plugging it in and out. Pure. */
char *domain_xml_build_nic(const VmNic *nic, GError **error);

/* The <filesystem> of the shared directory, for plugging it in. Pure. */
char *domain_xml_build_share(const VmConfig *config, GError **error);
