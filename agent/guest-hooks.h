/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs of the guest image that run beside every container: those in the prestart, poststart and poststop
 * directories of a directory the host names. */
#pragma once

#include "common/oci.h"

/* Programs one directory may have. */
#define GUEST_HOOKS_MAX 256

typedef struct GuestHooks GuestHooks;

/* In the order of their names. What is wrong there is only logged, as upstream's agent does. */
GuestHooks *guest_hooks_find(const char *directory);
void guest_hooks_free(GuestHooks *hooks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestHooks, guest_hooks_free)

/* Adds them after those of the document. hooks may be NULL. */
void guest_hooks_add(const GuestHooks *hooks, OciSpec *spec);
