/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random bytes of the host for the guest's kernel. */
#pragma once

#include <glib.h>

#define ENTROPY_MAX 65536u

/* size: 1 to ENTROPY_MAX. All of it counts as entropy, and what the kernel gives out from then on depends on it. */
gboolean entropy_add(const void *data, gsize size, GError **error);
