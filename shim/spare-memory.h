/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the host's memory may be used for guests that nobody has asked for yet. */
#pragma once

#include <glib.h>

/* KATA_ERR_RESOURCE_EXHAUSTED: with another guest of that size less than a quarter of the host's memory would be
 * left. */
gboolean spare_memory_check(guint64 guest_mib, GError **error);
