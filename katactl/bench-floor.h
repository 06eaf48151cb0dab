/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bench-place.h"

/* QEMU alone with the guest's kernel and image, without libvirt, network and shared directory: seconds from exec to the
 * guest's first process. */
gboolean bench_floor(const BenchPlace *place, double *ret_s, GError **error);
